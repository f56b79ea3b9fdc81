"""Direct preference optimisation (Rafailov et al. 2023, arXiv:2305.18290, equation 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from framework.objectives._pairs import reward_sums, sequence_logps
from framework.objectives.base import Loss, Objective, Targets

if TYPE_CHECKING:
    from torch import Tensor


class DPO(Objective):
    """``-log sigmoid(beta * ((log pi/ref)(chosen) - (log pi/ref)(rejected)))``, mean over pairs.

    ``sft_weight`` adds the chosen responses' mean negative log-likelihood per token, which keeps DPO from lowering
    the likelihood of both responses at once (RPO, Pang et al. 2024, arXiv:2404.19733).
    """

    kind: Literal["dpo"] = "dpo"
    beta: float = Field(default=0.1, gt=0)
    sft_weight: float = Field(default=0.0, ge=0)
    rows: ClassVar[Literal["sft", "clm", "pair"]] = "pair"
    unit: ClassVar[Literal["tokens", "pairs"]] = "pairs"
    needs_reference: ClassVar[bool] = True

    def loss(self, logps: Tensor, targets: Targets) -> Loss:
        """Sum over the ``P`` pairs; the rewards are ``beta`` times the log-ratios."""
        from torch.nn.functional import logsigmoid

        chosen, rejected = sequence_logps(logps, targets)
        reward_chosen = self.beta * (chosen - targets.reference[0::2])
        reward_rejected = self.beta * (rejected - targets.reference[1::2])
        losses = -logsigmoid(reward_chosen - reward_rejected)
        if self.sft_weight:
            losses = losses - self.sft_weight * chosen / targets.lengths[0::2]
        return Loss(losses.sum(), losses.detach(), reward_sums(reward_chosen, reward_rejected))


COMPONENT = DPO
