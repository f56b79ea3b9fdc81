"""A stage's packs on disk, memory-mapped: what the training loop reads.

A folder holds ``tokens.npy`` int32 [N], ``supervised.npy`` bool [N], ``segments.npy`` int64 [S, 6], ``packs.npy`` int64
[P + 1] (segments), ``steps.npy`` int64 [T + 1] (packs), ``ids.json`` (row ids by unit) and ``meta.json``; where the
stage takes the margins of pairs, also ``margins.npy`` float32 [U].
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from framework.data.encode import Tokens


class Field(IntEnum):
    """Columns of ``segments``."""

    START = 0
    """First token, in ``tokens``."""
    LENGTH = 1
    UNIT = 2
    """Index of the row or pair in draw order."""
    ROLE = 3
    SOURCE = 4
    PREFIX = 5
    """Segment whose tokens this one goes on from, or -1."""


class SegmentRole(IntEnum):
    """What a segment is."""

    ALONE = 0
    PREFIX = 1
    """A prompt: what chosen and rejected share, or what a judged reply answers."""
    CHOSEN = 2
    REJECTED = 3
    DESIRABLE = 4
    """A reply judged by itself, after its prompt."""
    UNDESIRABLE = 5


@dataclass(frozen=True, slots=True)
class Packs:
    """Packs of at most ``capacity`` tokens, grouped into optimizer steps. Arrays are read-only."""

    tokens: NDArray[np.int32]
    supervised: NDArray[np.bool_]
    """Whether a token is a target, to be predicted from those before it in its segment and its segment's prefix."""
    segments: NDArray[np.int64]
    packs: NDArray[np.int64]
    """Segments of pack ``p``: ``packs[p]`` up to ``packs[p + 1]``."""
    steps: NDArray[np.int64]
    """Packs of step ``t``: ``steps[t]`` up to ``steps[t + 1]``."""
    sources: tuple[str, ...]
    capacity: int
    units: int
    pairs: int
    directory: Path
    margins: NDArray[np.float32] | None = None
    """By how much ``chosen`` is better, by unit, 0 where a row says nothing; None where the stage takes none."""

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Map a folder of packs. Raises ``ValueError`` when its parts do not agree."""
        import numpy as np

        meta: dict[str, Any] = json.loads((directory / "meta.json").read_text(encoding="utf-8"))
        names = ("tokens", "supervised", "segments", "packs", "steps")
        arrays = {name: np.load(directory / f"{name}.npy", mmap_mode="r") for name in names}
        shapes = {name: list(array.shape) for name, array in arrays.items()}
        if shapes != meta["shapes"]:
            raise ValueError(f"the packs in {directory} are damaged: {shapes} is not {meta['shapes']}")
        return cls(
            **arrays,
            sources=tuple(meta["sources"]),
            capacity=meta["capacity"],
            units=meta["units"],
            pairs=meta["pairs"],
            directory=directory,
            margins=np.load(file) if (file := directory / "margins.npy").exists() else None,
        )

    def ids(self) -> list[str]:
        """Row ids by unit."""
        return json.loads((self.directory / "ids.json").read_text(encoding="utf-8"))

    def pack_segments(self, pack: int) -> NDArray[np.int64]:
        """The segments of a pack, [s, 6]."""
        return self.segments[self.packs[pack] : self.packs[pack + 1]]

    def step_packs(self, step: int) -> range:
        """The packs of an optimizer step."""
        return range(int(self.steps[step]), int(self.steps[step + 1]))


@dataclass(frozen=True, slots=True)
class Units:
    """The rows or pairs of a stage in draw order: which source, and which of its units. Both int64 [U]."""

    source: NDArray[np.int64]
    index: NDArray[np.int64]


def write_packs(
    directory: Path,
    units: Units,
    packs: Sequence[Sequence[int]],
    sources: Sequence[tuple[str, Tokens]],
    capacity: int,
    packs_per_step: int,
) -> None:
    """Write packs, each a list of places in ``units``, into an existing folder."""
    import numpy as np

    order = np.fromiter((place for group in packs for place in group), dtype=np.int64, count=len(units.source))
    parts, begins = _looked_up(units, sources, order)
    ends = np.cumsum(parts.sum(axis=1))
    total = int(ends[-1]) if len(ends) else 0
    tokens = _created(directory / "tokens.npy", np.dtype(np.int32), total)
    supervised = _created(directory / "supervised.npy", np.dtype(np.bool_), total)
    held = [(np.asarray(one.tokens), np.asarray(one.supervised)) for _, one in sources]
    at = 0
    for source, begin, end in zip(units.source[order].tolist(), begins.tolist(), ends.tolist(), strict=True):
        from_tokens, from_supervised = held[source]
        tokens[at:end] = from_tokens[begin : begin + end - at]
        supervised[at:end] = from_supervised[begin : begin + end - at]
        at = end
    segments, counts = _segments(parts, ends, order, units.source[order])
    firsts = np.cumsum([0, *(len(group) for group in packs)])
    small = {
        "segments": segments,
        "packs": np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)[firsts],
        "steps": np.array([*range(0, len(packs), packs_per_step), len(packs)] if packs else [0], dtype=np.int64),
    }
    for name, array in small.items():
        np.save(directory / f"{name}.npy", array)
    meta = {
        "sources": [name for name, _ in sources],
        "capacity": capacity,
        "units": len(units.source),
        "pairs": int((segments[:, Field.ROLE] == SegmentRole.CHOSEN).sum()),
        "shapes": {
            "tokens": [total],
            "supervised": [total],
            **{name: list(array.shape) for name, array in small.items()},
        },
    }
    ids = [sources[source][1].ids[at] for source, at in zip(units.source.tolist(), units.index.tolist(), strict=True)]
    (directory / "ids.json").write_text(json.dumps(ids), encoding="utf-8")
    (directory / "meta.json").write_text(json.dumps(meta), encoding="utf-8")


def write_margins(directory: Path, units: Units, sources: Sequence[tuple[str, Tokens]]) -> None:
    """Write what ``Packs.margins`` reads; units are in draw order."""
    import numpy as np

    np.save(directory / "margins.npy", np.nan_to_num(margins_of(units, sources), nan=0.0))


def margins_of(units: Units, sources: Sequence[tuple[str, Tokens]]) -> NDArray[np.float32]:
    """The margin that each unit's row states, float32 [U]; NaN where it states none."""
    import numpy as np

    found = np.full(len(units.source), np.nan, dtype=np.float32)
    for number, (_, held) in enumerate(sources):
        own = units.source == number
        found[own] = held.margin[units.index[own]]
    return found


