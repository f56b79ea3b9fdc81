"""A source's profile: a column for each fact, on disk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from framework.data.rows import RowKind
from framework.profile.words import runs

KINDS: tuple[RowKind, ...] = ("text", "conversation", "pair", "judged")
FLAGS = ("refuses", "asks_back", "harmful", "asks")
"""What is true of a row: its reply refuses; its reply asks back; its prompt seems harmful; its prompt asks at all."""
WRITTEN = ("task", "topic", "slice")
"""Labels that rows may carry; without one, ``task`` is inferred."""
COUNTS = ("prompt_words", "response_words", "rejected_words")
HASHES = ("prompt", "response", "rejected", "whole")


@dataclass(frozen=True, slots=True)
class Sample:
    """A row for people to look at."""

    id: str
    text: str


class Profile:
    """The profile of one source, memory-mapped."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.names: dict[str, list[str]] = json.loads((folder / "names.json").read_text(encoding="utf-8"))
        """By label: its values; a column holds places in this list."""

    def column(self, name: str) -> NDArray[np.generic]:
        """One column of ``KINDS``, ``FLAGS``, ``WRITTEN``, ``COUNTS`` or ``HASHES`` (as ``hash_NAME``); [N]."""
        return np.load(self._folder / f"{name}.npy", mmap_mode="r")

    def counts(self, name: str) -> NDArray[np.int64]:
        """A column of words counted; int64 [N]."""
        return np.asarray(self.column(name), dtype=np.int64)

    def flag(self, name: str) -> NDArray[np.bool_]:
        """A column of ``FLAGS``; bool [N]."""
        return np.asarray(self.column(name), dtype=np.bool_)

    def is_kind(self, kind: RowKind) -> NDArray[np.bool_]:
        """Which rows are of a kind; bool [N]."""
        return np.asarray(self.column("kind") == KINDS.index(kind))

    def labels(self, name: str) -> list[str]:
        """A label of every row, empty where it has none."""
        values = self.names[name]
        return [values[place] for place in np.asarray(self.column(name), dtype=np.int64).tolist()]

    @cached_property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.column("kind"))

    @cached_property
    def word_numbers(self) -> NDArray[np.uint32]:
        """The words of all rows, one row after the other; uint32 [W]."""
        return np.fromfile(self._folder / "words.bin", dtype=np.uint32)

    @cached_property
    def word_starts(self) -> NDArray[np.int64]:
        """Where each row's words start; int64 [N + 1]."""
        return np.asarray(np.load(self._folder / "word_starts.npy"), dtype=np.int64)

    def words_of(self, row: int) -> NDArray[np.uint32]:
        """The words of one row."""
        return self.word_numbers[self.word_starts[row] : self.word_starts[row + 1]]

    def runs_of(self, row: int, n: int) -> NDArray[np.uint64]:
        """Its runs of ``n`` words."""
        return runs(self.words_of(row), n)

    def signatures(self) -> NDArray[np.uint32]:
        """MinHash signatures; uint32 [N, P]."""
        return np.asarray(np.load(self._folder / "signatures.npy", mmap_mode="r"))

    def samples(self, rows: list[int]) -> Iterator[Sample]:
        """Excerpts of rows."""
        starts = np.load(self._folder / "excerpt_starts.npy")
        with (self._folder / "excerpts.bin").open("rb") as file:
            for row in rows:
                file.seek(int(starts[row]))
                id, text = json.loads(file.read(int(starts[row + 1] - starts[row])))
                yield Sample(id, text)
