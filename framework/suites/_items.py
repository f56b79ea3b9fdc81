"""Reading a suite's items: JSON lines, plain or gzipped, every line checked and every problem reported at
once.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Protocol, TypeVar

from pydantic import ConfigDict, StringConstraints, TypeAdapter, ValidationError

from framework.errors import DataError, Problem
from framework.paths import resolve

STRICT = ConfigDict(extra="forbid", strict=True)
"""For an item's ``__pydantic_config__``: no unknown keys (a misspelt optional key would lose a slice), no
coercion.
"""

MAX_PROBLEMS = 50
"""Problems spelt out for one file; the rest are counted in a last one."""

Filled = Annotated[str, StringConstraints(pattern=r"\S")]
"""Text with something in it."""


class Item(Protocol):
    """What every item has. ``id`` is unique in its file."""

    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=Item)


def read_items(path: str, item: type[T]) -> list[T]:
    """All items of a file, in file order; blank lines are skipped.

    ``item`` is a dataclass whose ``__pydantic_config__`` is ``STRICT``. Raises ``DataError`` with one problem
    for each wrong field (``origin`` is ``file:line``), for a repeated id, and for a file that is missing,
    damaged or empty.
    """
    file = resolve(path)
    adapter = TypeAdapter(item)
    items: list[T] = []
    problems: list[Problem] = []
    first_seen: dict[str, int] = {}
    for number, line in _lines(file):
        where = f"{file}:{number}"
        try:
            read = adapter.validate_json(line)
        except ValidationError as error:
            problems.extend(_field_problems(error, where))
            continue
        if read.id in first_seen:
            message = f"the id {read.id!r} stands on line {first_seen[read.id]} already"
            problems.append(Problem("id", message, "give every item its own id", where))
        first_seen.setdefault(read.id, number)
        items.append(read)
    if not items and not problems:
        problems.append(Problem("", "the file has no items", "add one JSON object a line", str(file)))
    raise_all(problems)
    return items


def raise_all(problems: list[Problem]) -> None:
    """Raise ``DataError`` with the problems, if there are any; those past ``MAX_PROBLEMS`` are counted, not
    listed.
    """
    if not problems:
        return
    rest = len(problems) - MAX_PROBLEMS
    tail = [Problem("", f"and {rest} more problems in this file")] if rest > 0 else []
    raise DataError(problems[:MAX_PROBLEMS] + tail)


def subset(items: Sequence[T], max_items: int | None, unit_of: Callable[[T], str] | None = None) -> list[T]:
    """At most ``max_items`` items, spread evenly over the file and in its order.

    Evenly spread, because files are often sorted by topic. Items for which ``unit_of`` gives the same
    non-empty name stay together; one unit is kept even when it alone is larger than ``max_items``.
    """
    if max_items is None or len(items) <= max_items:
        return list(items)
    units: dict[tuple[str, int], list[int]] = {}
    for position, item in enumerate(items):
        name = unit_of(item) if unit_of else ""
        units.setdefault((name, -1 if name else position), []).append(position)
    members = list(units.values())
    for keep in range(min(len(members), max_items), 0, -1):
        chosen = [members[index * len(members) // keep] for index in range(keep)]
        positions = sorted(position for unit in chosen for position in unit)
        if len(positions) <= max_items or keep == 1:
            return [items[position] for position in positions]
    return []


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    """Numbered non-blank lines. Raises ``DataError`` when the file cannot be read."""
    try:
        with gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
                if text.strip():
                    yield number, text
    except FileNotFoundError:
        raise DataError([Problem("", "the file does not exist", "correct the suite's path", str(file))]) from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError([Problem("", f"the file cannot be read: {error}", origin=str(file))]) from None


def _field_problems(error: ValidationError, where: str) -> list[Problem]:
    """One problem for each wrong field of a line, in words that do not number the lines within it."""
    return [
        Problem(".".join(str(part) for part in detail["loc"]), _plain(detail["msg"]), origin=where)
        for detail in error.errors(include_url=False, include_context=False)
    ]


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ").replace(" at line 1 column ", " at column ")
