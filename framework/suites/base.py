"""A suite: one kind of evaluation on held-out items."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, Self

from pydantic import PositiveInt, model_validator

from framework.data.rows import Turn
from framework.registry import Component

Prompt = tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Likelihood:
    """Log-probability (natural log, summed) of a continuation and the number of its tokens."""

    logprob: float
    tokens: int


class Scorer(Protocol):
    """What a suite may ask of a model. Prompts go through the chat template; texts do not."""

    def continuations(
        self, prompts: Sequence[Prompt], continuations: Sequence[Sequence[str]]
    ) -> list[list[Likelihood]]:
        """The likelihood of every continuation as the assistant's reply (stop token left out) to its prompt."""
        ...

    def texts(self, texts: Sequence[str]) -> list[Likelihood]:
        """The likelihood of each plain text given its first token."""
        ...

    def generate(self, prompts: Sequence[Prompt], max_new_tokens: int) -> list[str]:
        """Greedy replies, special tokens removed, one for each prompt."""
        ...

    def rewards(
        self, prompts: Sequence[Prompt], replies: Sequence[Sequence[str]], model: Path | None = None
    ) -> list[list[float]]:
        """The score of every reply to its prompt, from the reward model in a folder; without one the model that is
        measured is a reward model."""
        ...


@dataclass(frozen=True, slots=True)
class Sliced:
    """A metric over some of the items."""

    value: float
    n: int


@dataclass(frozen=True, slots=True)
class Example:
    """One item with the model's reply, for people to read."""

    id: str
    prompt: str
    reply: str
    expected: str
    correct: bool


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """What a suite found. ``value`` is the headline; ``metrics`` holds what else it measured."""

    metric: str
    value: float
    n: int
    higher_is_better: bool
    slices: dict[str, Sliced]
    metrics: dict[str, float] = field(default_factory=dict)
    examples: list[Example] = field(default_factory=list)


class Suite(Component):
    """Settings that every kind of suite has."""

    folder: ClassVar[str] = "suites"
    path: str
    """JSON lines with the items; relative paths start at the current folder, then at the project's."""
    of_reward_model: ClassVar[bool] = False
    """Whether it measures a reward model, and not a policy."""
    measures: Literal["instruct", "domain", "align", "reward", "general"]
    """The stage kind that this suite judges, or ``general`` for what no stage should lose."""
    max_items: PositiveInt | None = None
    """Evaluate at most so many items, spread evenly over the file."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.of_reward_model != (self.measures == "reward"):
            what = "reward" if self.of_reward_model else "instruct, domain, align or general"
            raise ValueError(f"a suite of kind {self.kind} measures {what}")
        return self

    def asks(self) -> list[Path]:
        """Files of other models that its results depend on. Raises ``DataError`` when they are not there."""
        return []

    @abstractmethod
    def load(self) -> Sequence[Any]:
        """The items, typed and checked; needs no torch. Raises ``DataError`` with ``file:line`` for a bad item."""

    @abstractmethod
    def evaluate(self, scorer: Scorer) -> SuiteResult:
        """Measure a model."""
