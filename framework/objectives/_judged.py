"""What the objectives over single judged responses share; a pair is a desirable and an undesirable response."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from framework.objectives._pairs import over, sequence_sums
from framework.objectives.base import Loss, Objective, Rows, Targets, Unit

if TYPE_CHECKING:
    from torch import Tensor


class Judged(Objective):
    """A loss of one implicit reward, ``beta * log(pi / ref)``, held against a point; mean over responses.

    Either kind of response has its weight. Where one is rarer, the authors of KTO want its weight raised until the
    weighted numbers of both are about equal (Ethayarajh et al. 2024, section 4.2).
    """

    beta: float = Field(default=0.1, gt=0)
    desirable_weight: float = Field(default=1.0, gt=0)
    undesirable_weight: float = Field(default=1.0, gt=0)
    rows: ClassVar[Rows] = "judged"
    unit: ClassVar[Unit] = "responses"
    needs_reference: ClassVar[bool] = True
    anchor_name: ClassVar[str]
    """The metric that shows ``Targets.anchor``."""

    @abstractmethod
    def point(self, anchor: Tensor) -> Tensor:
        """The anchor as a reward, float32 scalar."""

    @abstractmethod
    def judge(self, lead: Tensor) -> Tensor:
        """The loss of responses, float32 [n], by how far their rewards are on the right side of the point."""

    def loss(self, logps: Tensor, targets: Targets) -> Loss:
        """Sum over the responses; ``per_unit`` is [2 P], and 0 where a prompt has no such response."""
        import torch

        sums = sequence_sums(logps, targets)
        rewards = self.beta * (sums - targets.reference)
        there = targets.lengths > 0
        # The side that a reward should lie on: above the point for desirable responses, below it for the others.
        side = torch.ones_like(rewards)
        side[1::2] = -1.0
        weight = torch.full_like(rewards, self.desirable_weight)
        weight[1::2] = self.undesirable_weight
        lead = side * (rewards - self.point(targets.anchor))
        losses = weight * there * self.judge(lead)
        right = (lead > 0).float() + 0.5 * (lead == 0).float()
        metrics = {"reward_accuracy": over(right, there), self.anchor_name: over(targets.anchor)}
        for name, values in (("reward", rewards), ("logps", sums), ("length", targets.lengths)):
            metrics[f"{name}_chosen"] = over(values[0::2], there[0::2])
            metrics[f"{name}_rejected"] = over(values[1::2], there[1::2])
        return Loss(losses.sum(), losses.detach(), metrics)

    def derived(self, means: dict[str, float]) -> dict[str, float]:
        """With the margin between both kinds' mean rewards, where the step has both."""
        chosen, rejected = means.get("reward_chosen"), means.get("reward_rejected")
        if chosen is None or rejected is None:
            return means
        return {**means, "reward_margin": chosen - rejected}
