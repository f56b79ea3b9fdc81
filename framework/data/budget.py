"""A source's budget of tokens: the rows before the first with which it would be exceeded, and exact counts of those."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from framework.data.load import Dropped, read, too_many_bad
from framework.errors import DataError, Problem
from framework.sources.base import Source

if TYPE_CHECKING:
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
        self._states: deque[_State] = deque()
        self._end: _State | None = None
        self._unseen = self.reading.unseen

    @property
    def records(self) -> int:
        """Records before the row that was left unread, or all, unreadable ones included."""
        return self._now().records

    @property
    def dropped(self) -> dict[str, Dropped]:
        """The unreadable ones among them."""
        return self._now().dropped

    def rows(self) -> Iterator[Row]:
        """The source's rows, which may be read ahead of ``take`` as far as one likes."""
        for row in self.reading.rows:
            if self._left is not None:
                self._states.append(self._now())
            yield row

    def take(self, sizes: Sequence[int]) -> int:
        """How many of the next rows fit, in the order of ``rows``; ``sizes`` are their tokens."""
        if self._left is None:
            return len(sizes)
        for kept, size in enumerate(sizes):
            state = self._states.popleft()
            if size > self._left:
                self.spent = True
                self._end = replace(state, records=state.records - 1, unseen=self._unseen)
                return kept
            self._left -= size
            self._unseen = state.unseen
        return len(sizes)

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
            problems += self.reading.unknown(self._unseen)
        if problems:
            raise DataError(problems)

    def _now(self) -> _State:
        return self._end or _State(self.reading.records, self.reading.dropped, self.reading.unseen)
