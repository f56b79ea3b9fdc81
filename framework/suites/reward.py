"""What a reward model says of the policy's own replies (Stiennon et al. 2020, arXiv:2009.01325)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import ConfigDict, PositiveInt

from framework.suites._items import STRICT, Filled, read_items, subset
from framework.suites._reward_model import files_of, folder_of
from framework.suites._scoring import MAX_EXAMPLES, ask, mean, sliced
from framework.suites.base import Example, Scorer, Suite, SuiteResult


@dataclass(frozen=True, slots=True)
class RewardItem:
    """A prompt with a reply that the policy's own is held against, and a worse one where there is any."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    id: str
    prompt: Filled
    chosen: Filled
    rejected: str = ""
    slice: str = ""
    task: str = ""


class Reward(Suite):
    """The share of greedy replies that score higher than the item's ``chosen``; ties count half.

    Preferences say how rewards of one prompt differ, and nothing about their zero, so that wins are compared and not
    means: those are in ``metrics``.
    """

    kind: Literal["reward"] = "reward"
    model: str
    """A reward model: a run that trained one, or a folder that transformers loads for sequence classification."""
    max_new_tokens: PositiveInt = 128

    def load(self) -> Sequence[RewardItem]:
        """The items. Raises ``DataError`` too when there is no such reward model."""
        folder_of(self.model)
        return subset(read_items(self.path, RewardItem), self.max_items)

    def asks(self) -> list[Path]:
        """The reward model's files."""
        return files_of(self.model)

    def evaluate(self, scorer: Scorer) -> SuiteResult:
        """The win rate over ``chosen``; ``beats_rejected`` is that over ``rejected``, of the items that have one."""
        items = self.load()
        prompts = [ask(item.prompt) for item in items]
        replies = scorer.generate(prompts, self.max_new_tokens)
        asked = [
            (reply, item.chosen, *((item.rejected,) if item.rejected else ()))
            for item, reply in zip(items, replies, strict=True)
        ]
        scores = scorer.rewards(prompts, asked, folder_of(self.model))
        wins = [_beats(found[0], found[1]) for found in scores]
        own = [found[0] for found in scores]
        metrics = {"mean_reward": mean(own), "margin": mean([found[0] - found[1] for found in scores])}
        if worse := [_beats(found[0], found[2]) for found in scores if len(found) > 2]:
            metrics["beats_rejected"] = mean(worse)
        judged = list(zip(items, wins, strict=True))
        return SuiteResult(
            metric="win_rate",
            value=mean(wins),
            n=len(items),
            higher_is_better=True,
            slices=sliced((item.slice, win) for item, win in judged)
            | sliced(((item.task, win) for item, win in judged), "task:"),
            metrics=metrics,
            examples=[
                Example(item.id, item.prompt, reply, item.chosen, win > 0.5)
                for (item, win), reply in list(zip(judged, replies, strict=True))[:MAX_EXAMPLES]
            ],
        )


def _beats(one: float, other: float) -> float:
    return float(one > other) + 0.5 * float(one == other)


COMPONENT = Reward
