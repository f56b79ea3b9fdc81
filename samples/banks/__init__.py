r"""Hand-written phrasing banks and the two readers for them.

A *section* file holds `[name]` headers, each followed by one entry a line. A *record* file holds blocks
of `key: value` lines separated by blank lines. In both, a literal `\n` stands for a line break.
"""

import re
from pathlib import Path

ROOT = Path(__file__).parent
_HEADER = re.compile(r"^\[([a-z_0-9]+)\]$")


def read_sections(name: str) -> dict[str, list[str]]:
    """Entries of a section file by section name, in file order."""
    sections: dict[str, list[str]] = {}
    current: list[str] = []
    for line in (ROOT / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        header = _HEADER.match(line.strip())
        if header:
            current = sections.setdefault(header.group(1), [])
        elif line.strip():
            current.append(_unescape(line.strip()))
    return sections


def read_records(name: str) -> list[dict[str, str]]:
    """Records of a record file, in file order."""
    blocks = (ROOT / f"{name}.txt").read_text(encoding="utf-8").strip().split("\n\n")
    return [_record(block) for block in blocks if block.strip()]


def split_pair(entry: str) -> tuple[str, str]:
    """Both halves of a `left => right` entry."""
    left, right = entry.split(" => ")
    return left.strip(), right.strip()


def _record(block: str) -> dict[str, str]:
    pairs = (line.split(":", 1) for line in block.splitlines() if line.strip())
    return {key.strip(): _unescape(value.strip()) for key, value in pairs}


def _unescape(text: str) -> str:
    return text.replace("\\n", "\n")
