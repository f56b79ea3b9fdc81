"""Full fine-tuning: every weight is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from framework.adapters._interpolation import interpolate
from framework.adapters.base import Adapter

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


class Full(Adapter):
    """No adapter; the stage saves the whole model."""

    kind: Literal["full"] = "full"

    @property
    def trains_all(self) -> bool:
        """Yes."""
        return True

    def apply(self, model: PreTrainedModel, seed: int) -> PreTrainedModel:
        """All parameters take part, or those of the upper blocks alone, with a reward model's head."""
        layers = int(model.config.num_hidden_layers)
        for name, weight in model.named_parameters():
            weight.requires_grad_(self.upper == 1 or self.trains(name, layers) or name.startswith("score."))
        return model

    def weaken(self, folder: Path, strength: float, start: Callable[[], Mapping[str, Tensor]], goes_on: bool) -> None:
        """Interpolate every tensor."""
        interpolate(folder, start(), strength)

    def trainable_parameters(self, hidden: int, intermediate: int, layers: int, total: int, kv_hidden: int) -> int:
        """All of them, or those of the upper blocks: attention, feed-forward and two norms."""
        block = 2 * hidden**2 + 2 * hidden * kv_hidden + 3 * hidden * intermediate + 2 * hidden
        return total if self.upper == 1 else self.trained_layers(layers) * block


COMPONENT = Full
