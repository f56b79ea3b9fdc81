"""LEAK: evaluation items that stand in the training data, so that their suite measures memory.

An item counts as leaked when one row holds the asked share of its runs of eight words (Chowdhery et al. 2022, PaLM,
arXiv:2204.02311, section 8: 70 % of 8-grams). Items of fewer words, from five, must stand in a row whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from framework.checks._rows import asked, examples
from framework.checks.base import Check, Finding, Subject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from framework.profile.columns import Profile


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
        suites = {name: suite.load() for name, suite in subject.config.eval.suites.items()}
        found = {stage: self.leaked(suites, subject.profiles.of(stage)) for stage in subject.prepared}
        for name, items in suites.items():
            for stage in subject.prepared:
                leaked = dict(found[stage][name])
                if leaked:
                    share = len(leaked) / len(items)
                    level = "error" if share > self.max_share else "warning"
                    message = f"{len(leaked):,} of {len(items):,} items of the suite {name} stand in the training rows"
                    fix = f"remove these rows, or measure with other items than eval.suites.{name} has"
                    shown = examples(subject.profiles.of(stage), leaked.values())
                    yield Finding(self.code, level, stage, message, fix, round(share, 4), shown)

    def leaked(
        self, suites: Mapping[str, Sequence[Any]], profiles: dict[str, Profile]
    ) -> dict[str, list[tuple[int, tuple[str, int]]]]:
        """By suite: its leaked items, by their place, each with the source and place of every row that holds it."""
        wanted = {name: self._wanted(items) for name, items in suites.items()}
        found: dict[str, list[tuple[int, tuple[str, int]]]] = {name: [] for name in suites}
        for source, profile in profiles.items():
            for (_, name, item), row in self._found(wanted, profile):
                found[name].append((item, (source, row)))
        return found

    def _wanted(self, items: Sequence[Any]) -> dict[int, dict[int, NDArray[np.uint64]]]:
        """By length of run: the different runs of each item, by its place."""
        import numpy as np

        from framework.profile.words import hashed, runs, words

        found: dict[int, dict[int, NDArray[np.uint64]]] = {}
        for place, item in enumerate(items):
            numbers = hashed(words(asked(item)))
            length = min(self.run, len(numbers))
            if length >= self.min_words:
                found.setdefault(length, {})[place] = np.unique(runs(numbers, length))
        return found

    def _found(
        self, wanted: dict[str, dict[int, dict[int, NDArray[np.uint64]]]], profile: Profile
    ) -> Iterator[tuple[tuple[int, str, int], int]]:
        """Leaked items (length of run, suite, place) with each row that holds one; a suite's lengths as they come."""
        import numpy as np

        from framework.profile.search import found_runs

        owners: dict[tuple[int, int], list[tuple[int, str, int]]] = {}
        needed: dict[tuple[int, str, int], float] = {}
        for name, lengths in wanted.items():
            for length, items in lengths.items():
                for item, numbers in items.items():
                    needed[length, name, item] = self.overlap * len(numbers)
                    for number in numbers.tolist():
                        owners.setdefault((length, number), []).append((length, name, item))
        known = {
            length: np.array(sorted(number for other, number in owners if other == length), dtype=np.uint64)
            for length in {length for length, _ in owners}
        }
        leaked: list[tuple[tuple[int, str, int], int]] = []
        for length, rows, numbers in found_runs(profile, known):
            held: dict[tuple[tuple[int, str, int], int], set[int]] = {}
            for row, number in zip(rows.tolist(), numbers.tolist(), strict=True):
                for owner in owners[length, number]:
                    held.setdefault((owner, row), set()).add(number)
            leaked += [key for key, runs in held.items() if len(runs) >= needed[key[0]]]
        rank = {(name, length): at for name, lengths in wanted.items() for at, length in enumerate(lengths)}
        yield from sorted(leaked, key=lambda found: rank[found[0][1], found[0][0]])


COMPONENT = Leak
