"""Full fine-tuning: every weight is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from framework.adapters.base import Adapter

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Full(Adapter):
    """No adapter; the stage saves the whole model."""

    kind: Literal["full"] = "full"

    @property
    def trains_all(self) -> bool:
        """Yes."""
        return True

    def apply(self, model: PreTrainedModel, seed: int) -> PreTrainedModel:
        """All parameters take part."""
        return model.requires_grad_(True)

    def trainable_parameters(self, hidden: int, intermediate: int, layers: int, total: int, kv_hidden: int) -> int:
        """All of them."""
        return total


COMPONENT = Full
