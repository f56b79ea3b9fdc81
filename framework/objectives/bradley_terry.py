"""Reward models: a scalar that ranks responses as people do (Bradley and Terry 1952; Ouyang et al. 2022,
arXiv:2203.02155, equation 1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from framework.objectives._pairs import over, reward_metrics
from framework.objectives.base import Loss, Margins, Objective, Rows, Targets, Unit

if TYPE_CHECKING:
    from torch import Tensor


class BradleyTerry(Objective):
    """``-log sigmoid(r(chosen) - r(rejected) - s m) + c (r(chosen) + r(rejected))^2``, mean over pairs.

    ``m`` is the pair's ``margin`` in the data, 0 where it has none (Touvron et al. 2023, Llama 2, arXiv:2307.09288,
    section 3.2.2), and ``s`` is ``margin_scale``. Differences alone leave rewards free to drift by a constant of each
    prompt: ``c``, ``centring``, holds their middle at 0 (Eisenstein et al. 2023, arXiv:2312.09244, who take 0.01).
    """

    kind: Literal["bradley_terry"] = "bradley_terry"
    margin_scale: float = Field(default=1.0, ge=0)
    """Multiplies the margins of the data; 0 takes no notice of them."""
    centring: float = Field(default=0.0, ge=0)
    rows: ClassVar[Rows] = "pair"
    unit: ClassVar[Unit] = "pairs"
    margins: ClassVar[Margins] = "optional"
    scores: ClassVar[bool] = True

    def loss(self, logps: Tensor, targets: Targets) -> Loss:
        """Sum over the ``P`` pairs, from the scores of their responses, float32 [2 P]."""
        from torch.nn.functional import logsigmoid

        chosen, rejected = logps[0::2], logps[1::2]
        lead = chosen - rejected
        if targets.margins is not None:
            lead = lead - self.margin_scale * targets.margins
        losses = -logsigmoid(lead)
        metrics = reward_metrics(chosen, rejected, targets.lengths)
        if targets.margins is not None:
            metrics["margin"] = over(targets.margins)
        if self.centring:
            losses = losses + self.centring * (chosen + rejected) ** 2
        return Loss(losses.sum(), losses.detach(), metrics)


COMPONENT = BradleyTerry
