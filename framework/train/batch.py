"""Micro-batches: packed rows as the tensors of one forward pass."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from framework.train.attention import Span


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of tokens of one row: alone, a shared prefix, or a continuation of the prefix before it."""

    tokens: np.ndarray
    """int32 [n]."""
    supervised: np.ndarray
    """bool [n]: which tokens are targets."""
    continues: bool = False
    """Whether it continues the last piece that does not continue another."""
    unit: int = 0
    """Index of the row in the stage's order."""
    child: int = 0
    """Which of its unit's continuations it is: 0 for a chosen or desirable one, 1 for the other."""
    source: int = 0


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """One packed sequence of ``T`` tokens with ``K`` targets."""

    input_ids: Tensor
    """int64 [1, T]."""
    position_ids: Tensor
    """int64 [1, T]; restart with every row, go on from the prefix in its continuations."""
    spans: list[Span]
    predict: Tensor
    """int64 [K]: the position whose hidden state predicts the target."""
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
            for name in ("input_ids", "position_ids", "predict", "labels", "unit", "child", "source")
        }
        return MicroBatch(spans=self.spans, **moved)


def build(pieces: Sequence[Piece]) -> MicroBatch:
    """Lay pieces out one after the other.

    The first token of a continuation is predicted by the last of its prefix. The first token of any other piece has
    nothing before it and cannot be a target.

    Raises:
        ValueError: when such a first token is supervised, or a continuation has no prefix.
    """
    positions: list[np.ndarray] = []
    predict: list[np.ndarray] = []
    owners: list[tuple[int, int, int, int]] = []
    spans: list[Span] = []
    prefix: tuple[int, int] | None = None
    start = 0
    for piece in pieces:
        length = len(piece.tokens)
        before = np.arange(start - 1, start + length - 1)
        if piece.continues:
            if prefix is None:
                raise ValueError("a continuation has no prefix")
            prefix_start, prefix_length = prefix
            offset = prefix_length
            before[0] = prefix_start + prefix_length - 1
            if start == prefix_start + prefix_length:
                # The first continuation lies right behind its prefix: both are one causal stretch.
                spans[-1] = Span(prefix_start, prefix_length + length)
            else:
                spans.append(Span(start, length, prefix_start, prefix_length))
        else:
            if length and piece.supervised[0]:
                raise ValueError("the first token of a row cannot be a target")
            prefix, offset = (start, length), 0
            spans.append(Span(start, length))
        positions.append(np.arange(offset, offset + length))
        chosen = before[piece.supervised]
        predict.append(chosen)
        owners.append((piece.unit, piece.child, piece.source, len(chosen)))
        start += length
    tokens = np.concatenate([piece.tokens for piece in pieces]).astype(np.int64)
    supervised = np.concatenate([piece.supervised for piece in pieces])
    counts = [count for *_, count in owners]

    def spread(column: int) -> Tensor:
        return torch.from_numpy(np.repeat(np.array([owner[column] for owner in owners], dtype=np.int64), counts))

    return MicroBatch(
        input_ids=torch.from_numpy(tokens)[None],
        position_ids=torch.from_numpy(np.concatenate(positions).astype(np.int64))[None],
        spans=spans,
        predict=torch.from_numpy(np.concatenate(predict).astype(np.int64)),
        labels=torch.from_numpy(tokens[supervised]),
        unit=spread(0),
        child=spread(1),
        source=spread(2),
    )


def chunked(items: Sequence[int], size: int) -> Iterable[Sequence[int]]:
    """Consecutive runs of at most ``size`` items."""
    return (items[start : start + size] for start in range(0, len(items), size))
