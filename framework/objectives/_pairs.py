"""What the objectives over comparison pairs share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from framework.objectives.base import Targets

if TYPE_CHECKING:
    from torch import Tensor


def sequence_logps(logps: Tensor, targets: Targets) -> tuple[Tensor, Tensor]:
    """Summed log-probabilities of the chosen and the rejected responses, float32 [P] each."""
    summed = logps.new_zeros(2 * targets.pairs).index_add(0, targets.sequence, logps)
    return summed[0::2], summed[1::2]


def reward_sums(chosen: Tensor, rejected: Tensor) -> dict[str, Tensor]:
    """The metrics of the field from implicit rewards [P] each, summed over pairs; ties count half."""
    chosen, rejected = chosen.detach(), rejected.detach()
    accuracy = (chosen > rejected).float() + 0.5 * (chosen == rejected).float()
    return {
        "reward_chosen": chosen.sum(),
        "reward_rejected": rejected.sum(),
        "reward_margin": (chosen - rejected).sum(),
        "reward_accuracy": accuracy.sum(),
    }
