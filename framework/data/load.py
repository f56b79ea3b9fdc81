"""Reading a source: records to typed rows, with everything that was left out counted by reason."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Any, cast

from framework.data.cache import file_digest, key_of
from framework.data.convert import Conversion, converted
from framework.data.formats import detect, to_row
from framework.data.rows import Row, Text, size_of
from framework.errors import DataError, Problem
from framework.sources._files import common_folder, printable
from framework.sources.base import Bad, Format, Record, Source

_LOOK = 100
"""Records whose columns decide the format."""
_MISSING = object()
_SHOWN = 20
"""Columns that a message names."""
_BATCH, _BATCH_CHARS = 512, 1 << 20
"""Most rows, and about most characters, of a batch."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """Rows left out for one reason, and the place of the first."""

    count: int
    first: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """A source's rows, the format they were read as, and the unreadable ones by reason."""

    rows: list[Row]
    format: Format
    dropped: dict[str, Dropped]
    fingerprint: str
    """Hash of the files' content and of every setting that changes rows."""


@dataclass(slots=True)
class Reading:
    """Rows as they come. ``format`` and ``columns`` are known from the start, ``dropped`` when the rows are through."""

    format: Format
    rows: Iterator[Row]
    dropped: dict[str, Dropped] = field(default_factory=dict)
    records: int = 0
    """Records that were read so far, unreadable ones included."""
    unseen: frozenset[str] = frozenset()
    """Columns of ``map`` that none of them had."""
    unknown: Callable[[frozenset[str]], list[Problem]] = lambda unseen: []
    """What to say of such columns at the end of the source."""
    left_out: dict[str, Dropped] = field(default_factory=dict)
    """Passages of which a converter made no row."""
    conversion: Conversion | None = None

    def drop(self, bad: Bad) -> None:
        """Count a row that cannot be read. The counts are replaced, not changed: who holds earlier ones keeps them."""
        self.dropped = _counted(self.dropped, bad.reason, bad.where)

    def leave_out(self, reason: str, id: str) -> None:
        """Count a passage that is not converted."""
        self.left_out = _counted(self.left_out, reason, id)


def _counted(counts: dict[str, Dropped], reason: str, first: str) -> dict[str, Dropped]:
    known = counts.get(reason)
    return {**counts, reason: Dropped(known.count + 1, known.first) if known else Dropped(1, first)}


def load(name: str, source: Source, path: str = "") -> Loaded:
    """All rows of a source in memory; use ``read`` for data that may be large.

    ``path`` is the dotted path of the source in the configuration, for messages. Raises ``DataError`` when the source
    cannot be read, has no rows, or has more unreadable ones than ``max_bad_rows``.
    """
    reading = read(name, source, path)
    rows = list(reading.rows)
    return Loaded(rows, reading.format, reading.dropped, fingerprint(source, path))


def read(name: str, source: Source, path: str = "") -> Reading:
    """Start reading a source. Exhausting ``rows`` raises ``DataError`` as ``load`` does."""
    path = path or f"data.sources.{name}"
    with _at(path):
        records = islice(source.records(), source.max_rows)
        look = list(islice(records, _LOOK))
    renaming = _Renaming(source.map, path)
    renamed = [renaming(record).fields for record in look if isinstance(record, Record)]
    columns = frozenset(chain.from_iterable(renamed))
    labels = [fields["label"] for fields in renamed if fields.get("label") is not None]
    format = source.format if source.format != "auto" else detect(columns, labels)
    if format is None and not columns:
        format = "text"  # nothing could be read: the rows' own reasons say why
    # A column may appear once in a while, so that only the whole source can tell that it is unknown.
    if format is None or (len(look) < _LOOK and columns):
        problems = renaming.unknown(renaming.unseen)
        if problems or format is None:
            raise DataError(problems or [_undecided(path, columns)])
    reading = Reading(format, iter(()), unseen=frozenset(source.map), unknown=renaming.unknown)
    reading.rows = _rows(reading, chain(look, records), source, renaming)
    if source.convert is not None:
        if format != "text":
            raise DataError([_not_text(path, format)])
        convert = source.convert.begin(lambda: _texts(source, path))
        reading.conversion = Conversion()
        reading.rows = converted(reading.rows, convert, reading.conversion, reading.leave_out)
    return reading


def bounded(source: Source, records: int) -> Source:
    """A source with a budget of tokens, as one that ends after the records that a stage had read of it."""
    return source if source.max_tokens is None else source.model_copy(update={"max_tokens": None, "max_rows": records})


def batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Rows in lists that are handled at once: bounded in number and, up to one row, in text."""
    held: list[Row] = []
    room = _BATCH_CHARS
    for row in rows:
        held.append(row)
        room -= size_of(row)
        if len(held) == _BATCH or room <= 0:
            yield held
            held, room = [], _BATCH_CHARS
    if held:
        yield held


def fingerprint(source: Source, path: str = "") -> str:
    """Hash of what determines a source's rows, without reading them: file contents, file names, settings."""
    with _at(path):
        files = source.files()
        settings = source.content()
        root = common_folder(files)
        try:
            return key_of([settings, [[file.relative_to(root).as_posix(), file_digest(file)] for file in files]])
        except OSError as error:
            raise DataError([Problem("path", f"{error.filename} cannot be read: {error.strerror}")]) from error


