"""Consistency: the same question in several wordings should be answered alike, and rightly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import ConfigDict, PositiveInt

from framework.errors import Problem
from framework.paths import resolve
from framework.suites._items import STRICT, Filled, raise_all, read_items, subset
from framework.suites._scoring import MAX_EXAMPLES, ask, mean, sliced
from framework.suites._text import contains_any, require_words
from framework.suites.base import Example, Scorer, Suite, SuiteResult


@dataclass(frozen=True, slots=True)
class WordingItem:
    """One wording of a question.

    Items of one ``group`` ask the same; each lists the answers that are right.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    id: str
    group: Filled
    prompt: Filled
    answers: tuple[Filled, ...]
    slice: str = ""

    def __post_init__(self) -> None:
        if not self.answers:
            raise ValueError("answers: at least one is needed")
        require_words(self.answers)


class Consistency(Suite):
    """Groups weigh the same, however many wordings they have; ``n`` (also of slices) counts groups.

    ``accuracy`` is the mean over groups of the share of wordings answered rightly, ``agreement`` the share of
    groups whose wordings are all answered rightly or all wrongly. Agreement alone says nothing good: read
    both.
    """

    kind: Literal["consistency"] = "consistency"
    max_new_tokens: PositiveInt = 40

    def load(self) -> Sequence[WordingItem]:
        """The wordings; a group stays together."""
        items = read_items(self.path, WordingItem)
        raise_all(_group_problems(items, str(resolve(self.path))))
        return subset(items, self.max_items, lambda item: item.group)

    def evaluate(self, scorer: Scorer) -> SuiteResult:
        """Answers by group of wordings."""
        items = self.load()
        replies = scorer.generate([ask(item.prompt) for item in items], self.max_new_tokens)
        correct = [contains_any(reply, item.answers) for item, reply in zip(items, replies, strict=True)]
        groups: dict[str, list[float]] = {}
        slices: dict[str, str] = {}
        for item, right in zip(items, correct, strict=True):
            groups.setdefault(item.group, []).append(float(right))
            slices[item.group] = item.slice
        shares = {group: mean(verdicts) for group, verdicts in groups.items()}
        return SuiteResult(
            metric="accuracy",
            value=mean(list(shares.values())),
            n=len(groups),
            higher_is_better=True,
            slices=sliced((slices[group], share) for group, share in shares.items()),
            metrics={
                "agreement": mean([float(share in (0.0, 1.0)) for share in shares.values()]),
                "wordings": float(len(items)),
            },
            examples=[
                Example(item.id, item.prompt, reply, " | ".join(item.answers), right)
                for item, reply, right in list(zip(items, replies, correct, strict=True))[:MAX_EXAMPLES]
            ],
        )


def _group_problems(items: Sequence[WordingItem], origin: str) -> list[Problem]:
    """Groups of one wording, and groups that lie in two slices."""
    groups: dict[str, list[WordingItem]] = {}
    for item in items:
        groups.setdefault(item.group, []).append(item)
    problems: list[Problem] = []
    for name, members in groups.items():
        if len(members) < 2:
            message = f"group {name!r} has one wording, the item {members[0].id!r}"
            problems.append(Problem("group", message, "add a second wording", origin))
        if len({item.slice for item in members}) > 1:
            message = f"group {name!r} lies in more than one slice"
            problems.append(Problem("slice", message, "give its items the same slice", origin))
    return problems


COMPONENT = Consistency
