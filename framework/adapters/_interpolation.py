"""Weights between those before and after training (WiSE-FT, Wortsman et al. 2022, arXiv:2109.01903)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def interpolate(folder: Path, start: Mapping[str, Tensor], strength: float) -> None:
    """Move the saved tensors that ``start`` has towards it, in fp32, file by file."""
    import torch
    from safetensors.torch import load_file, save_file

    for file in sorted(folder.glob("*.safetensors")):
        tensors = load_file(file)
        for name in tensors.keys() & start.keys():
            moved = torch.lerp(start[name].float(), tensors[name].float(), strength)
            tensors[name] = moved.to(tensors[name].dtype)
        save_file(tensors, file, metadata={"format": "pt"})
