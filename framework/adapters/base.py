"""An adapter: which weights a stage trains, and how what it learnt joins the model."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from framework.registry import Component

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


class Adapter(Component):
    """Settings that every kind of adapter has."""

    folder: ClassVar[str] = "adapters"
    between: Literal["merge", "continue"] = "merge"
    """Between stages: merge into the weights and start afresh, or go on with the same adapter."""
    upper: float = Field(default=1.0, gt=0, le=1)
    """Share of the blocks, counted from the last, that are trained. What lies below them needs no backward pass."""

    @property
    def trains_all(self) -> bool:
        """Whether the model's own weights are trained, and so saved whole."""
        return False

    @property
    def quantises(self) -> bool:
        """Whether the base weights are held in 4 bits."""
        return False

    def trained_layers(self, layers: int) -> int:
        """How many of a model's last blocks hold something that is trained: at least one."""
        return max(1, round(self.upper * layers))

    def trains(self, name: str, layers: int) -> bool:
        """Whether a module or weight is in one of those blocks: the first number in its name is its block."""
        block = next((int(part) for part in name.split(".") if part.isdecimal()), -1)
        return block >= layers - self.trained_layers(layers)

    @abstractmethod
    def apply(self, model: PreTrainedModel, seed: int) -> PreTrainedModel:
        """Make the model trainable: freeze what stays, add what is new. Initialisation depends on ``seed`` alone."""

    def complete(self, model: PreTrainedModel, folder: Path) -> None:
        """Change the files that PEFT or transformers wrote, where others could not read the result from them alone."""

    @abstractmethod
    def weaken(self, folder: Path, strength: float, start: Callable[[], Mapping[str, Tensor]], goes_on: bool) -> None:
        """Change a saved result to ``start + strength * learnt``.

        ``start`` gives the weights of before training, or those of the earlier adapter where this one goes on from it.
        """

    @abstractmethod
    def trainable_parameters(self, hidden: int, intermediate: int, layers: int, total: int, kv_hidden: int) -> int:
        """How many weights are trained, for the plan's estimate of memory."""
