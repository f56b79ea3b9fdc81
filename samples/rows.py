"""Rows, and the one way they are written."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"
Row = dict[str, Json]


def number(prefix: str, rows: Iterable[Row]) -> list[Row]:
    """The rows with a stable `id` in front of each."""
    return [{"id": f"{prefix}-{index:04d}", **row} for index, row in enumerate(rows, start=1)]


def said(role: str, content: str) -> Row:
    """A turn of a conversation."""
    return {"role": role, "content": content}


def texts_of(value: Json, key: str = "") -> Iterator[str]:
    """Every text in a row, messages and lists included; its `id` is none."""
    if isinstance(value, str):
        if key != "id":
            yield value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from texts_of(inner, name)
    elif isinstance(value, Sequence):
        for inner in value:
            yield from texts_of(inner)


def as_jsonl(rows: Iterable[Row]) -> str:
    """One JSON object a line."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def write(files: dict[str, str], root: Path) -> None:
    """Writes each text under its path relative to `root`."""
    for path, text in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8", newline="\n")
