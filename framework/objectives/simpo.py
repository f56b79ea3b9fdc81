"""Simple preference optimisation: no reference, rewards per token (Meng et al. 2024, arXiv:2405.14734, equation 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from framework.objectives._pairs import Pairwise

if TYPE_CHECKING:
    from torch import Tensor


class SimPO(Pairwise):
    """``-log sigmoid(r(chosen) - r(rejected) - gamma)`` with ``r = beta * log pi`` per token, mean over pairs.

    ``gamma`` is the margin that the better response is to win by. The paper searches ``beta`` from 2 to
    2.5 and ``gamma`` from 0.3 to 1.6.
    """

    kind: Literal["simpo"] = "simpo"
    beta: float = Field(default=2.0, gt=0)
    gamma: float = Field(default=1.0, ge=0)
    needs_reference: ClassVar[bool] = False

    @property
    def averages(self) -> bool:
        """Always."""
        return True

    def compare(self, chosen: Tensor, rejected: Tensor) -> Tensor:
        """Bradley and Terry's negative log-likelihood with a target margin."""
        from torch.nn.functional import logsigmoid

        return -logsigmoid(chosen - rejected - self.gamma)


COMPONENT = SimPO
