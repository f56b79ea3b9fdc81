"""REFUSAL: instruct data that never refuses, refuses too much, or answers what seems harmful.

A few per cent of safety examples make a model refuse harm at no cost to its helpfulness; many more make it refuse
harmless look-alikes (Bianchi et al. 2023, arXiv:2309.07875).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from framework.checks._rows import examples, where
from framework.checks.base import Check, Finding, Subject


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
        answered = {name: profile.flag("harmful") & ~refuses[name] for name, profile in profiles.items()}
        count = sum(int(mask.sum()) for mask in answered.values())
        if count / total > self.max_answered:
            message = f"{count:,} prompts seem harmful and are answered ({count / total:.1%})"
            fix = "look at them; answers that do harm should be refusals"
            shown = examples(profiles, where(profiles, answered))
            yield Finding(self.code, "warning", "instruct", message, fix, round(count / total, 4), shown)


COMPONENT = Refusal
