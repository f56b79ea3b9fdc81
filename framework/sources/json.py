"""JSON files: one array of objects, or an object that holds it under ``data``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

from framework.sources._files import BOM, FileSource, UnreadableError, decode, open_bytes, reading
from framework.sources._objects import parse, record
from framework.sources.base import Bad, Record


class Json(FileSource):
    """``[{...}, ...]`` or ``{"data": [{...}, ...]}``. A file is read whole; large data belongs in JSON lines."""

    suffixes: ClassVar[tuple[str, ...]] = (".json",)
    kind: Literal["json"] = "json"

    def records(self) -> Iterator[Record | Bad]:
        """All records in order."""
        for path, name in self.places():
            try:
                yield from _rows(path, name)
            except UnreadableError as error:
                yield Bad(str(error), f"{name}:1")


def _rows(path: Path, name: str) -> Iterator[Record | Bad]:
    with open_bytes(path) as handle, reading():
        content = handle.read().removeprefix(BOM)
    where = f"{name}:1"
    text = decode(content, where)
    value = text if isinstance(text, Bad) else parse(text, where)
    if isinstance(value, Bad):
        yield value
        return
    if isinstance(value, dict):
        value = value.get("data")
    if not isinstance(value, list):
        yield Bad("file is neither an array nor an object with the array 'data'", where)
        return
    for number, row in enumerate(value, start=1):
        yield record(row, f"{name}:{number}")


COMPONENT = Json
