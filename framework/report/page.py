"""What the pages share: one template environment, and pictures in every look as data URIs."""

from __future__ import annotations

import base64
import os
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framework.files import write_text
from framework.report import examples, numbers, style
from framework.report.records import Finding
from framework.report.style import Picture

if TYPE_CHECKING:
    from jinja2 import Environment

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""Nothing in a page may run or be fetched, whatever the data holds."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture in all looks, as data URIs."""

    caption: str
    alt: str
    plain: str
    """The light, wide one."""
    others: list[tuple[str, str]]
    """Media query and picture, the most particular first."""


def draw(pictures: Iterable[Picture], folder: Path, notes: list[str]) -> dict[str, Shown]:
    """The pictures by name; the light, wide ones are written to the folder. Without matplotlib: none, and a note."""
    try:
        import matplotlib

        matplotlib.get_data_path()
    except ImportError as error:
        notes.append(f"pictures are left out: {error}")
        return {}
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "axes.unicode_minus": True}):
        return {picture.name: _show(picture, folder) for picture in pictures}


def write_page(path: Path, template: str, context: dict[str, Any]) -> None:
    """Fill a template of this folder. Raises ``OSError`` when the page cannot be written."""
    text = _environment().get_template(template).render({"policy": _POLICY, **context})
    write_text(path, text.encode("utf-8", "replace").decode("utf-8"))


def levels(findings: Iterable[Finding]) -> str:
    """How many of each level, in words."""
    counts = Counter(finding.level for finding in findings)
    names = {"error": "error", "warning": "warning", "info": "note"}
    found = [(counts[level], name) for level, name in names.items() if counts[level]]
    return ", ".join(f"{count:,} {name}{'s' if count > 1 else ''}" for count, name in found)


def _show(picture: Picture, folder: Path) -> Shown:
    drawn = {look: style.png(picture.draw(look)) for look in style.LOOKS}
    plain, *others = style.LOOKS
    _write_bytes(folder / f"{picture.name}.png", drawn[plain])
    media = sorted(others, key=lambda look: -(look.dark + look.narrow))
    return Shown(picture.caption, picture.alt, _uri(drawn[plain]), [(look.media, _uri(drawn[look])) for look in media])


def _uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _write_bytes(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    os.chmod(name, 0o644)
    os.replace(name, path)


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=numbers.count,
        compact=numbers.compact,
        share=numbers.share,
        size=numbers.size,
        duration=numbers.duration,
        rough=numbers.rough,
        epochs=numbers.epochs,
        plain=numbers.plain,
        clip=examples.clip,
        moment=_moment,
        breakable=_breakable,
    )
    return environment


def _breakable(name: str) -> str:
    """A name that a narrow column may break after an underscore. Safe: the name is escaped first."""
    from markupsafe import Markup, escape

    return Markup("_<wbr>").join(escape(part) for part in name.split("_"))


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
