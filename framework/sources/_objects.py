"""Strict JSON for the sources that read it: no duplicate keys, no NaN, no crash on hostile input."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from framework.sources._opened import Readable, UnreadableError, decode, lines
from framework.sources.base import Bad, Record

TOO_DEEP = "nested too deeply"


class Parser:
    """Parses JSON values and notes what is JSON but has not one meaning."""

    def __init__(self) -> None:
        self._fault = ""
        settings: dict[str, Any] = {"object_pairs_hook": self._object, "parse_constant": self._constant}
        self._quick = json.JSONDecoder(**settings)
        self._careful = json.JSONDecoder(**settings, parse_int=self._integer)

    def at(self, text: str, start: int) -> tuple[Any, int, str]:
        """The value that begins at ``start``, where it ends, and why it is refused (empty: it is not).

        Raises ``json.JSONDecodeError`` for what is no whole value and ``RecursionError`` for one nested too deeply.
        """
        self._fault = ""
        try:
            value, end = self._quick.raw_decode(text, start)
        except json.JSONDecodeError:
            raise
        except ValueError:  # a number of more digits than Python converts
            self._fault = ""
            value, end = self._careful.raw_decode(text, start)
        return value, end, self._fault

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            self._fault = self._fault or "duplicate key"
        return found

    def _constant(self, name: str) -> None:
        self._fault = self._fault or "NaN or infinity"

    def _integer(self, digits: str) -> int:
        try:
            return int(digits)
        except ValueError:
            self._fault = self._fault or "number too long"
            return 0


def parse(parser: Parser, text: str, where: str) -> Any | Bad:
    """The value of a JSON text, or ``Bad`` with a short reason."""
    text = text.strip(" \t\r\n")
    try:
        value, end, fault = parser.at(text, 0)
    except json.JSONDecodeError:
        return Bad("invalid JSON", where)
    except RecursionError:
        return Bad(TOO_DEEP, where)
    if end != len(text):
        return Bad("invalid JSON", where)
    return Bad(fault, where) if fault else value


def record(value: Any, where: str) -> Record | Bad:
    """A record from a parsed value; only objects are rows."""
    if isinstance(value, Bad):
        return value
    if not isinstance(value, dict):
        return Bad("row is not an object", where)
    return Record(value, where)


def read_lines(file: Readable, name: str) -> Iterator[Record | Bad]:
    """One record a line; blank lines are none."""
    number = 0
    parser = Parser()
    try:
        for number, line in enumerate(lines(file), start=1):
            if line.strip():
                where = f"{name}:{number}"
                text = decode(line, where)
                yield text if isinstance(text, Bad) else record(parse(parser, text, where), where)
    except UnreadableError as error:
        yield Bad(str(error), f"{name}:{number + 1}")
