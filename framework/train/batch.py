"""Micro-batches: packed rows as the tensors of one forward pass.

Tokens that several rows begin with go through the model once: a prompt with two responses, a system prompt that every
conversation of the batch starts with. What continues them attends to them, and not to one another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from framework.train.attention import Region, Span, Spans, joined

_WORTHWHILE = 8
"""Common tokens from which on sharing pays for the further stretch of attention that it makes."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of at least one token: the start of a row, or a continuation of pieces before it."""

    tokens: np.ndarray
    """int32 [n]."""
    supervised: np.ndarray
    """bool [n]: which tokens are targets."""
    depth: int = 0
    """How many pieces it continues: itself below the last piece of each smaller depth."""
    unit: int = 0
    """Index of the row in the stage's order."""
    child: int = 0
    """Which of its unit's continuations it is: 0 for a chosen or desirable one, 1 for the other."""
    source: int = 0


def share(rows: Sequence[Sequence[Piece]]) -> list[Piece]:
    """The rows' pieces in one list, where the tokens that several rows begin with stand once, before these rows.

    Rows are grouped by their first few tokens. Targets are never shared, and every row keeps a token of its own.
    """
    groups: dict[bytes | int, list[Sequence[Piece]]] = {}
    for place, row in enumerate(rows):
        free = _free(row[0])
        groups.setdefault(row[0].tokens[:_WORTHWHILE].tobytes() if free >= _WORTHWHILE else place, []).append(row)
    pieces: list[Piece] = []
    for group in groups.values():
        if len(group) == 1:
            pieces += group[0]
            continue
        heads = [row[0] for row in group]
        free = min(map(_free, heads))
        alike = (np.stack([head.tokens[:free] for head in heads]) == heads[0].tokens[:free]).all(axis=0)
        common = free if alike.all() else int(alike.argmin())
        pieces.append(Piece(heads[0].tokens[:common], np.zeros(common, dtype=bool)))
        for head, *rest in group:
            own = replace(head, tokens=head.tokens[common:], supervised=head.supervised[common:])
            pieces += [replace(piece, depth=piece.depth + 1) for piece in (own, *rest)]
    return pieces


def _free(head: Piece) -> int:
    """How many of a row's first tokens may be shared: those before its first target, all but the last one."""
    targets = np.flatnonzero(head.supervised)
    return int(targets[0]) if len(targets) else len(head.tokens) - 1


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """One packed sequence of ``T`` tokens with ``K`` targets."""

    input_ids: Tensor
    """int64 [1, T]."""
    position_ids: Tensor
    """int64 [1, T]; restart with every row, go on in its continuations."""
    spans: Spans
    predict: Tensor
    """int64 [K]: the position whose hidden state predicts the target."""
    at: Tensor
    """int64 [K]: the target's own position."""
    labels: Tensor
    """int64 [K]."""
    unit: Tensor
    """int64 [K]: the target's row in the stage's order."""
    child: Tensor
    """int64 [K]: the target's continuation within its row."""
    source: Tensor
    """int64 [K]."""

    def to(self, device: torch.device) -> MicroBatch:
        """A copy on a device."""
        moved = {
            name: getattr(self, name).to(device, non_blocking=True)
            for name in ("input_ids", "position_ids", "predict", "at", "labels", "unit", "child", "source")
        }
        return MicroBatch(spans=self.spans, **moved)


def build(pieces: Sequence[Piece]) -> MicroBatch:
    """Lay pieces out one after the other.

    The first token of a continuation is predicted by the last of the piece that it continues. The first token of any
    other piece has nothing before it and cannot be a target.

    Raises:
        ValueError: when such a first token is supervised, or a continuation has nothing to continue.
    """
    positions: list[np.ndarray] = []
    predict: list[np.ndarray] = []
    owners: list[tuple[int, int, int, int]] = []
    spans: list[Span] = []
    continued: list[Region] = []
    """The pieces that the next one may continue, by depth."""
    start = 0
    for piece in pieces:
        length = len(piece.tokens)
        if piece.depth > len(continued):
            raise ValueError("a continuation has no prefix")
        del continued[piece.depth :]
        before = np.arange(start - 1, start + length - 1)
        if continued:
            before[0] = continued[-1].end - 1
        elif piece.supervised[0]:
            raise ValueError("the first token of a row cannot be a target")
        if continued and continued[-1].end == start:
            # It lies right behind what it continues: both are one causal stretch.
            spans[-1] = spans[-1]._replace(length=spans[-1].length + length)
        else:
            spans.append(Span(start, length, joined(continued)))
        offset = sum(region.length for region in continued)
        positions.append(np.arange(offset, offset + length))
        chosen = before[piece.supervised]
        predict.append(chosen)
        owners.append((piece.unit, piece.child, piece.source, len(chosen)))
        continued.append(Region(start, length))
        start += length
    tokens = np.concatenate([piece.tokens for piece in pieces]).astype(np.int64)
    supervised = np.concatenate([piece.supervised for piece in pieces])
    counts = [count for *_, count in owners]

    def spread(column: int) -> Tensor:
        return torch.from_numpy(np.repeat(np.array([owner[column] for owner in owners], dtype=np.int64), counts))

    return MicroBatch(
        input_ids=torch.from_numpy(tokens)[None],
        position_ids=torch.from_numpy(np.concatenate(positions).astype(np.int64))[None],
        spans=Spans(spans),
        predict=torch.from_numpy(np.concatenate(predict).astype(np.int64)),
        at=torch.from_numpy(np.flatnonzero(supervised)),
        labels=torch.from_numpy(tokens[supervised]),
        unit=spread(0),
        child=spread(1),
        source=spread(2),
    )


def chunked(items: Sequence[int], size: int) -> Iterable[Sequence[int]]:
    """Consecutive runs of at most ``size`` items."""
    return (items[start : start + size] for start in range(0, len(items), size))
