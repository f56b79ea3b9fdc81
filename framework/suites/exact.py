"""Short answers: the greedy reply must contain one of the accepted answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import ConfigDict, PositiveInt

from framework.suites._items import STRICT, Filled, read_items, subset
from framework.suites._scoring import MAX_EXAMPLES, MIN_TOPIC, ask, mean, sliced
from framework.suites._text import contains_any, require_words
from framework.suites.base import Example, Scorer, Suite, SuiteResult


@dataclass(frozen=True, slots=True)
class ExactItem:
    """A question and every answer that is right."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    id: str
    question: Filled
    answers: tuple[Filled, ...]
    slice: str = ""
    topic: str = ""

    def __post_init__(self) -> None:
        if not self.answers:
            raise ValueError("answers: at least one is needed")
        require_words(self.answers)


class Exact(Suite):
    """The share of questions whose reply contains an accepted answer, normalised, as whole words."""

    kind: Literal["exact"] = "exact"
    max_new_tokens: PositiveInt = 40

    def load(self) -> Sequence[ExactItem]:
        """The questions."""
        return subset(read_items(self.path, ExactItem), self.max_items)

    def evaluate(self, scorer: Scorer) -> SuiteResult:
        """The share of greedy replies that hold an accepted answer."""
        items = self.load()
        replies = scorer.generate([ask(item.question) for item in items], self.max_new_tokens)
        answered = list(zip(items, replies, strict=True))
        correct = [contains_any(reply, item.answers) for item, reply in answered]
        judged = list(zip(items, map(float, correct), strict=True))
        return SuiteResult(
            metric="exact_match",
            value=mean([value for _, value in judged]),
            n=len(items),
            higher_is_better=True,
            slices=sliced((item.slice, value) for item, value in judged)
            | sliced(((item.topic, value) for item, value in judged), "topic:", MIN_TOPIC),
            examples=[
                Example(item.id, item.question, reply, " | ".join(item.answers), right)
                for (item, reply), right in list(zip(answered, correct, strict=True))[:MAX_EXAMPLES]
            ],
        )


COMPONENT = Exact
