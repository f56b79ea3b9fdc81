"""Use of the domain's terms: does a free reply speak the field's language?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import ConfigDict, PositiveInt

from framework.suites._items import STRICT, Filled, read_items, subset
from framework.suites._scoring import MAX_EXAMPLES, MIN_TOPIC, ask, mean, sliced
from framework.suites._text import contains, require_words
from framework.suites.base import Example, Scorer, Suite, SuiteResult


@dataclass(frozen=True, slots=True)
class TermsItem:
    """A prompt that does not name the terms, and the terms that an expert's reply would use."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    id: str
    prompt: Filled
    terms: tuple[Filled, ...]
    slice: str = ""
    topic: str = ""

    def __post_init__(self) -> None:
        if not self.terms:
            raise ValueError("terms: at least one is needed")
        require_words(self.terms)
        given = [term for term in self.terms if contains(self.prompt, term)]
        if given:
            raise ValueError(f"terms: the prompt itself says {', '.join(given)}")


class Terms(Suite):
    """The mean over items of the share of expected terms that the greedy reply uses, as whole words."""

    kind: Literal["terms"] = "terms"
    max_new_tokens: PositiveInt = 96

    def load(self) -> Sequence[TermsItem]:
        """The prompts with their terms."""
        return subset(read_items(self.path, TermsItem), self.max_items)

    def evaluate(self, scorer: Scorer) -> SuiteResult:
        """Mean recall of the terms."""
        items = self.load()
        replies = scorer.generate([ask(item.prompt) for item in items], self.max_new_tokens)
        answered = list(zip(items, replies, strict=True))
        recalls = [mean([float(contains(reply, term)) for term in item.terms]) for item, reply in answered]
        judged = list(zip(items, recalls, strict=True))
        return SuiteResult(
            metric="term_recall",
            value=mean(recalls),
            n=len(items),
            higher_is_better=True,
            slices=sliced((item.slice, recall) for item, recall in judged)
            | sliced(((item.topic, recall) for item, recall in judged), "topic:", MIN_TOPIC),
            metrics={"any_term": mean([float(recall > 0) for recall in recalls])},
            examples=[
                Example(item.id, item.prompt, reply, ", ".join(item.terms), recall == 1)
                for (item, reply), recall in list(zip(answered, recalls, strict=True))[:MAX_EXAMPLES]
            ],
        )


COMPONENT = Terms
