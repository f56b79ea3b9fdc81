"""Multiple choice: the model's choice is the one it finds likeliest as its reply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import ConfigDict

from framework.suites._items import STRICT, Filled, read_items, subset
from framework.suites._scoring import MAX_EXAMPLES, MIN_TOPIC, Normalise, ask, mean, score, sliced
from framework.suites.base import Example, Likelihood, Scorer, Suite, SuiteResult


@dataclass(frozen=True, slots=True)
class ChoiceItem:
    """A question with its choices; ``answer`` is the index of the right one, ``group`` joins paraphrases."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    id: str
    question: Filled
    choices: tuple[Filled, ...]
    answer: int
    slice: str = ""
    topic: str = ""
    area: str = ""
    group: str = ""

    def __post_init__(self) -> None:
        if len(self.choices) < 2:
            raise ValueError("choices: a question needs two or more")
        if len(set(self.choices)) < len(self.choices):
            raise ValueError("choices: two of them are the same")
        if not 0 <= self.answer < len(self.choices):
            raise ValueError(f"answer: must be from 0 to {len(self.choices) - 1}, is {self.answer}")


@dataclass(frozen=True, slots=True)
class _Verdict:
    item: ChoiceItem
    pick: int
    margin: float
    """Score of the right choice minus that of the best wrong one; positive exactly when the pick is right."""

    @property
    def correct(self) -> float:
        return float(self.margin > 0)


class Choice(Suite):
    """Accuracy by log-likelihood. Equal scores count as wrong: the model has not chosen."""

    kind: Literal["choice"] = "choice"
    normalise: Normalise = "token"

    def load(self) -> Sequence[ChoiceItem]:
        """The questions; paraphrases of one group stay together."""
        return subset(read_items(self.path, ChoiceItem), self.max_items, lambda item: item.group)

    def evaluate(self, scorer: Scorer) -> SuiteResult:
        """The share of questions whose likeliest choice is the right one."""
        items = self.load()
        replies = scorer.continuations([ask(item.question) for item in items], [item.choices for item in items])
        verdicts = [self._judge(item, likelihoods) for item, likelihoods in zip(items, replies, strict=True)]
        slices = sliced((verdict.item.slice, verdict.correct) for verdict in verdicts)
        slices |= sliced(((verdict.item.area, verdict.correct) for verdict in verdicts), "area:", MIN_TOPIC)
        slices |= sliced(((verdict.item.topic, verdict.correct) for verdict in verdicts), "topic:", MIN_TOPIC)
        return SuiteResult(
            metric="accuracy",
            value=mean([verdict.correct for verdict in verdicts]),
            n=len(items),
            higher_is_better=True,
            slices=slices,
            metrics={
                "margin": mean([verdict.margin for verdict in verdicts]),
                "chance": mean([1 / len(item.choices) for item in items]),
            }
            | _paraphrase_consistency(verdicts),
            examples=[_example(verdict) for verdict in verdicts[:MAX_EXAMPLES]],
        )

    def _judge(self, item: ChoiceItem, likelihoods: Sequence[Likelihood]) -> _Verdict:
        scores = [score(likelihood, self.normalise) for likelihood in likelihoods]
        best_wrong = max(value for index, value in enumerate(scores) if index != item.answer)
        return _Verdict(item, scores.index(max(scores)), scores[item.answer] - best_wrong)


def _paraphrase_consistency(verdicts: Sequence[_Verdict]) -> dict[str, float]:
    """The share of groups with two or more items for which all picks have the same text; nothing without
    groups.
    """
    picks: dict[str, list[str]] = {}
    for verdict in verdicts:
        if verdict.item.group:
            picks.setdefault(verdict.item.group, []).append(verdict.item.choices[verdict.pick])
    agreeing = [float(len(set(texts)) == 1) for texts in picks.values() if len(texts) > 1]
    return {"paraphrase_consistency": mean(agreeing)} if agreeing else {}


def _example(verdict: _Verdict) -> Example:
    item = verdict.item
    return Example(
        id=item.id,
        prompt=item.question,
        reply=item.choices[verdict.pick],
        expected=item.choices[item.answer],
        correct=verdict.margin > 0,
    )


COMPONENT = Choice
