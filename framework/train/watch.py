"""Judges each step's loss before its update: not finite, or far above those before it."""

from __future__ import annotations

import math
from collections import deque

from framework.schema import Stage

_WINDOW = 20
_FEWEST = 5


class LossWatch:
    """Compares a loss with the mean of the last accepted ones; the same on every worker."""

    def __init__(self, stage: Stage) -> None:
        self._spike = stage.spike
        self.skips = stage.not_finite == "skip"
        """Whether a step that is judged wrong is left out; else the stage stops there."""
        self._losses: deque[float] = deque(maxlen=_WINDOW)

    def wrong(self, loss: float) -> str:
        """``not_finite``, ``loss_spike``, or nothing."""
        if not math.isfinite(loss):
            return "not_finite"
        bound = self.bound()
        return "loss_spike" if bound is not None and loss > bound else ""

    def bound(self) -> float | None:
        """The loss above which a step is a spike; none until enough was seen, or while the mean is not positive."""
        if self._spike is None or len(self._losses) < _FEWEST:
            return None
        mean = sum(self._losses) / len(self._losses)
        return self._spike * mean if mean > 0 else None

    def accept(self, loss: float) -> None:
        """A step has been made."""
        self._losses.append(loss)

    def state(self) -> list[float]:
        """What a checkpoint keeps."""
        return list(self._losses)

    def restore(self, losses: list[float]) -> None:
        """Go on from what ``state`` gave."""
        self._losses = deque(losses, maxlen=_WINDOW)
