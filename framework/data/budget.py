"""A source's budget of tokens: the rows before the first with which it would be exceeded, and exact counts of those."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from framework.data.load import Dropped, read, too_many_bad
from framework.errors import DataError, Problem
from framework.sources.base import Source

if TYPE_CHECKING:
    from framework.data.fit import Unit
    from framework.data.rows import Row


_ALL = 10**12


@dataclass(frozen=True, slots=True)
class _State:
    """How far a source is read."""

    records: int
    dropped: dict[str, Dropped]
    unseen: frozenset[str]


class Budget:
    """What may still be read of a source; one without ``max_tokens`` has no bound."""

    def __init__(self, source: Source, path: str) -> None:
        bound = source.max_tokens
        # Batches are read ahead: what is wrong beyond the end of the budget must not stop the plan.
        self.reading = read(path, source if bound is None else source.model_copy(update={"max_bad_rows": _ALL}), path)
        self.spent = False
        """Whether a row was left unread for want of tokens."""
        self._source, self._path, self._left = source, path, bound
        self._states: list[_State] = []
        self._state = self._now()
        self._before = self._state.unseen

    @property
    def records(self) -> int:
        """Records before the row that was left unread, or all, unreadable ones included."""
        return self._state.records

    @property
    def dropped(self) -> dict[str, Dropped]:
        """The unreadable ones among them."""
        return self._state.dropped

    def batch(self, count: int) -> list[Row]:
        """The next rows."""
        self._before = self._state.unseen
        if self._left is None:
            rows = list(islice(self.reading.rows, count))
        else:
            self._states = []
            rows: list[Row] = []
            for row in islice(self.reading.rows, count):
                rows.append(row)
                self._states.append(self._now())
        self._state = self._now()
        return rows

    def take(self, units: Sequence[tuple[int, Unit]], rows: int) -> int:
        """How many rows of a batch fit. ``units`` are those of its rows, each with its row's place, in order."""
        if self._left is None:
            return rows
        sizes = [0] * rows
        for index, unit in units:
            sizes[index] += len(unit.ids)
        for index, size in enumerate(sizes):
            if size > self._left:
                self.spent = True
                seen = self._states[index - 1].unseen if index else self._before
                self._state = replace(self._states[index], records=self._states[index].records - 1, unseen=seen)
                return index
            self._left -= size
        return rows

    def check(self, rows: int) -> None:
        """Raises ``DataError`` for what is wrong with the part that was read; reading to the end has told the rest."""
        if self._left is None:
            return
        problems = too_many_bad(self._path, self._source, self.dropped)
        if self.spent and not rows:
            message = f"the first row has more tokens than max_tokens={self._source.max_tokens}"
            fix = "raise max_tokens, or lower the stage's max_length"
            problems.append(Problem(f"{self._path}.max_tokens", message, fix))
        elif self.spent:
            problems += self.reading.unknown(self._state.unseen)
        if problems:
            raise DataError(problems)

    def _now(self) -> _State:
        return _State(self.reading.records, self.reading.dropped, self.reading.unseen)
