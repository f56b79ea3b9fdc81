"""An objective: what a stage minimises, as a pure function of token log-probabilities."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from framework.registry import Component

if TYPE_CHECKING:
    from torch import Tensor

Rows = Literal["sft", "clm", "pair", "judged"]
Unit = Literal["tokens", "pairs", "responses"]
Anchor = Literal["none", "mismatched", "running"]
Margins = Literal["none", "optional", "required"]


@dataclass(frozen=True, slots=True)
class Targets:
    """What a micro-batch's supervised tokens belong to. ``K`` targets, ``P`` prompts with one or two responses each.

    Where an objective's unit is the token, ``sequence``, the reference and the lengths are empty.
    """

    source: Tensor
    """int64 [K]: index of the source of each target."""
    sequence: Tensor
    """int64 [K]: ``2 * pair`` for a token of a chosen or desirable response, ``2 * pair + 1`` for one of the other."""
    pairs: int
    reference: Tensor
    """float32 [2 P]: summed log-probabilities of the sequences under the policy at the start of the stage."""
    lengths: Tensor
    """float32 [2 P]: number of supervised tokens of each sequence; 0 where a prompt has no such response."""
    anchor: Tensor
    """float32 scalar: what rewards are held against, by the objective's ``anchor``; 0 where there is none."""
    margins: Tensor | None = None
    """float32 [P]: by how much the data say that ``chosen`` is better, 0 where a row says nothing; None where the
    objective takes none."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss summed over its units, and sums of what the metrics average."""

    total: Tensor
    """float32 scalar, to be divided by the number of units in the global batch."""
    per_unit: Tensor
    """float32 [units], detached: [K] for token losses, [P] for pair losses, one for each response for judged ones."""
    sums: dict[str, Tensor]
    """Detached, float32 [2] each: a sum, and over how many it is; the step's metrics are their quotients."""


class Objective(Component):
    """Settings that every objective has."""

    folder: ClassVar[str] = "objectives"
    rows: ClassVar[Rows]
    """How rows are laid out for it."""
    unit: ClassVar[Unit] = "tokens"
    """What the loss is a mean over, in the global batch."""
    needs_reference: ClassVar[bool] = False
    """Whether it compares with the policy's log-probabilities at the start of the stage."""
    anchor: ClassVar[Anchor] = "none"
    """Where ``Targets.anchor`` comes from: ``mismatched`` is the mean log-ratio of responses to other prompts, never
    below 0; ``running`` is the middle between the mean rewards of both kinds of responses in the steps before."""

    margins: ClassVar[Margins] = "none"
    """Whether it takes the margins of pairs; ``required`` where it is another objective without them."""
    scores: ClassVar[bool] = False
    """Whether it trains a reward model: ``loss`` then gets a score of each response, float32 [2 P], for ``logps``."""

    @abstractmethod
    def loss(self, logps: Tensor, targets: Targets) -> Loss:
        """The loss from ``logps``, float32 [K]: the log-probability of every target given what precedes it."""

    def derived(self, means: dict[str, float]) -> dict[str, float]:
        """The step's metrics, from the means over its global batch."""
        return means
