"""Comma-separated values with a header line."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from framework.sources._files import FileSource, UnreadableError, lines
from framework.sources.base import Bad, Record


class Csv(FileSource):
    """Quoted as in RFC 4180; the first line names the columns. ``delimiter`` is a tab for TSV."""

    suffixes: ClassVar[tuple[str, ...]] = (".csv", ".tsv")
    kind: Literal["csv"] = "csv"
    delimiter: str = Field(default=",", min_length=1, max_length=1)

    def records(self) -> Iterator[Record | Bad]:
        """All records in order."""
        csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
        for path, name in self.places():
            yield from self._rows(path, name)

    def _rows(self, path: Path, name: str) -> Iterator[Record | Bad]:
        # Bytes that are no UTF-8 are carried as lone surrogates, so that a bad field costs its own row alone.
        decoded = (line.decode("utf-8", "surrogateescape") for line in lines(path))
        reader = csv.reader(decoded, delimiter=self.delimiter, strict=True)
        header: list[str] | None = None
        while True:
            where = f"{name}:{reader.line_num + 1}"
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error:
                yield Bad("invalid CSV", where)
                continue
            except UnreadableError as error:
                yield Bad(str(error), where)
                return
            if not row:
                continue
            if header is None:
                header = row
                if len(set(header)) != len(header) or _fault(header):
                    yield Bad(_fault(header) or "duplicate column", where)
                    return
            elif len(row) != len(header):
                yield Bad("wrong number of columns", where)
            elif fault := _fault(row):
                yield Bad(fault, where)
            else:
                yield Record(dict(zip(header, row, strict=True)), where)


def _fault(row: list[str]) -> str:
    text = "".join(row)
    if "\0" in text:
        return "null byte"
    return "not UTF-8" if any("\ud800" <= mark <= "\udfff" for mark in text) else ""


COMPONENT = Csv
