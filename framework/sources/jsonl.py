"""JSON lines: one object a line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from framework.sources._files import FileSource, UnreadableError, decode, lines
from framework.sources._objects import parse, record
from framework.sources.base import Bad, Record


class JsonLines(FileSource):
    """One JSON object a line, plain or compressed. Blank lines are no rows."""

    suffixes: ClassVar[tuple[str, ...]] = (".jsonl", ".ndjson")
    kind: Literal["jsonl"] = "jsonl"

    def records(self) -> Iterator[Record | Bad]:
        """All records in order."""
        for path, name in self.places():
            number = 0
            try:
                for number, line in enumerate(lines(path), start=1):
                    if line.strip():
                        where = f"{name}:{number}"
                        text = decode(line, where)
                        yield text if isinstance(text, Bad) else record(parse(text, where), where)
            except UnreadableError as error:
                yield Bad(str(error), f"{name}:{number + 1}")


COMPONENT = JsonLines
