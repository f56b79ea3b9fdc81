"""JSON files: an array of objects, an object that holds it under ``data``, or objects line by line."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from itertools import count
from typing import IO, Any, ClassVar, Literal

from framework.sources import _opened
from framework.sources._files import FileSource
from framework.sources._objects import TOO_DEEP, Parser, parse, read_lines, record
from framework.sources._opened import BOM, Readable, UnreadableError, decode, lines, open_bytes, reading, refuse_wide
from framework.sources.base import Bad, Record

_BLOCK = 1 << 20
_BLANK = re.compile(r"[ \t\r\n]*")
_BYTES = re.compile("[\udc80-\udcff]")
_REST = "; the rest of the file is left out"


class Json(FileSource):
    """``[{...}, ...]``, ``{"data": [{...}, ...]}``, or JSON lines. Rows are read one by one, so size does not matter.

    A row that is JSON but cannot be used costs itself; where the text is no JSON the file ends.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".json",)
    kind: Literal["json"] = "json"

    def read(self, file: Readable, name: str) -> Iterator[Record | Bad]:
        """The file's records in order."""
        number = 0
        try:
            if _by_lines(file):
                yield from read_lines(file, name)
                return
            with open_bytes(file) as handle:
                for number, row in zip(count(1), _rows(_Text(handle)), strict=False):
                    where = f"{name}:{number}"
                    yield Bad(row, where) if isinstance(row, str) else record(row[0], where)
        except UnreadableError as error:
            yield Bad(str(error), f"{name}:{number + 1}")


class _Text:
    """A file's text, held from the place that is being read to as far as it was needed."""

    def __init__(self, handle: IO[bytes]) -> None:
        self._handle = handle
        # Bytes that are no UTF-8 are carried as lone surrogates, so that a bad row costs itself alone.
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._parser = Parser()
        self._held = ""
        self._at = 0
        self._ended = False
        with reading():
            start = handle.read(4)
        refuse_wide(start)
        self._held = self._decoder.decode(start.removeprefix(BOM))

    def next(self) -> str:
        """The next character that is not blank, which stays to be read; empty at the end."""
        while True:
            found = _BLANK.match(self._held, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._held) or self._ended:
                return self._held[self._at : self._at + 1]
            self._more()

    def take(self, mark: str) -> None:
        """Pass over a mark that must come next. Raises ``UnreadableError`` when another does."""
        if self.next() != mark:
            raise self._invalid()
        self._at += 1

    def value(self) -> tuple[Any] | str:
        """The next value, or why it is refused. Raises ``UnreadableError`` where the text is no JSON."""
        self.next()
        while True:
            try:
                value, end, fault = self._parser.at(self._held, self._at)
            except json.JSONDecodeError as error:
                value, end, fault = None, len(self._held), "invalid"
                if self._ended:
                    raise self._invalid() from error
            except RecursionError as error:
                raise UnreadableError(TOO_DEEP + _REST) from error
            if end < len(self._held) or self._ended:
                source, self._at = self._held[self._at : end], end
                return fault or _fault(source) or (value,)
            if len(self._held) - self._at > _opened.MAX_ROW:
                raise UnreadableError(f"invalid JSON, or a row {_opened.too_long()}{_REST}")
            self._more()

    def _more(self) -> None:
        # At least as much again as is held, so that a long row is not parsed from its start too often.
        with reading():
            block = self._handle.read(max(_BLOCK, len(self._held) - self._at))
        self._ended = not block
        self._held = self._held[self._at :] + self._decoder.decode(block, final=self._ended)
        self._at = 0

    def _invalid(self) -> UnreadableError:
        rest = self._held[self._at :]
        reason = "null byte" if "\0" in rest else "not UTF-8" if _BYTES.search(rest) else "invalid JSON"
        return UnreadableError(reason + _REST)


def _rows(text: _Text) -> Iterator[tuple[Any] | str]:
    """Every row's value in a tuple, or why it is refused."""
    first = text.next()
    if first == "[":
        yield from _array(text)
    elif first == "{":
        yield from _object(text)
    elif first:
        raise UnreadableError("file is neither an array nor an object with the array 'data'")
    if text.next():
        raise UnreadableError("invalid JSON" + _REST)


def _array(text: _Text) -> Iterator[tuple[Any] | str]:
    text.take("[")
    if text.next() == "]":
        return text.take("]")
    while True:
        yield text.value()
        if text.next() == "]":
            return text.take("]")
        text.take(",")


def _object(text: _Text) -> Iterator[tuple[Any] | str]:
    found = False
    text.take("{")
    more = text.next() != "}"
    while more:
        key = text.value()
        text.take(":")
        if key == ("data",) and text.next() == "[":
            if found:
                raise UnreadableError("duplicate key" + _REST)
            found = True
            yield from _array(text)
        elif not isinstance(key, tuple) or not isinstance(key[0], str):
            raise UnreadableError("invalid JSON" + _REST)
        else:
            text.value()
        more = text.next() == ","
        if more:
            text.take(",")
    text.take("}")
    if not found:
        raise UnreadableError("file is neither an array nor an object with the array 'data'")


def _by_lines(file: Readable) -> bool:
    """Whether a file is JSON lines: its first line is an object without ``data``, and another line follows."""
    filled = (line for line in lines(file) if line.strip())
    first = decode(next(filled, b""), "")
    if isinstance(first, Bad) or not first.lstrip().startswith("{"):
        return False
    value = parse(Parser(), first, "")
    whole = isinstance(value, dict) or (isinstance(value, Bad) and value.reason != "invalid JSON")
    return whole and not (isinstance(value, dict) and "data" in value) and next(filled, None) is not None


def _fault(source: str) -> str:
    return "not UTF-8" if not source.isascii() and _BYTES.search(source) else ""


COMPONENT = Json
