"""Anchored preference optimisation, down (D'Oosterlinck et al. 2024, arXiv:2408.06266, equation 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from framework.objectives._pairs import Pairwise

if TYPE_CHECKING:
    from torch import Tensor


class APODown(Pairwise):
    """``sigmoid(r(chosen)) + 1 - sigmoid(r(chosen) - r(rejected))`` with ``r = beta * log(pi / ref)``, mean over pairs.

    Lowers both likelihoods, the rejected one's more.
    """

    kind: Literal["apo_down"] = "apo_down"

    def compare(self, chosen: Tensor, rejected: Tensor) -> Tensor:
        """The sum of the anchored and the contrasting term."""
        return chosen.sigmoid() + (rejected - chosen).sigmoid()


COMPONENT = APODown
