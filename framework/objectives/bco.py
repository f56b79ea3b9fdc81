"""Binary classifier optimisation: judged responses without pairs (Jung et al. 2024, arXiv:2404.04656)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from framework.objectives._judged import Judged
from framework.objectives.base import Anchor

if TYPE_CHECKING:
    from torch import Tensor


class BCO(Judged):
    """``-w log sigmoid(r - d)`` for desirable and ``-w log sigmoid(d - r)`` for undesirable responses.

    ``r = beta * log(pi / ref)``. With the shift ``d`` the binary cross-entropy bounds DPO's loss from above, and most
    tightly when ``d`` lies in the middle between both kinds' rewards. It is the middle of their means over all
    responses of the steps before: 0 in the first step, where policy and reference are one. The step's own responses are
    left out, so that neither micro-batches nor workers change the loss.
    """

    kind: Literal["bco"] = "bco"
    anchor: ClassVar[Anchor] = "running"
    anchor_name: ClassVar[str] = "reward_shift"

    def point(self, anchor: Tensor) -> Tensor:
        """The shift is a reward."""
        return anchor

    def judge(self, lead: Tensor) -> Tensor:
        """The classifier's cross-entropy."""
        from torch.nn.functional import logsigmoid

        return -logsigmoid(lead)


COMPONENT = BCO
