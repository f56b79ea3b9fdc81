"""DPO with an offset: how much better the chosen response is counts (Amini et al. 2024, arXiv:2402.10571)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from framework.objectives._pairs import Pairwise
from framework.objectives.base import Margins

if TYPE_CHECKING:
    from torch import Tensor


class OffsetDPO(Pairwise):
    """``-log sigmoid(r(chosen) - r(rejected) - alpha * m)`` with ``r = beta * log(pi / ref)``, mean over pairs.

    ``m`` is the pair's ``margin`` in the data, 0 where it has none. The paper takes a monotone function of the
    difference between two scores, such as its logarithm: the column holds whatever that function gives.
    """

    kind: Literal["odpo"] = "odpo"
    alpha: float = Field(default=1.0, gt=0)
    margins: ClassVar[Margins] = "required"

    def offset(self, margins: Tensor | None) -> Tensor | float:
        """The margins in the unit of rewards."""
        return 0.0 if margins is None else self.alpha * margins

    def compare(self, chosen: Tensor, rejected: Tensor) -> Tensor:
        """DPO's loss."""
        from torch.nn.functional import logsigmoid

        return -logsigmoid(chosen - rejected)


COMPONENT = OffsetDPO
