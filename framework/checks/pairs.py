"""PAIRS: comparisons that teach nothing, or the wrong thing: identical sides, length as the reason, few prompts.

Preference optimisation takes length for quality where the data does (Singhal et al. 2023, arXiv:2310.03716; Park et
al. 2024, arXiv:2403.19159).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from framework.checks._rows import examples, where
from framework.checks.base import Check, Finding, Subject


class Pairs(Check):
    """Statistics of the pairs of align."""

    kind: Literal["pairs"] = "pairs"
    reads_rows: ClassVar[bool] = True
    max_longer: float = Field(default=0.65, ge=0.5, le=1)
    """Share of unequal pairs whose chosen (or rejected) side is the longer: human preferences show about 0.6."""
    min_prompts: float = Field(default=0.5, ge=0, le=1)
    """Distinct prompts over pairs: below, the judge's taste is learnt on few questions."""
    min_pairs: int = Field(default=50, ge=1)
    """Fewer pairs say nothing about shares."""

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Identical sides (error), length, and prompts."""
        import numpy as np

        if "align" not in subject.prepared:
            return
        every = subject.profiles.of("align")
        profiles = {name: profile for name, profile in every.items() if profile.is_kind("pair").any()}
        if not profiles:
            return
        masks = {name: profile.is_kind("pair") for name, profile in profiles.items()}
        same = {n: (p.column("hash_response") == p.column("hash_rejected")) & masks[n] for n, p in profiles.items()}
        count = sum(int(mask.sum()) for mask in same.values())
        if count:
            shown = examples(profiles, where(profiles, same))
            message = f"{count:,} pairs have the same text on both sides"
            yield Finding(
                self.code, "error", "align", message, "remove them: they have no gradient", float(count), shown
            )
        difference = np.concatenate(
            [(p.counts("response_words") - p.counts("rejected_words"))[masks[n]] for n, p in profiles.items()]
        )
        if len(difference) < self.min_pairs:
            return
        longer, shorter = int((difference > 0).sum()), int((difference < 0).sum())
        share = max(longer, shorter) / max(1, longer + shorter)
        # Three standard errors: chance alone should not make a finding.
        if longer + shorter and share - 1.5 / (longer + shorter) ** 0.5 > self.max_longer:
            side = "chosen" if longer > shorter else "rejected"
            message = f"the {side} side is the longer in {share:.0%} of the pairs: length may be learnt for quality"
            fix = "balance the lengths, or use a length-controlled method; read length_controlled in the suites"
            yield Finding(self.code, "warning", "align", message, fix, round(share, 4))
        prompts = np.concatenate([p.column("hash_prompt")[masks[n]] for n, p in profiles.items()])
        distinct = len(np.unique(prompts)) / len(prompts)
        if distinct < self.min_prompts:
            message = f"{len(np.unique(prompts)):,} distinct prompts in {len(prompts):,} pairs"
            yield Finding(self.code, "warning", "align", message, "add pairs on other prompts", round(distinct, 4))


COMPONENT = Pairs