def _looked_up(
    units: Units, sources: Sequence[tuple[str, Tokens]], order: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Parts [U, 3] and first tokens [U] of the units, in the order of the packs."""
    import numpy as np

    parts = np.zeros((len(order), 3), dtype=np.int64)
    begins = np.zeros(len(order), dtype=np.int64)
    source, index = units.source[order], units.index[order]
    for number, (_, held) in enumerate(sources):
        own = source == number
        parts[own] = held.parts[index[own]]
        begins[own] = held.starts[index[own]]
    return parts, begins


def _segments(
    parts: NDArray[np.int64], ends: NDArray[np.int64], unit: NDArray[np.int64], source: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The segments [S, 6] of units in the order of the packs, and how many [U] each unit has.

    A pair has three, a judged reply two, any other unit one.
    """
    import numpy as np

    sides = parts[:, 1:] > 0
    counts = 1 + sides.sum(axis=1)
    first = np.cumsum(counts) - counts
    made = np.zeros((int(counts.sum()), len(Field)), dtype=np.int64)
    made[:, Field.UNIT] = np.repeat(unit, counts)
    made[:, Field.SOURCE] = np.repeat(source, counts)
    made[:, Field.PREFIX] = -1
    made[first, Field.START] = ends - parts.sum(axis=1)
    made[first, Field.LENGTH] = parts[:, 0]
    made[first, Field.ROLE] = np.where(counts > 1, SegmentRole.PREFIX, SegmentRole.ALONE)
    roles = ((SegmentRole.CHOSEN, SegmentRole.DESIRABLE), (SegmentRole.REJECTED, SegmentRole.UNDESIRABLE))
    for side, (compared, alone) in enumerate(roles):
        has = sides[:, side]
        at = first[has] + 1 + sides[has, :side].sum(axis=1)
        made[at, Field.LENGTH] = parts[has, 1 + side]
        made[at, Field.START] = made[at - 1, Field.START] + made[at - 1, Field.LENGTH]
        made[at, Field.ROLE] = np.where(counts[has] == 3, compared, alone)
        made[at, Field.PREFIX] = first[has]
    return made, counts


def _created(path: Path, kind: np.dtype[Any], count: int) -> NDArray[Any]:
    """An array file of known length, written through the page cache; an empty one cannot be mapped."""
    import numpy as np

    if count:
        return np.lib.format.open_memmap(path, mode="w+", dtype=kind, shape=(count,))
    empty = np.zeros(0, dtype=kind)
    np.save(path, empty)
    return empty