def too_many_bad(path: str, source: Source, dropped: dict[str, Dropped]) -> list[Problem]:
    """A problem when more rows could not be read than the source allows."""
    bad = sum(entry.count for entry in dropped.values())
    if bad <= source.max_bad_rows:
        return []
    reasons = "; ".join(f"{entry.count} x {reason} (first {entry.first})" for reason, entry in dropped.items())
    fix = f"repair the rows, or set {path}.max_bad_rows to {bad} or more to leave them out"
    return [Problem(path, f"{bad} rows cannot be read, {source.max_bad_rows} are allowed: {reasons}", fix)]


def _rows(reading: Reading, records: Iterator[Record | Bad], source: Source, renaming: _Renaming) -> Iterator[Row]:
    labels = {str(name): value for name, value in source.labels.items()}
    path = renaming.path
    count = 0
    with _at(path):
        for record in records:
            reading.records += 1
            if isinstance(record, Record):
                renamed = renaming(record)
                if reading.unseen:
                    reading.unseen = renaming.without(reading.unseen, record)
                record = to_row(renamed, reading.format, labels)
            if isinstance(record, Bad):
                reading.drop(record)
                continue
            count += 1
            yield record
    problems = too_many_bad(path, source, reading.dropped)
    problems += renaming.unknown(reading.unseen)
    if not problems and not count:
        reasons = ", ".join(f"{entry.count} x {reason}" for reason, entry in reading.dropped.items())
        problems = [Problem(path, f"there are no rows{': ' + reasons if reasons else ''}", "check the file")]
    if problems:
        raise DataError(problems)


def _texts(source: Source, path: str) -> Iterator[str]:
    """All texts of a source, read anew; what cannot be read is counted where its rows are."""
    reading = Reading("text", iter(()))
    tolerant = source.model_copy(update={"max_bad_rows": 10**12})
    records = islice(source.records(), source.max_rows)
    rows = _rows(reading, records, tolerant, _Renaming(source.map, path))
    return (row.text for row in rows if isinstance(row, Text))


class _Renaming:
    """Gives columns the names that ``map`` says, and remembers which of them were never there."""

    def __init__(self, map: dict[str, str], path: str) -> None:
        self.path = path
        self.columns: set[str] = set()
        """Columns of the first records, and fields inside them."""
        self.unseen = frozenset(map)
        """Columns that none of the first records had."""
        self._map = map
        self._read = 0

    def __call__(self, record: Record) -> Record:
        """The record with its columns renamed."""
        if not self._map:
            return record
        fields = record.fields
        moved = {ours: found for theirs, ours in self._map.items() if (found := _field(fields, theirs)) is not _MISSING}
        if self._read < _LOOK:
            self._read += 1
            self.columns |= set(_names(fields))
            self.unseen = self.without(self.unseen, record)
        # A renamed column replaces one that has its new name already: the user said which is meant.
        return Record(
            {**{name: value for name, value in fields.items() if name not in self._map}, **moved}, record.where
        )

    def without(self, unseen: frozenset[str], record: Record) -> frozenset[str]:
        """Those of the columns that a record does not have."""
        return frozenset(theirs for theirs in unseen if _field(record.fields, theirs) is _MISSING)

    def unknown(self, unseen: frozenset[str]) -> list[Problem]:
        """A problem for each of the columns; none where no record could be read, which has reasons of its own."""
        return [self._problem(theirs) for theirs in self._map if theirs in unseen] if self.columns else []

    def _problem(self, theirs: str) -> Problem:
        names = sorted(map(printable, self.columns))
        near = difflib.get_close_matches(theirs, names, n=1)
        fix = f"did you mean {near[0]!r}?" if near else f"the columns are {', '.join(names[:_SHOWN])}"
        return Problem(f"{self.path}.map.{theirs}", f"no row has a column {theirs!r}", fix)


def _field(value: Any, name: str) -> Any:
    """A column by its name, or a field inside one by dotted names and places in lists; the longest name that is there
    wins. ``_MISSING`` when there is none."""
    if isinstance(value, list):
        head, _, rest = name.partition(".")
        held = cast("list[Any]", value)
        if not (head.isdecimal() and len(head) < 10 and int(head) < len(held)):
            return _MISSING
        return _field(held[int(head)], rest) if rest else held[int(head)]
    if not isinstance(value, dict):
        return _MISSING
    if name in value:
        return value[name]
    end = name.rfind(".")
    while end > 0:
        if name[:end] in value and (found := _field(value[name[:end]], name[end + 1 :])) is not _MISSING:
            return found
        end = name.rfind(".", 0, end)
    return _MISSING


def _names(fields: dict[str, Any]) -> Iterator[str]:
    """Columns, and the fields of objects in them."""
    for name, value in fields.items():
        yield name
        if isinstance(value, dict):
            yield from (f"{name}.{inner}" for inner in cast("dict[str, Any]", value))


def _not_text(path: str, format: Format) -> Problem:
    fix = f"remove {path}.convert, or set {path}.format=text and map the column that holds the text"
    return Problem(f"{path}.convert", f"only rows of plain text are converted; these are read as {format}", fix)


def _undecided(path: str, columns: frozenset[str]) -> Problem:
    fix = "rename columns with map: {theirs: ours}, for instance {question: instruction, answer: response}"
    return Problem(
        f"{path}.format", f"no format fits the columns {', '.join(sorted(map(printable, columns))[:_SHOWN])}", fix
    )


@contextmanager
def _at(path: str) -> Generator[None]:
    """Puts the source's place in the configuration before the paths of the problems raised inside."""
    try:
        yield
    except DataError as error:
        if not path:
            raise
        raise DataError([replace(problem, path=f"{path}.{problem.path}") for problem in error.problems]) from error
