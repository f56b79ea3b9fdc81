"""Identity preference optimisation (Azar et al. 2023, arXiv:2310.12036, equation 17)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from framework.objectives._pairs import Pairwise

if TYPE_CHECKING:
    from torch import Tensor


class IPO(Pairwise):
    """``(h(chosen) - h(rejected) - 1 / (2 beta))^2`` with ``h = log(pi / ref)`` per token, mean over pairs.

    ``beta`` is the paper's tau. The log-ratio is averaged over the response's tokens, as in TRL, whose authors have it
    from those of the paper: summed, the target ``1 / (2 beta)`` would mean less the longer the responses are.
    """

    kind: Literal["ipo"] = "ipo"

    @property
    def averages(self) -> bool:
        """Always."""
        return True

    def compare(self, chosen: Tensor, rejected: Tensor) -> Tensor:
        """The squared distance from the target; rewards are ``beta * h``."""
        return ((chosen - rejected - 0.5) / self.beta) ** 2


COMPONENT = IPO
