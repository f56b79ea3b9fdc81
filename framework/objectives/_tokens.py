"""The loss that supervised fine-tuning and continued pre-training share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from framework.objectives.base import Loss, Objective, Targets

if TYPE_CHECKING:
    from torch import Tensor


class TokenLoss(Objective):
    """``-sum log p(y_t | y_<t)`` over the targets: each weighs the same, whichever row it belongs to."""

    def loss(self, logps: Tensor, targets: Targets) -> Loss:
        """Sum over the ``K`` targets; the caller divides by those of the global batch."""
        return Loss(total=-logps.sum(), per_unit=-logps.detach(), sums={})
