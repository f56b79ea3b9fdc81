"""What judged responses' rewards are held against: one value for a whole step, whatever its micro-batches are."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from framework.objectives.base import Objective
from framework.train.engine import DeepSpeedEngine
from framework.train.loader import Loader
from framework.train.mismatch import mismatched
from framework.train.reference import summed


class Anchors:
    """Gives each step its anchor, as the objective asks for it."""

    def __init__(
        self,
        objective: Objective,
        engine: DeepSpeedEngine,
        loader: Loader,
        reference: Tensor | None,
        device: torch.device,
    ) -> None:
        self._kind = objective.anchor
        self._engine = engine
        self._loader = loader
        self._reference = reference
        self._device = device
        self._rewards = {"reward_chosen": (0.0, 0.0), "reward_rejected": (0.0, 0.0)}
        """Sum and number of the rewards of each kind of response in the steps so far."""

    def before(self, step: int) -> Tensor:
        """The anchor of a step, float32 scalar, the same on every worker; called by all together."""
        if self._kind == "mismatched":
            return self._drift(step)
        shift = 0.0
        if self._kind == "running" and all(count for _, count in self._rewards.values()):
            shift = sum(total / count for total, count in self._rewards.values()) / 2
        return torch.tensor(shift, dtype=torch.float32, device=self._device)

    def after(self, sums: dict[str, tuple[float, float]]) -> None:
        """Take in a step's sums over its global batch."""
        if self._kind == "running":
            for name, (total, count) in self._rewards.items():
                self._rewards[name] = (total + sums[name][0], count + sums[name][1])

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {name: list(values) for name, values in self._rewards.items()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what ``state`` gave."""
        self._rewards = {name: (total, count) for name, (total, count) in state.items()}

    @torch.no_grad()
    def _drift(self, step: int) -> Tensor:
        """The mean log-ratio of responses to other prompts under the weights before the step; not below 0."""
        assert self._reference is not None
        sums = torch.zeros(2, device=self._device)
        with self._engine.measuring():
            for weight, batch in mismatched(self._loader, step):
                if batch is None:
                    continue
                batch = batch.to(self._device)
                _, logps = self._engine.forward(batch, None)
                values = torch.zeros(len(self._reference), 2, device=self._device)
                summed(logps, batch, values)
                there = torch.zeros_like(values)
                there[batch.unit, batch.child] = 1.0
                sums += weight * torch.stack([((values - self._reference[:, 2:]) * there).sum(), there.sum()])
        dist.all_reduce(sums)
        return (sums[0] / sums[1].clamp(min=1.0)).clamp(min=0.0)
