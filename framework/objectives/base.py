"""An objective: what a stage minimises, as a pure function of token log-probabilities."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from framework.registry import Component

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Targets:
    """What a micro-batch's supervised tokens belong to. ``K`` targets, ``P`` pairs.

    Without pairs, ``sequence`` and the reference are empty.
    """

    source: Tensor
    """int64 [K]: index of the source of each target."""
    sequence: Tensor
    """int64 [K]: ``2 * pair`` for a chosen token, ``2 * pair + 1`` for a rejected one."""
    pairs: int
    reference: Tensor
    """float32 [2 P]: summed log-probabilities of the sequences under the policy at the start of the stage."""
    lengths: Tensor
    """float32 [2 P]: number of supervised tokens of each sequence."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss summed over its units, and sums of what the metrics average."""

    total: Tensor
    """float32 scalar, to be divided by the number of units in the global batch."""
    per_unit: Tensor
    """float32 [units], detached: [K] for token losses, [P] for pair losses."""
    sums: dict[str, Tensor]
    """Detached scalar sums over units, averaged for the step's metrics."""


class Objective(Component):
    """Settings that every objective has."""

    folder: ClassVar[str] = "objectives"
    rows: ClassVar[Literal["sft", "clm", "pair"]]
    """How rows are laid out for it."""
    unit: ClassVar[Literal["tokens", "pairs"]] = "tokens"
    """What the loss is a mean over, in the global batch."""
    needs_reference: ClassVar[bool] = False
    """Whether it compares with the policy's log-probabilities at the start of the stage."""

    @abstractmethod
    def loss(self, logps: Tensor, targets: Targets) -> Loss:
        """The loss from ``logps``, float32 [K]: the log-probability of every target given what precedes it."""
