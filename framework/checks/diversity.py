"""DIVERSITY: instruct data of too few task types, or of one above all.

Variety of tasks, not volume, is what makes instruction tuning carry over to new tasks (Wei et al. 2022,
arXiv:2109.01652, figure 6; Zhou et al. 2023, LIMA, arXiv:2305.11206).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from framework.checks._rows import examples, where
from framework.checks.base import Check, Finding, Subject


class Diversity(Check):
    """Task types by label or, without one, inferred from the prompt; counted by their effective number."""

    kind: Literal["diversity"] = "diversity"
    reads_rows: ClassVar[bool] = True
    min_types: float = Field(default=6.0, ge=1)
    """Effective number of types (the exponential of the entropy): Wei et al. see gains up to about seven clusters."""
    max_share: float = Field(default=0.5, gt=0, le=1)
    """Share of one type: above a half, the rest is decoration."""
    min_rows: int = Field(default=50, ge=1)
    """Fewer rows say nothing about variety."""

    def check(self, subject: Subject) -> Iterator[Finding]:
        """One finding for too few types, one for a type that dominates."""
        if "instruct" not in subject.prepared:
            return
        from framework.profile.summary import effective

        profiles = subject.profiles.of("instruct")
        rows = sum(profile.rows for profile in profiles.values())
        if rows < self.min_rows:
            return
        counts: Counter[str] = Counter()
        for profile in profiles.values():
            counts.update(profile.label_counts("task"))
        types = effective(counts.values())
        (first, most), *_ = counts.most_common(1)
        shown = examples(profiles, where(profiles, {name: p.has_label("task", first) for name, p in profiles.items()}))
        share = most / rows
        if types < self.min_types:
            message = f"{types:.1f} effective task types in {rows:,} rows, {first} being {share:.0%}"
            fix = "add rows of other kinds of task rather than more of the same; label rows with a task column"
            yield Finding(self.code, "warning", "instruct", message, fix, round(types, 2), shown)
        if share > self.max_share:
            message = f"{share:.0%} of {rows:,} rows are of one type of task: {first}"
            fix = "lower the weight of its source, or add rows of other types"
            yield Finding(self.code, "warning", "instruct", message, fix, round(share, 4), shown)


COMPONENT = Diversity
