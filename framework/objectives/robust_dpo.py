"""Robust DPO: an unbiased loss under flipped labels (Chowdhury et al. 2024, arXiv:2403.00409)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from framework.objectives._pairs import Pairwise

if TYPE_CHECKING:
    from torch import Tensor


class RobustDPO(Pairwise):
    """``(-(1 - e) log sigmoid(d) + e log sigmoid(-d)) / (1 - 2 e)`` with ``d = r(chosen) - r(rejected)``.

    ``e`` is ``label_smoothing``, the share of labels that are flipped, and ``r = beta * log(pi / ref)``. Over such
    flips the mean of the loss is DPO's on the true labels. It has no lower bound: stop early.
    """

    kind: Literal["robust_dpo"] = "robust_dpo"
    label_smoothing: float = Field(default=0.1, ge=0, lt=0.5)

    def compare(self, chosen: Tensor, rejected: Tensor) -> Tensor:
        """DPO's loss with the flips' expected share taken off."""
        from torch.nn.functional import logsigmoid

        margin, flips = chosen - rejected, self.label_smoothing
        return (-(1 - flips) * logsigmoid(margin) + flips * logsigmoid(-margin)) / (1 - 2 * flips)


COMPONENT = RobustDPO
