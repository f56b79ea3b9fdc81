"""A stage's packs on disk, memory-mapped: what the training loop reads.

A folder holds ``tokens.npy`` int32 [N], ``supervised.npy`` bool [N], ``segments.npy`` int64 [S, 6], ``packs.npy`` int64
[P + 1] (segments), ``steps.npy`` int64 [T + 1] (packs), ``ids.json`` (row ids by unit) and ``meta.json``.
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
class Unit:
    """One drawn row or pair: which source, which of its units."""

    source: int
    index: int


def write_packs(
    directory: Path,
    packs: Sequence[Sequence[Unit]],
    sources: Sequence[tuple[str, Tokens]],
    capacity: int,
    packs_per_step: int,
    draw_order: Sequence[Unit],
) -> None:
    """Write packs into an existing folder. ``draw_order`` holds the same units as ``packs``, by identity."""
    import numpy as np

    number = {id(unit): at for at, unit in enumerate(draw_order)}
    total = sum(int(sources[unit.source][1].lengths[unit.index]) for unit in draw_order)
    tokens = _created(directory / "tokens.npy", np.dtype(np.int32), total)
    supervised = _created(directory / "supervised.npy", np.dtype(np.bool_), total)
    segments: list[tuple[int, int, int, int, int, int]] = []
    bounds = [0]
    at = 0
    for pack in packs:
        for unit in pack:
            held = sources[unit.source][1]
            begin, end = int(held.starts[unit.index]), int(held.starts[unit.index + 1])
            tokens[at : at + end - begin] = held.tokens[begin:end]
            supervised[at : at + end - begin] = held.supervised[begin:end]
            segments += _segments(at, held.parts[unit.index].tolist(), number[id(unit)], unit.source, len(segments))
            at += end - begin
        bounds.append(len(segments))
    steps = [*range(0, len(packs), packs_per_step), len(packs)] if packs else [0]
    small = {
        "segments": np.array(segments, dtype=np.int64).reshape(-1, len(Field)),
        "packs": np.array(bounds, dtype=np.int64),
        "steps": np.array(steps, dtype=np.int64),
    }
    for name, array in small.items():
        np.save(directory / f"{name}.npy", array)
    meta = {
        "sources": [name for name, _ in sources],
        "capacity": capacity,
        "units": len(draw_order),
        "pairs": int((small["segments"][:, Field.ROLE] == SegmentRole.CHOSEN).sum()),
        "shapes": {
            "tokens": [total],
            "supervised": [total],
            **{name: list(a.shape) for name, a in small.items()},
        },
    }
    ids = [sources[unit.source][1].ids[unit.index] for unit in draw_order]
    (directory / "ids.json").write_text(json.dumps(ids), encoding="utf-8")
    (directory / "meta.json").write_text(json.dumps(meta), encoding="utf-8")


def _segments(
    start: int, parts: list[int], unit: int, source: int, at: int
) -> list[tuple[int, int, int, int, int, int]]:
    """The segments of one unit; ``at`` is the number of segments before it."""
    prompt, chosen, rejected = parts
    if not chosen and not rejected:
        return [(start, prompt, unit, SegmentRole.ALONE, source, -1)]
    prefix = (start, prompt, unit, SegmentRole.PREFIX, source, -1)
    if not (chosen and rejected):
        role = SegmentRole.DESIRABLE if chosen else SegmentRole.UNDESIRABLE
        return [prefix, (start + prompt, chosen or rejected, unit, role, source, at)]
    return [
        prefix,
        (start + prompt, chosen, unit, SegmentRole.CHOSEN, source, at),
        (start + prompt + chosen, rejected, unit, SegmentRole.REJECTED, source, at),
    ]


def _created(path: Path, kind: np.dtype[Any], count: int) -> NDArray[Any]:
    """An array file of known length, written through the page cache; an empty one cannot be mapped."""
    import numpy as np

    if count:
        return np.lib.format.open_memmap(path, mode="w+", dtype=kind, shape=(count,))
    empty = np.zeros(0, dtype=kind)
    np.save(path, empty)
    return empty
