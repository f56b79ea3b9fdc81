"""JSON lines: one object a line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from framework.sources._files import FileSource
from framework.sources._objects import read_lines
from framework.sources._opened import Readable
from framework.sources.base import Bad, Record


class JsonLines(FileSource):
    """One JSON object a line, plain or compressed. Blank lines are no rows."""

    suffixes: ClassVar[tuple[str, ...]] = (".jsonl", ".ndjson")
    kind: Literal["jsonl"] = "jsonl"

    def read(self, file: Readable, name: str) -> Iterator[Record | Bad]:
        """The file's records in order."""
        yield from read_lines(file, name)


COMPONENT = JsonLines
