"""Preference pairs: the chosen reply should be likelier than the rejected one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import ConfigDict

from framework.suites._items import STRICT, Filled, read_items, subset
from framework.suites._scoring import MAX_EXAMPLES, Normalise, ask, mean, score, sliced
from framework.suites.base import Example, Likelihood, Scorer, Suite, SuiteResult


@dataclass(frozen=True, slots=True)
class PairItem:
    """A prompt with a better and a worse reply."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    id: str
    prompt: Filled
    chosen: Filled
    rejected: Filled
    slice: str = ""
    task: str = ""

    def __post_init__(self) -> None:
        if self.chosen.strip() == self.rejected.strip():
            raise ValueError("chosen and rejected are the same")


@dataclass(frozen=True, slots=True)
class _Verdict:
    item: PairItem
    correct: float
    margin: float
    """Difference of the log-likelihoods per token, in nats, chosen minus rejected."""
    longer: int
    """Tokens of chosen minus tokens of rejected."""


class Pairs(Suite):
    """The share of pairs ranked rightly; also for breadth, where each task type is a slice (``task:NAME``).

    Equal scores count as wrong: the model has no preference.
    """

    kind: Literal["pairs"] = "pairs"
    normalise: Normalise = "token"

    def load(self) -> Sequence[PairItem]:
        """The pairs."""
        return subset(read_items(self.path, PairItem), self.max_items)

    def evaluate(self, scorer: Scorer) -> SuiteResult:
        """The share of pairs whose chosen reply scores higher."""
        items = self.load()
        found = scorer.continuations(
            [ask(item.prompt) for item in items], [(item.chosen, item.rejected) for item in items]
        )
        verdicts = [self._judge(item, *pair) for item, pair in zip(items, found, strict=True)]
        return SuiteResult(
            metric="accuracy",
            value=mean([verdict.correct for verdict in verdicts]),
            n=len(items),
            higher_is_better=True,
            slices=sliced((verdict.item.slice, verdict.correct) for verdict in verdicts)
            | sliced(((verdict.item.task, verdict.correct) for verdict in verdicts), "task:"),
            metrics={"margin": mean([verdict.margin for verdict in verdicts])} | _length_controlled(verdicts),
            examples=[_example(verdict) for verdict in verdicts[:MAX_EXAMPLES]],
        )

    def _judge(self, item: PairItem, chosen: Likelihood, rejected: Likelihood) -> _Verdict:
        return _Verdict(
            item=item,
            correct=float(score(chosen, self.normalise) > score(rejected, self.normalise)),
            margin=score(chosen, "token") - score(rejected, "token"),
            longer=chosen.tokens - rejected.tokens,
        )


def _length_controlled(verdicts: Sequence[_Verdict]) -> dict[str, float]:
    """Accuracy with the pairs whose chosen reply is longer weighing as much as those whose rejected one is.

    Pairs of equal length keep their own share. A model that only prefers long (or short) replies gets one
    half. Left out when one of the two classes is empty, for then length cannot be told from quality.
    """
    longer = [verdict.correct for verdict in verdicts if verdict.longer > 0]
    shorter = [verdict.correct for verdict in verdicts if verdict.longer < 0]
    equal = [verdict.correct for verdict in verdicts if verdict.longer == 0]
    if not longer and not shorter:
        return {"length_controlled": mean(equal)}
    if not longer or not shorter:
        return {}
    controlled = (mean(longer) + mean(shorter)) / 2
    return {"length_controlled": (controlled * (len(longer) + len(shorter)) + sum(equal)) / len(verdicts)}


def _example(verdict: _Verdict) -> Example:
    """The reply shown is the one that the model prefers."""
    item, correct = verdict.item, bool(verdict.correct)
    return Example(item.id, item.prompt, item.chosen if correct else item.rejected, item.chosen, correct)


COMPONENT = Pairs
