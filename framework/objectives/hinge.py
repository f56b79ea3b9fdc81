"""Sequence likelihood calibration by a hinge (SLiC-HF, Zhao et al. 2023, arXiv:2305.10425; RSO, arXiv:2309.06657)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from framework.objectives._pairs import Pairwise

if TYPE_CHECKING:
    from torch import Tensor


class Hinge(Pairwise):
    """``max(0, 1 - (r(chosen) - r(rejected)))`` with ``r = beta * log(pi / ref)``, mean over pairs.

    Normalised by the reference as in RSO (Liu et al. 2023). Pairs beyond the margin have no gradient.
    """

    kind: Literal["hinge"] = "hinge"

    def compare(self, chosen: Tensor, rejected: Tensor) -> Tensor:
        """What is missing to a margin of 1."""
        return (1 - (chosen - rejected)).relu()


COMPONENT = Hinge
