"""Kahneman-Tversky optimisation: judged responses without pairs (Ethayarajh et al. 2024, arXiv:2402.01306)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from framework.objectives._judged import Judged
from framework.objectives.base import Anchor

if TYPE_CHECKING:
    from torch import Tensor


class KTO(Judged):
    """``w (1 - sigmoid(r - z))`` for desirable and ``w (1 - sigmoid(z - r))`` for undesirable responses.

    ``r = beta * log(pi / ref)``, and ``z = beta * KL(pi || ref)`` is what a response is expected to have gained. The KL
    is estimated as in the paper: ``max(0, mean of log(pi / ref)(y' | x))`` over the prompts ``x`` of the
    global batch, each with responses ``y'`` to another prompt of it; no gradient flows through it. It is taken
    under the weights before the step, and over the whole batch, so that neither micro-batches nor workers change it.
    """

    kind: Literal["kto"] = "kto"
    anchor: ClassVar[Anchor] = "mismatched"
    anchor_name: ClassVar[str] = "kl"

    def point(self, anchor: Tensor) -> Tensor:
        """The KL is a log-ratio."""
        return self.beta * anchor

    def judge(self, lead: Tensor) -> Tensor:
        """What is missing to certainty: a value function that saturates in gains and losses."""
        return (-lead).sigmoid()


COMPONENT = KTO
