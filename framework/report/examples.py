"""Replies to the same items before and after a stage, and its slices side by side: what the template shows."""

from __future__ import annotations

from dataclasses import dataclass

from framework.report import numbers
from framework.report.read import StageRecord
from framework.report.records import Example, Result

_OWN = 6
_OTHERS = 3
_LONGEST = 1200
"""Characters of a text that are shown; the rest is in evals.json."""


@dataclass(frozen=True, slots=True)
class Pair:
    """An item with the replies before (if it was asked then) and after."""

    before: Example | None
    after: Example

    @property
    def outcome(self) -> str:
        """In one word or two."""
        if self.before is None or self.before.correct == self.after.correct:
            return "right" if self.after.correct else "wrong"
        return "gained" if self.after.correct else "lost"


@dataclass(frozen=True, slots=True)
class SuitePairs:
    """The examples of a suite that are shown."""

    suite: str
    own: bool
    """Whether the stage is for what the suite measures."""
    pairs: list[Pair]
    held: int
    """Examples in evals.json."""
    tally: str
    """How many of these were gained, lost and so on."""


@dataclass(frozen=True, slots=True)
class SliceRow:
    """A slice before and after a stage, as shown."""

    name: str
    items: int
    before: str
    after: str
    change: str
    worse: bool


def suite_pairs(stage: StageRecord) -> list[SuitePairs]:
    """Of the suites that judge this stage: items that changed first; of the others: items that were lost."""
    found: list[SuitePairs] = []
    for suite, after in (stage.evals.after or {}).items():
        before = {one.id: one for one in (stage.evals.before or {}).get(suite, _NOTHING).examples}
        pairs = [Pair(before.get(one.id), one) for one in after.examples]
        own = after.measures == stage.kind
        lost = [pair for pair in pairs if pair.outcome == "lost"]
        chosen = _some_of_each(pairs, _OWN) if own else lost[:_OTHERS]
        if chosen:
            found.append(SuitePairs(suite, own, chosen, len(pairs), _tally(pairs)))
    return sorted(found, key=lambda one: not one.own)


def _some_of_each(pairs: list[Pair], number: int) -> list[Pair]:
    """In turn one gained, lost, wrong and right item, so that the choice flatters no one."""
    seen = dict.fromkeys(_OUTCOMES, 0)
    ranked: list[tuple[int, int, Pair]] = []
    for pair in pairs:
        ranked.append((seen[pair.outcome], list(_OUTCOMES).index(pair.outcome), pair))
        seen[pair.outcome] += 1
    chosen = sorted(ranked, key=lambda one: one[:2])[:number]
    return [pair for _, _, pair in sorted(chosen, key=lambda one: (one[1], one[0]))]


def _tally(pairs: list[Pair]) -> str:
    counts = {words: sum(pair.outcome == name for pair in pairs) for name, words in _OUTCOMES.items()}
    return ", ".join(f"{count} {words}" for words, count in counts.items() if count)


_OUTCOMES = {"gained": "gained", "lost": "lost", "wrong": "wrong before and after", "right": "right before and after"}
_NOTHING = Result(metric="", value=0, n=0, higher_is_better=True)


def slice_rows(stage: StageRecord, suite: str) -> list[SliceRow]:
    """The suite in whole, head and tail, then the other slices, weakest first."""
    after = (stage.evals.after or {})[suite]
    before = (stage.evals.before or {}).get(suite)
    sign = 1 if after.higher_is_better else -1
    names = sorted(
        after.slices, key=lambda name: ({"head": 0, "tail": 1}.get(name, 2), sign * after.slices[name].value)
    )
    rows = [_row("all items", after.n, before.value if before else None, after.value, after.higher_is_better)]
    for name in names:
        part = after.slices[name]
        old = before.slices[name].value if before and name in before.slices else None
        rows.append(_row(name, part.n, old, part.value, after.higher_is_better))
    return rows


def _row(name: str, items: int, old: float | None, new: float, higher: bool) -> SliceRow:
    change = numbers.change(old, new, higher) if old is not None else ""
    worse = old is not None and (new < old if higher else new > old) and change != "0.0 pts"
    before = numbers.value(old, higher) if old is not None else "-"
    return SliceRow(name, items, before, numbers.value(new, higher), change, worse)


def clip(text: str) -> str:
    """A text of at most so many characters; what is left out is said."""
    more = len(text) - _LONGEST
    return text if more <= 0 else f"{text[:_LONGEST]}\u2026 [{more:,} more characters]"
