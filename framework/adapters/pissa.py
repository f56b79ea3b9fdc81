"""PiSSA: LoRA that starts as the principal part of the weights (Meng et al. 2024, arXiv:2404.02948)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import PositiveInt, model_validator

from framework.adapters._low_rank import LowRank, rewrite_settings

if TYPE_CHECKING:
    from transformers import PreTrainedModel


_BEGAN = "factors_before_training"


class PiSSA(LowRank):
    """Trains the ``r`` largest singular directions of every weight, and freezes the rest.

    Saved is what was learnt, as plain LoRA of twice the rank over the weights as they were: the trained factors beside
    the negative of those that training began with. So it merges, and loads elsewhere, like any other.
    """

    kind: Literal["pissa"] = "pissa"
    iterations: PositiveInt = 16
    """Of the randomised singular value decomposition: more come nearer to the whole one, and take longer."""

    @model_validator(mode="after")
    def _merges(self) -> Self:
        if self.between == "continue":
            raise ValueError("pissa begins from the weights, with between=continue it would not: use between=merge")
        return self

    def variant(self) -> dict[str, Any]:
        """Begins with singular vectors."""
        return {"init_lora_weights": f"pissa_niter_{self.iterations}"}

    def apply(self, model: PreTrainedModel, seed: int) -> PreTrainedModel:
        """Take the factors out of the weights, and remember how they began."""
        dtype = model.dtype
        adapted: Any = super().apply(model, seed)
        began: dict[str, Any] = {}
        for name, weight in adapted.named_parameters():
            if "lora_" in name:
                weight.data = weight.data.to(dtype)  # the decomposition leaves fp32 in any model
                began[name.replace(".default.", ".")] = weight.detach().cpu().clone()  # as PEFT names it in files
        setattr(adapted, _BEGAN, began)
        return adapted

    def complete(self, model: PreTrainedModel, folder: Path) -> None:
        """Rewrite the saved factors as an update of the weights as they were."""
        import torch
        from safetensors.torch import load_file, save_file

        file = folder / "adapter_model.safetensors"
        tensors = load_file(file)
        began: dict[str, torch.Tensor] = getattr(model, _BEGAN)
        for name, before in began.items():
            inner = "lora_A" in name
            tensors[name] = torch.cat([tensors[name], before if inner else -before], dim=0 if inner else 1)
        save_file(tensors, file, metadata={"format": "pt"})
        plain = {"r": 2 * self.r, "lora_alpha": 2 * self.alpha, "init_lora_weights": True}
        rewrite_settings(folder, lambda _: plain)


COMPONENT = PiSSA
