"""DoRA: LoRA on the direction of the weights, their magnitude trained apart (Liu et al. 2024, arXiv:2402.09353)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from framework.adapters._interpolation import interpolate
from framework.adapters._low_rank import LowRank

if TYPE_CHECKING:
    from torch import Tensor


class DoRA(LowRank):
    """Costs more time a step than LoRA: the norm of every adapted weight is recomputed."""

    kind: Literal["dora"] = "dora"

    def variant(self) -> dict[str, Any]:
        """Weight-decomposed."""
        return {"use_dora": True}

    def weaken(self, folder: Path, strength: float, start: Callable[[], Mapping[str, Tensor]], goes_on: bool) -> None:
        """Magnitudes are interpolated too: with those of the weights themselves, the norms of their rows."""
        super().weaken(folder, strength, start, goes_on)
        if not goes_on:
            norms = {name.removesuffix("weight"): weight for name, weight in start().items() if weight.ndim == 2}
            interpolate(
                folder,
                {
                    f"base_model.model.{name}lora_magnitude_vector": weight.float().norm(dim=1)
                    for name, weight in norms.items()
                },
                strength,
            )


COMPONENT = DoRA
