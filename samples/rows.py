"""Rows, and the one way they are written."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"
Row = dict[str, Json]


def number(prefix: str, rows: Iterable[Row]) -> list[Row]:
    """The rows with a stable `id` in front of each."""
    return [{"id": f"{prefix}-{index:04d}", **row} for index, row in enumerate(rows, start=1)]


def as_jsonl(rows: Iterable[Row]) -> str:
    """One JSON object a line."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def write(files: dict[str, str], root: Path) -> None:
    """Writes each text under its path relative to `root`."""
    for path, text in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8", newline="\n")
