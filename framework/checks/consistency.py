"""CONSISTENCY: one prompt with several different replies in the same stage: the model learns to toss a coin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from framework.checks._rows import SHOWN, examples
from framework.checks.base import Check, Finding, Subject


class Consistency(Check):
    """Exact prompts (spaces at the ends apart) whose replies differ; pairs are left to PAIRS."""

    kind: Literal["consistency"] = "consistency"
    reads_rows: ClassVar[bool] = True
    max_share: float = Field(default=0.02, ge=0, le=1)
    """Share of rows whose prompt has another reply elsewhere: a few are natural for open prompts."""

    def check(self, subject: Subject) -> Iterator[Finding]:
        """One finding for each stage."""
        import numpy as np

        for stage in subject.prepared:
            profiles = subject.profiles.of(stage)
            places = [
                (name, int(row))
                for name, profile in profiles.items()
                for row in np.flatnonzero(profile.is_kind("conversation")).tolist()
            ]
            if not places:
                continue
            spoken = [profile.is_kind("conversation") for profile in profiles.values()]
            pairs = zip(profiles.values(), spoken, strict=True)
            both = np.concatenate(
                [np.stack([p.column("hash_prompt")[m], p.column("hash_response")[m]], axis=1) for p, m in pairs]
            )
            different = np.unique(both, axis=0)
            prompts, replies = np.unique(different[:, 0], return_counts=True)
            contested = np.isin(both[:, 0], prompts[replies > 1])
            share = float(contested.mean())
            if share > self.max_share:
                message = f"{int(contested.sum()):,} rows ({share:.1%}) share their prompt with a different reply"
                fix = "keep one reply for each prompt, or say in the prompt what makes the difference"
                shown = examples(profiles, (places[row] for row in np.flatnonzero(contested)[:SHOWN].tolist()))
                yield Finding(self.code, "warning", stage, message, fix, round(share, 4), shown)


COMPONENT = Consistency
