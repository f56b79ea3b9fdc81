"""Reading a source: records to typed rows, with everything that was left out counted by reason."""

from __future__ import annotations

import difflib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Any

from framework.data.cache import file_digest, key_of
from framework.data.formats import detect, to_row
from framework.data.rows import Row
from framework.errors import DataError, Problem
from framework.sources._files import common_folder
from framework.sources.base import Bad, Format, Record, Source

_LOOK = 100
"""Records whose columns decide the format."""
_NOT_CONTENT = frozenset({"path", "max_bad_rows"})
"""Settings that do not change the rows: where a file lies and how much damage is borne."""


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

    def drop(self, bad: Bad) -> None:
        """Count a row that is left out."""
        known = self.dropped.get(bad.reason)
        self.dropped[bad.reason] = Dropped(known.count + 1, known.first) if known else Dropped(1, bad.where)


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
    columns = _columns(look, source)
    unknown = [theirs for theirs in source.map if not any(_has(record, theirs) for record in look)]
    if unknown and columns:
        raise DataError([_unknown_column(path, theirs, look) for theirs in unknown])
    format = source.format if source.format != "auto" else detect(columns, _labels(look, source))
    if format is None and not columns:
        format = "text"  # nothing could be read: the rows' own reasons say why
    if format is None:
        raise DataError([_undecided(path, columns)])
    reading = Reading(format, iter(()))
    reading.rows = _rows(reading, chain(look, records), source, path)
    return reading


def fingerprint(source: Source, path: str = "") -> str:
    """Hash of what determines a source's rows, without reading them: file contents, file names, settings."""
    with _at(path):
        files = source.files()
        settings = source.model_dump(mode="json", exclude=set(_NOT_CONTENT))
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


def _rows(reading: Reading, records: Iterator[Record | Bad], source: Source, path: str) -> Iterator[Row]:
    labels = {str(name): value for name, value in source.labels.items()}
    count = 0
    with _at(path):
        for record in records:
            if isinstance(record, Record):
                record = to_row(_renamed(record, source), reading.format, labels)
            if isinstance(record, Bad):
                reading.drop(record)
                continue
            count += 1
            yield record
    problems = too_many_bad(path, source, reading.dropped)
    if not problems and not count:
        reasons = ", ".join(f"{entry.count} x {reason}" for reason, entry in reading.dropped.items())
        problems = [Problem(path, f"there are no rows{': ' + reasons if reasons else ''}", "check the file")]
    if problems:
        raise DataError(problems)


def _renamed(record: Record, source: Source) -> Record:
    if not source.map:
        return record
    # A renamed column replaces one that has its new name already: the user said which is meant.
    kept = {name: value for name, value in record.fields.items() if name not in source.map}
    moved = {ours: record.fields[theirs] for theirs, ours in source.map.items() if theirs in record.fields}
    return Record({**kept, **moved}, record.where)


def _columns(look: list[Record | Bad], source: Source) -> frozenset[str]:
    found = [_renamed(record, source).fields for record in look if isinstance(record, Record)]
    return frozenset(chain.from_iterable(found))


def _labels(look: list[Record | Bad], source: Source) -> list[Any]:
    """The values of the column ``label`` in the rows that have one."""
    found = [_renamed(record, source).fields.get("label") for record in look if isinstance(record, Record)]
    return [value for value in found if value is not None]


def _has(record: Record | Bad, column: str) -> bool:
    return isinstance(record, Record) and column in record.fields


def _unknown_column(path: str, theirs: str, look: list[Record | Bad]) -> Problem:
    names = sorted({name for record in look if isinstance(record, Record) for name in record.fields})
    near = difflib.get_close_matches(theirs, names, n=1)
    fix = f"did you mean {near[0]!r}?" if near else f"the columns are {', '.join(names)}"
    return Problem(f"{path}.map.{theirs}", f"the first {len(look)} rows have no column {theirs!r}", fix)


def _undecided(path: str, columns: frozenset[str]) -> Problem:
    fix = "rename columns with map: {theirs: ours}, for instance {question: instruction, answer: response}"
    return Problem(f"{path}.format", f"no format fits the columns {', '.join(sorted(columns))}", fix)


@contextmanager
def _at(path: str) -> Generator[None]:
    """Puts the source's place in the configuration before the paths of the problems raised inside."""
    try:
        yield
    except DataError as error:
        if not path:
            raise
        raise DataError([replace(problem, path=f"{path}.{problem.path}") for problem in error.problems]) from error
