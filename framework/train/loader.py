"""The steps of a stage as micro-batches: the same for every number of workers, shared out between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from framework.data.packs import Packs, SegmentRole
from framework.train.batch import MicroBatch, Piece, build, chunked, share


@dataclass(frozen=True, slots=True)
class Share:
    """One micro-batch of a worker; ``weight`` is 0 where the worker has none left and only keeps pace."""

    batch: MicroBatch
    weight: float


class Loader:
    """Reads packs from disk and builds micro-batches, the next one while the current one trains."""

    def __init__(self, packs: Packs, micro_tokens: int, rank: int, world: int) -> None:
        self._packs = packs
        self.capacity = packs.capacity
        """Tokens that a pack, or a row, has at most."""
        self._per_micro = max(1, micro_tokens // packs.capacity)
        self._rank = rank
        self._world = world

    @property
    def steps(self) -> int:
        """Optimizer steps of the stage."""
        return len(self._packs.steps) - 1

    def groups(self, step: int) -> list[list[int]]:
        """The packs of each micro-batch of a step, over all workers."""
        packs = self.step(step)
        # No more packs to a micro-batch than leaves every worker something to do.
        size = max(1, min(self._per_micro, -(-len(packs) // self._world)))
        return [list(group) for group in chunked(packs, size)]

    def step(self, step: int) -> range:
        """The packs of a step's global batch."""
        return self._packs.step_packs(step)

    def targets(self, step: int) -> np.ndarray:
        """Supervised tokens of a step's global batch, by source, int64 [sources]."""
        segments = self._rows(step)
        counts = np.array([self._packs.supervised[s : s + n].sum() for s, n in segments[:, :2]], dtype=np.int64)
        return np.bincount(segments[:, 4], weights=counts, minlength=len(self._packs.sources)).astype(np.int64)

    def tokens(self, step: int) -> int:
        """All tokens of a step's global batch."""
        return int(self._rows(step)[:, 1].sum())

    def units(self, step: int) -> list[int]:
        """The rows of a step's global batch, by their place in the stage's order."""
        return sorted({int(unit) for unit in self._rows(step)[:, 2]})

    def responses(self, step: int) -> int:
        """Responses to prompts in a step's global batch: two for a pair, one for a judged row."""
        return int((self._rows(step)[:, 3] > SegmentRole.PREFIX).sum())

    def _rows(self, step: int) -> np.ndarray:
        first, last = self._packs.steps[step], self._packs.steps[step + 1]
        return np.asarray(self._packs.segments[self._packs.packs[first] : self._packs.packs[last]])

    def shares(self, step: int) -> list[tuple[list[int], float]]:
        """This worker's groups of packs in a step; all workers have equally many."""
        groups = self.groups(step)
        rounds = -(-len(groups) // self._world)
        places = [turn * self._world + self._rank for turn in range(rounds)]
        return [(groups[place], 1.0) if place < len(groups) else (groups[0], 0.0) for place in places]

    def iterate(self, start: int) -> Iterator[tuple[int, list[Share]]]:
        """Steps from ``start`` with this worker's micro-batches."""
        with ThreadPoolExecutor(max_workers=1) as pool:
            coming = pool.submit(self._step, start) if start < self.steps else None
            for step in range(start, self.steps):
                assert coming is not None
                current = coming.result()
                coming = pool.submit(self._step, step + 1) if step + 1 < self.steps else None
                yield step, current

    def _step(self, step: int) -> list[Share]:
        return [Share(self.build(group), weight) for group, weight in self.shares(step)]

    def build(self, group: Sequence[int]) -> MicroBatch:
        """The micro-batch of some packs."""
        return build(share(self.rows(group)))

    def rows(self, group: Sequence[int]) -> list[list[Piece]]:
        """The rows of some packs: each its start, and the continuations of that."""
        packs = self._packs
        rows: list[list[Piece]] = []
        for pack in group:
            for segment in packs.pack_segments(pack):
                start, length, unit, role, source, _ = (int(value) for value in segment)
                own = slice(start, start + length)
                piece = Piece(
                    tokens=np.asarray(packs.tokens[own]),
                    supervised=np.asarray(packs.supervised[own]),
                    depth=int(role not in (SegmentRole.ALONE, SegmentRole.PREFIX)),
                    unit=unit,
                    child=int(role in (SegmentRole.REJECTED, SegmentRole.UNDESIRABLE)),
                    source=source,
                )
                if piece.depth:
                    rows[-1].append(piece)
                else:
                    rows.append([piece])
        return rows
