"""Anchored preference optimisation, zero (D'Oosterlinck et al. 2024, arXiv:2408.06266, equation 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from framework.objectives._pairs import Pairwise

if TYPE_CHECKING:
    from torch import Tensor


class APOZero(Pairwise):
    """``1 - sigmoid(r(chosen)) + sigmoid(r(rejected))`` with ``r = beta * log(pi / ref)``, mean over pairs.

    Raises the chosen responses' likelihood and lowers the rejected ones', each against the reference.
    """

    kind: Literal["apo_zero"] = "apo_zero"

    def compare(self, chosen: Tensor, rejected: Tensor) -> Tensor:
        """The sum of both anchored terms."""
        return (-chosen).sigmoid() + rejected.sigmoid()


COMPONENT = APOZero
