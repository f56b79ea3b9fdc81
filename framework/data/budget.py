"""A source's budget of tokens: the rows before the first with which it would be exceeded, and exact counts of those."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

from framework.data.load import Dropped, Reading, too_many_bad
from framework.errors import Problem
from framework.sources.base import Source

if TYPE_CHECKING:
    from framework.data.fit import Unit
    from framework.data.rows import Row


class Budget:
    """What may still be read. ``None`` is no bound."""

    def __init__(self, tokens: int | None) -> None:
        self.spent = False
        """Whether a row was left unread for want of tokens."""
        self.records = 0
        """Records before that row, or all, unreadable ones included."""
        self.dropped: dict[str, Dropped] = {}
        """The unreadable ones among them."""
        self._left = tokens
        self._states: list[tuple[int, dict[str, Dropped]]] = []

    def watch(self, reading: Reading, count: int) -> list[Row]:
        """The next rows, with a note of how far each is into the source."""
        if self._left is None:
            batch = list(islice(reading.rows, count))
        else:
            self._states = []
            batch = []
            for row in islice(reading.rows, count):
                batch.append(row)
                self._states.append((reading.records, reading.dropped))
        self.records, self.dropped = reading.records, reading.dropped
        return batch

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
                self.records, self.dropped = self._states[index][0] - 1, self._states[index][1]
                return index
            self._left -= size
        return rows

    def problems(self, path: str, source: Source, rows: int) -> list[Problem]:
        """What is wrong with the part that was read, where the rest is left unread."""
        if not self.spent:
            return []  # reading to the end has told
        if not rows:
            message = f"the first row has more tokens than max_tokens={source.max_tokens}"
            return [Problem(f"{path}.max_tokens", message, "raise max_tokens, or lower the stage's max_length")]
        return too_many_bad(path, source, self.dropped)
