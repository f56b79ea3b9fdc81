"""Comma-separated values with a header line."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from framework.sources import _opened
from framework.sources._files import FileSource, plain_name
from framework.sources._opened import Readable, UnreadableError, lines
from framework.sources.base import Bad, Record


class Csv(FileSource):
    """Quoted as in RFC 4180; the first line names the columns."""

    suffixes: ClassVar[tuple[str, ...]] = (".csv", ".tsv")
    kind: Literal["csv"] = "csv"
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    """``null`` is a tab for ``.tsv`` and a comma for all others."""

    def read(self, file: Readable, name: str) -> Iterator[Record | Bad]:
        """The file's records in order."""
        csv.field_size_limit(_opened.MAX_ROW)
        source = _Lines(file)
        delimiter = self.delimiter or ("\t" if plain_name(name).endswith(".tsv") else ",")
        reader = csv.reader(source, delimiter=delimiter, strict=True)
        header: list[str] | None = None
        while True:
            source.begin()
            where = f"{name}:{source.number + 1}"
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error:
                row = "invalid CSV"
            except _TooLongError:
                row = _opened.too_long()
            except UnreadableError as error:
                yield Bad(str(error), where)
                return
            if not row:
                continue
            fault = row if isinstance(row, str) else _fault(row)
            if header is None:
                if isinstance(row, str) or fault or len(set(row)) != len(row):
                    yield Bad(f"{fault or 'duplicate column'} in the header; the rest of the file is left out", where)
                    return
                header = row
            elif fault or isinstance(row, str):
                yield Bad(fault, where)
            elif len(row) != len(header):
                yield Bad("wrong number of columns", where)
            else:
                yield Record(dict(zip(header, row, strict=True)), where)


class _TooLongError(Exception):
    """A row, or a line of it, is over the limit."""


class _Lines:
    """A file's lines as text, counted; a row's lines may not be longer in all than a row may be.

    Bytes that are no UTF-8 are carried as lone surrogates, so that a bad field costs its own row alone.
    """

    def __init__(self, file: Readable) -> None:
        self._lines = lines(file)
        self._row = 0
        self.number = 0

    def begin(self) -> None:
        """A new row."""
        self._row = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number += 1
        self._row += len(line)
        if self._row > _opened.MAX_ROW:
            raise _TooLongError
        return line.decode("utf-8", "surrogateescape")


def _fault(row: list[str]) -> str:
    text = "".join(row)
    if "\0" in text:
        return "null byte"
    return "not UTF-8" if not text.isascii() and any("\ud800" <= mark <= "\udfff" for mark in text) else ""


COMPONENT = Csv
