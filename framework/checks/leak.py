"""LEAK: evaluation items that stand in the training data, so that their suite measures memory.

An item counts as leaked when one row holds the asked share of its runs of eight words (Chowdhery et al. 2022, PaLM,
arXiv:2204.02311, section 8: 70 % of 8-grams). Items of fewer words, from five, must stand in a row whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from framework.checks._rows import examples
from framework.checks.base import Check, Finding, Subject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from framework.profile.columns import Profile

_ASKED = ("prompt", "question", "text")
"""Fields of suites' items that hold what the model is shown."""


class Leak(Check):
    """Every stage's rows against the items of every suite."""

    kind: Literal["leak"] = "leak"
    reads_rows: ClassVar[bool] = True
    run: int = Field(default=8, ge=3)
    """Words in a run (PaLM)."""
    min_words: int = Field(default=5, ge=2)
    """Shorter items are not looked for: they are found everywhere."""
    overlap: float = Field(default=0.7, gt=0, le=1)
    """Share of an item's runs that one row must hold (PaLM)."""
    max_share: float = Field(default=0.01, ge=0, le=1)
    """Share of a suite's items that may leak before it is an error; below it is a warning."""

    def check(self, subject: Subject) -> Iterator[Finding]:
        """One finding for each stage and suite."""
        for name, suite in subject.config.eval.suites.items():
            items = suite.load()
            for stage in subject.prepared:
                profiles = subject.profiles.of(stage)
                leaked = dict(self.leaked(items, profiles))
                if leaked:
                    share = len(leaked) / len(items)
                    level = "error" if share > self.max_share else "warning"
                    message = f"{len(leaked):,} of {len(items):,} items of the suite {name} stand in the training rows"
                    fix = f"remove these rows, or measure with other items than eval.suites.{name} has"
                    shown = examples(profiles, leaked.values())
                    yield Finding(self.code, level, stage, message, fix, round(share, 4), shown)

    def leaked(self, items: Sequence[Any], profiles: dict[str, Profile]) -> Iterator[tuple[int, tuple[str, int]]]:
        """Items of a suite, by place, each with the source and place of a row that holds it; all such pairs."""
        wanted = self._wanted(items)
        for source in profiles:
            yield from self._found(wanted, profiles[source], source)

    def _wanted(self, items: Sequence[Any]) -> dict[int, dict[int, NDArray[np.uint64]]]:
        """By length of run: the different runs of each item, by its place."""
        import numpy as np

        from framework.profile.words import hashed, runs, words

        found: dict[int, dict[int, NDArray[np.uint64]]] = {}
        for place, item in enumerate(items):
            numbers = hashed(words(_shown(item)))
            length = min(self.run, len(numbers))
            if length >= self.min_words:
                found.setdefault(length, {})[place] = np.unique(runs(numbers, length))
        return found

    def _found(
        self, wanted: dict[int, dict[int, NDArray[np.uint64]]], profile: Profile, source: str
    ) -> Iterator[tuple[int, tuple[str, int]]]:
        import numpy as np

        from framework.profile.words import runs

        starts = profile.word_starts
        for length, items in wanted.items():
            owners: dict[int, list[int]] = {}
            for item, numbers in items.items():
                for number in numbers.tolist():
                    owners.setdefault(number, []).append(item)
            every = runs(profile.word_numbers, length)
            known = np.fromiter(owners, dtype=np.uint64)
            hits = np.flatnonzero(np.isin(every, known))
            row = np.searchsorted(starts, hits, side="right") - 1
            inside = hits + length <= starts[row + 1]  # a run across two rows is none
            held: dict[tuple[int, int], set[int]] = {}
            for at, place in zip(hits[inside].tolist(), row[inside].tolist(), strict=True):
                for item in owners[int(every[at])]:
                    held.setdefault((item, place), set()).add(int(every[at]))
            for (item, place), numbers in held.items():
                if len(numbers) >= self.overlap * len(items[item]):
                    yield item, (source, place)


def _shown(item: Any) -> str:
    """What an item shows the model."""
    return next((str(getattr(item, name)) for name in _ASKED if hasattr(item, name)), "")


COMPONENT = Leak
