"""A suite: one kind of evaluation on held-out items."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

from pydantic import PositiveInt

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
    measures: Literal["instruct", "domain", "align", "general"]
    """The stage kind that this suite judges, or ``general`` for what no stage should lose."""
    max_items: PositiveInt | None = None
    """Evaluate at most so many items, spread evenly over the file."""

    @abstractmethod
    def load(self) -> Sequence[Any]:
        """The items, typed and checked; needs no torch. Raises ``DataError`` with ``file:line`` for a bad item."""

    @abstractmethod
    def evaluate(self, scorer: Scorer) -> SuiteResult:
        """Measure a model."""
