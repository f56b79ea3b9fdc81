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
    """A prompt, and replies to hold the policy's own against where there are any."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    id: str
    prompt: Filled
    chosen: str = ""
    rejected: str = ""
    slice: str = ""
    task: str = ""


class Reward(Suite):
    """The mean score of greedy replies, in the reward model's own unit: comparable under one reward model alone."""

    kind: Literal["reward"] = "reward"
    model: str
    """A reward model: a run that trained one, or a folder that transformers loads for sequence classification."""
    max_new_tokens: PositiveInt = 128

    def load(self) -> Sequence[RewardItem]:
        """The prompts. Raises ``DataError`` too when there is no such reward model."""
        folder_of(self.model)
        return subset(read_items(self.path, RewardItem), self.max_items)

    def asks(self) -> list[Path]:
        """The reward model's files."""
        return files_of(self.model)

    def evaluate(self, scorer: Scorer) -> SuiteResult:
        """Mean reward; ``beats_chosen`` and ``beats_rejected`` are shares of the items that have such a reply."""
        items = self.load()
        prompts = [ask(item.prompt) for item in items]
        replies = scorer.generate(prompts, self.max_new_tokens)
        held = [(reply, item.chosen, item.rejected) for item, reply in zip(items, replies, strict=True)]
        asked = [tuple(text for place, text in enumerate(texts) if text or not place) for texts in held]
        scored = scorer.rewards(prompts, asked, folder_of(self.model))
        own = [found[0] for found in scored]
        beaten: dict[str, list[float]] = {}
        for texts, found in zip(held, scored, strict=True):
            others = iter(found[1:])
            for name, text in (("beats_chosen", texts[1]), ("beats_rejected", texts[2])):
                if text:
                    beaten.setdefault(name, []).append(float(found[0] > next(others)))
        return SuiteResult(
            metric="mean_reward",
            value=mean(own),
            n=len(items),
            higher_is_better=True,
            slices=sliced((item.slice, value) for item, value in zip(items, own, strict=True))
            | sliced(((item.task, value) for item, value in zip(items, own, strict=True)), "task:"),
            metrics={name: mean(values) for name, values in beaten.items()},
            examples=[
                Example(item.id, item.prompt, reply, f"reward {value:.3f}", value > 0)
                for item, reply, value in list(zip(items, replies, own, strict=True))[:MAX_EXAMPLES]
            ],
        )


COMPONENT = Reward
