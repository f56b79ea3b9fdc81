"""What the low-rank adapters share: PEFT's LoRA with the settings that tell the variants apart."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, PositiveInt

from framework.adapters._interpolation import interpolate
from framework.adapters.base import Adapter

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


class LowRank(Adapter):
    """A trained low-rank update of frozen linear layers (Hu et al. 2021, arXiv:2106.09685)."""

    r: PositiveInt = 16
    alpha: float = Field(default=32.0, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: str | list[str] = "all-linear"
    """Names of the layers to adapt, or ``all-linear`` (every linear layer but the output head)."""

    def variant(self) -> dict[str, Any]:
        """The arguments of ``LoraConfig`` that make this variant."""
        return {}

    def apply(self, model: PreTrainedModel, seed: int) -> PreTrainedModel:
        """Freeze the model and put trainable factors beside its linear layers, in the model's own dtype."""
        import torch
        from peft import LoraConfig, get_peft_model
        from torch import nn

        targets = self.targets
        layers = int(model.config.num_hidden_layers)
        if self.upper < 1:  # PEFT knows "all-linear" for whole models alone
            chosen = [targets] if isinstance(targets, str) else targets
            linear = [name for name, layer in model.named_modules() if isinstance(layer, nn.Linear)]
            wanted = [name for name in linear if "all-linear" in chosen or name.rpartition(".")[2] in chosen]
            targets = [name for name in wanted if self.trains(name, layers)]
        config = LoraConfig(
            r=self.r,
            lora_alpha=self.alpha,  # type: ignore[arg-type]  # PEFT divides by r, any number serves
            lora_dropout=self.dropout,
            target_modules=targets,
            # With a score as its head, a model's head is trained and saved whole beside the factors.
            task_type="SEQ_CLS" if hasattr(model, "score") else "CAUSAL_LM",
            **self.variant(),
        )
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            # PEFT holds factors in fp32 by default and casts at every product; the optimizer keeps fp32 masters here.
            return get_peft_model(model, config, autocast_adapter_dtype=False)  # type: ignore[return-value]

    def weaken(self, folder: Path, strength: float, start: Callable[[], Mapping[str, Tensor]], goes_on: bool) -> None:
        """What the factors' product is scaled by becomes smaller; factors that go on are interpolated themselves."""
        if goes_on:
            interpolate(folder, start(), strength)
        else:
            rewrite_settings(folder, lambda settings: {"lora_alpha": strength * settings["lora_alpha"]})

    def trainable_parameters(self, hidden: int, intermediate: int, layers: int, total: int, kv_hidden: int) -> int:
        """``r (in + out)`` for the seven linear layers of a gated transformer block."""
        attention = 2 * (hidden + hidden) + 2 * (hidden + kv_hidden)
        feed_forward = 3 * (hidden + intermediate)
        return self.trained_layers(layers) * self.r * (attention + feed_forward)


def rewrite_settings(folder: Path, changed: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Change settings of a saved adapter, from what they are now."""
    file = folder / "adapter_config.json"
    settings = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(settings | changed(settings), indent=2), encoding="utf-8")
