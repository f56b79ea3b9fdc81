"""Held-out pairs: a reward model should score the chosen reply higher."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from framework.suites._items import read_items, subset
from framework.suites._scoring import MAX_EXAMPLES, ask, mean, sliced
from framework.suites.base import Example, Scorer, Suite, SuiteResult
from framework.suites.pairs import PairItem


class RewardPairs(Suite):
    """The share of pairs that a reward stage's model ranks rightly; equal scores count as wrong."""

    kind: Literal["reward_pairs"] = "reward_pairs"
    of_reward_model: ClassVar[bool] = True

    def load(self) -> Sequence[PairItem]:
        """The pairs."""
        return subset(read_items(self.path, PairItem), self.max_items)

    def evaluate(self, scorer: Scorer) -> SuiteResult:
        """Accuracy; ``margin`` is the mean difference of the scores, ``mean_reward`` the mean of all."""
        items = self.load()
        found = scorer.rewards([ask(item.prompt) for item in items], [(item.chosen, item.rejected) for item in items])
        right = [float(chosen > rejected) for chosen, rejected in found]
        return SuiteResult(
            metric="accuracy",
            value=mean(right),
            n=len(items),
            higher_is_better=True,
            slices=sliced((item.slice, correct) for item, correct in zip(items, right, strict=True))
            | sliced(((item.task, correct) for item, correct in zip(items, right, strict=True)), "task:"),
            metrics={
                "margin": mean([chosen - rejected for chosen, rejected in found]),
                "mean_reward": mean([score for pair in found for score in pair]),
            },
            examples=[
                Example(item.id, item.prompt, item.chosen if correct else item.rejected, item.chosen, bool(correct))
                for item, correct in list(zip(items, right, strict=True))[:MAX_EXAMPLES]
            ],
        )


COMPONENT = RewardPairs
