"""Supervised fine-tuning on the chosen responses of comparison pairs (Ouyang et al. 2022, arXiv:2203.02155, step 1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from framework.objectives._pairs import over, pair_metrics, sequence_sums
from framework.objectives.base import Loss, Objective, Rows, Targets, Unit

if TYPE_CHECKING:
    from torch import Tensor


class SupervisedChosen(Objective):
    """``-log pi(chosen)`` per token of the response, mean over pairs: what ``sft_weight`` adds elsewhere, by itself.

    The rejected responses are scored for the metrics and give no gradient; rewards are log-probabilities per token.
    """

    kind: Literal["sft_chosen"] = "sft_chosen"
    rows: ClassVar[Rows] = "pair"
    unit: ClassVar[Unit] = "pairs"

    def loss(self, logps: Tensor, targets: Targets) -> Loss:
        """Sum over the ``P`` pairs."""
        sums = sequence_sums(logps, targets)
        means = sums / targets.lengths
        losses = -means[0::2]
        metrics = pair_metrics(means[0::2], means[1::2], sums, targets.lengths)
        return Loss(losses.sum(), losses.detach(), metrics | {"sft_loss": over(losses)})


COMPONENT = SupervisedChosen
