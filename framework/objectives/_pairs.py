"""What the objectives over comparison pairs share: implicit rewards, the supervised term, metrics."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from framework.objectives.base import Loss, Objective, Rows, Targets, Unit

if TYPE_CHECKING:
    from torch import Tensor


def sequence_sums(values: Tensor, targets: Targets) -> Tensor:
    """Sums of a value of each target, float32 [K], over the sequences, float32 [2 P]."""
    return values.new_zeros(2 * targets.pairs).index_add(0, targets.sequence, values)


def over(values: Tensor, there: Tensor | None = None) -> Tensor:
    """A metric from its values: their sum and their number, float32 [2]; of those alone that are ``there``, if told."""
    import torch

    values = values.detach().float()
    count = torch.full_like(values, 1.0) if there is None else there.float()
    return torch.stack([(values * count).sum(), count.sum()])


def reward_metrics(chosen: Tensor, rejected: Tensor, lengths: Tensor) -> dict[str, Tensor]:
    """The metrics of the field from rewards, float32 [P] each; ties count half as right.

    Lengths are in tokens, float32 [2 P].
    """
    right = (chosen > rejected).float() + 0.5 * (chosen == rejected).float()
    return {
        "reward_chosen": over(chosen),
        "reward_rejected": over(rejected),
        "reward_margin": over(chosen - rejected),
        "reward_accuracy": over(right),
        "length_chosen": over(lengths[0::2]),
        "length_rejected": over(lengths[1::2]),
    }


def pair_metrics(chosen: Tensor, rejected: Tensor, logps: Tensor, lengths: Tensor) -> dict[str, Tensor]:
    """``reward_metrics`` of implicit rewards, and the log-probabilities that they come from, float32 [2 P].

    Log-probabilities are means over pairs of the sums over tokens.
    """
    return reward_metrics(chosen, rejected, lengths) | {
        "logps_chosen": over(logps[0::2]),
        "logps_rejected": over(logps[1::2]),
    }


class Pairwise(Objective):
    """A loss of two implicit rewards, mean over pairs, plus ``sft_weight`` times the supervised loss of ``chosen``.

    A response's reward is ``beta`` times its log-probability, summed over its tokens or averaged, less that of the
    reference where there is one. The supervised loss is the mean over pairs of the negative log-likelihood per token of
    the chosen response; it keeps a comparison from lowering the likelihood of both responses at once (RPO, Pang et al.
    2024, arXiv:2404.19733).
    """

    beta: float = Field(default=0.1, gt=0)
    sft_weight: float = Field(default=0.0, ge=0)
    rows: ClassVar[Rows] = "pair"
    unit: ClassVar[Unit] = "pairs"
    needs_reference: ClassVar[bool] = True

    @property
    def averages(self) -> bool:
        """Whether rewards are means over a response's tokens instead of sums."""
        return False

    def offset(self, margins: Tensor | None) -> Tensor | float:
        """What the chosen response's reward is to win by, from the data's margins; 0 but where a method says so."""
        return 0.0

    @abstractmethod
    def compare(self, chosen: Tensor, rejected: Tensor) -> Tensor:
        """The loss of each pair, float32 [P], from the rewards of its responses, float32 [P] each."""

    def loss(self, logps: Tensor, targets: Targets) -> Loss:
        """Sum over the ``P`` pairs."""
        sums = sequence_sums(logps, targets)
        ratios = sums - targets.reference if self.needs_reference else sums
        rewards = self.beta * (ratios / targets.lengths if self.averages else ratios)
        chosen, rejected = rewards[0::2], rewards[1::2]
        losses = self.compare(chosen - self.offset(targets.margins), rejected)
        metrics = pair_metrics(chosen, rejected, sums, targets.lengths)
        if self.sft_weight:
            supervised = -sums[0::2] / targets.lengths[0::2]
            losses = losses + self.sft_weight * supervised
            metrics["sft_loss"] = over(supervised)
        return Loss(losses.sum(), losses.detach(), metrics)
