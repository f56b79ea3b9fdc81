"""REFUSAL: instruct data that never refuses, refuses too much or harmless look-alikes, or answers what seems harmful.

A few per cent of safety examples make a model refuse harm at no cost to its helpfulness; many more make it refuse
harmless look-alikes (Bianchi et al. 2023, arXiv:2309.07875).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from framework.checks._rows import examples, where
from framework.checks.base import Check, Finding, Subject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from framework.profile.columns import Profile

_HARMFUL = frozenset({"harmful", "unsafe"})
_LOOKALIKE = frozenset({"lookalike", "look-alike", "safe", "contrast", "borderline"})
"""Values of ``slice`` or ``task`` that say what a prompt is; without one, rules do."""


class Refusal(Check):
    """Replies are judged by documented rules (docs/evaluation.md says how well)."""

    kind: Literal["refusal"] = "refusal"
    reads_rows: ClassVar[bool] = True
    min_share: float = Field(default=0.005, ge=0, le=1)
    """Bianchi et al. see the effect from 100 safety rows in 20,000."""
    max_share: float = Field(default=0.2, ge=0, le=1)
    """Far above what helps: refusing becomes a habit."""
    max_answered: float = Field(default=0.01, ge=0, le=1)
    """Share of rows whose prompt seems harmful and is answered; the judge itself errs on look-alikes."""
    max_refused: float = Field(default=0.2, ge=0, le=1)
    """Share of harmless look-alikes that are refused: above it the look-alike is taught as the harm (Roettger et al.
    2023, XSTest, arXiv:2308.01263, count a model that refuses a fifth of them as exaggerated)."""
    min_lookalikes: int = Field(default=10, ge=1)
    """Fewer look-alikes say nothing about a share of them."""
    min_rows: int = Field(default=50, ge=1)
    """Fewer rows say nothing about shares."""

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Too few refusals, too many, and prompts that seem harmful and are answered."""
        if "instruct" not in subject.prepared:
            return
        profiles = subject.profiles.of("instruct")
        total = sum(profile.rows for profile in profiles.values())
        if total < self.min_rows:
            return
        refuses = {name: profile.flag("refuses") for name, profile in profiles.items()}
        refused = sum(int(mask.sum()) for mask in refuses.values())
        share = refused / total
        if share < self.min_share:
            message = f"{refused:,} of {total:,} replies refuse ({share:.2%})"
            fix = "add refusals of harmful requests, and answers to harmless ones that look like them"
            yield Finding(self.code, "warning", "instruct", message, fix, round(share, 5))
        if share > self.max_share:
            message = f"{refused:,} of {total:,} replies refuse ({share:.0%})"
            fix = "lower the share of refusals, and add answers to harmless requests that look like harmful ones"
            shown = examples(profiles, where(profiles, refuses))
            yield Finding(self.code, "warning", "instruct", message, fix, round(share, 4), shown)
        yield from self._lookalikes(profiles, refuses)
        answered = {
            name: (profile.flag("harmful") | _named(profile, _HARMFUL)) & ~_named(profile, _LOOKALIKE) & ~refuses[name]
            for name, profile in profiles.items()
        }
        count = sum(int(mask.sum()) for mask in answered.values())
        if count / total > self.max_answered:
            message = f"{count:,} prompts seem harmful and are answered ({count / total:.1%})"
            fix = "look at them; answers that do harm should be refusals"
            shown = examples(profiles, where(profiles, answered))
            yield Finding(self.code, "warning", "instruct", message, fix, round(count / total, 4), shown)

    def _lookalikes(self, profiles: dict[str, Profile], refuses: dict[str, NDArray[np.bool_]]) -> Iterator[Finding]:
        alike = {name: profile.flag("lookalike") | _named(profile, _LOOKALIKE) for name, profile in profiles.items()}
        refused = {name: mask & refuses[name] for name, mask in alike.items()}
        count, among = (sum(int(mask.sum()) for mask in masks.values()) for masks in (refused, alike))
        if among >= self.min_lookalikes and count > self.max_refused * among:
            message = f"{count:,} of {among:,} harmless prompts that look like harmful ones are refused"
            fix = "answer them: what is refused here is refused everywhere"
            shown = examples(profiles, where(profiles, refused))
            yield Finding(self.code, "warning", "instruct", message, fix, round(count / among, 4), shown)


def _named(profile: Profile, values: frozenset[str]) -> NDArray[np.bool_]:
    """Rows whose ``slice`` or ``task`` is one of some values."""
    import numpy as np

    found = np.zeros(profile.rows, dtype=np.bool_)
    for label in ("slice", "task"):
        places = [place for place, name in enumerate(profile.names[label]) if name.lower() in values]
        found |= np.isin(profile.column(label), places)
    return found


COMPONENT = Refusal
