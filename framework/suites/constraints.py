"""Following of verifiable instructions about a reply's form, as IFEval measures it (Zhou et al. 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import ConfigDict, PositiveInt

from framework.suites._constraints import AnyConstraint, loosely_satisfied, satisfied
from framework.suites._items import STRICT, Filled, read_items, subset
from framework.suites._scoring import MAX_EXAMPLES, ask, mean, sliced
from framework.suites.base import Example, Scorer, Suite, SuiteResult


@dataclass(frozen=True, slots=True)
class ConstraintsItem:
    """A prompt that states constraints, and the same constraints for the program."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    id: str
    prompt: Filled
    constraints: tuple[AnyConstraint, ...]
    slice: str = ""

    def __post_init__(self) -> None:
        if not self.constraints:
            raise ValueError("constraints: at least one is needed")


@dataclass(frozen=True, slots=True)
class _Verdict:
    item: ConstraintsItem
    reply: str
    strict: tuple[bool, ...]
    loose: tuple[bool, ...]


class Constraints(Suite):
    """The share of prompts whose constraints all hold; ``instruction_accuracy`` counts each constraint by
    itself.

    Both have a loose variant, and ``kind:NAME`` is the strict accuracy of one kind of constraint.
    """

    kind: Literal["constraints"] = "constraints"
    max_new_tokens: PositiveInt = 256

    def load(self) -> Sequence[ConstraintsItem]:
        """The prompts with their constraints."""
        return subset(read_items(self.path, ConstraintsItem), self.max_items)

    def evaluate(self, scorer: Scorer) -> SuiteResult:
        """The share of prompts whose constraints all hold."""
        items = self.load()
        replies = scorer.generate([ask(item.prompt) for item in items], self.max_new_tokens)
        verdicts = [_judge(item, reply) for item, reply in zip(items, replies, strict=True)]
        return SuiteResult(
            metric="prompt_accuracy",
            value=mean([float(all(verdict.strict)) for verdict in verdicts]),
            n=len(items),
            higher_is_better=True,
            slices=sliced((verdict.item.slice, float(all(verdict.strict))) for verdict in verdicts),
            metrics={
                "instruction_accuracy": mean([float(held) for verdict in verdicts for held in verdict.strict]),
                "loose_prompt_accuracy": mean([float(all(verdict.loose)) for verdict in verdicts]),
                "loose_instruction_accuracy": mean([float(held) for verdict in verdicts for held in verdict.loose]),
            }
            | _by_kind(verdicts),
            examples=[_example(verdict) for verdict in verdicts[:MAX_EXAMPLES]],
        )


def _judge(item: ConstraintsItem, reply: str) -> _Verdict:
    return _Verdict(
        item=item,
        reply=reply,
        strict=tuple(satisfied(constraint, reply) for constraint in item.constraints),
        loose=tuple(loosely_satisfied(constraint, reply) for constraint in item.constraints),
    )


def _by_kind(verdicts: Sequence[_Verdict]) -> dict[str, float]:
    held = [
        (constraint.kind, float(right))
        for verdict in verdicts
        for constraint, right in zip(verdict.item.constraints, verdict.strict, strict=True)
    ]
    return {name: found.value for name, found in sliced(held, "kind:").items()}


def _example(verdict: _Verdict) -> Example:
    """What is expected is named by the constraints, those that do not hold marked as broken."""
    expected = "; ".join(
        constraint.model_dump_json() + ("" if held else " (broken)")
        for constraint, held in zip(verdict.item.constraints, verdict.strict, strict=True)
    )
    return Example(verdict.item.id, verdict.item.prompt, verdict.reply, expected, all(verdict.strict))


COMPONENT = Constraints
