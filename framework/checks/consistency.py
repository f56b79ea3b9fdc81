"""CONSISTENCY: one prompt with several different replies in the same stage: the model learns to toss a coin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from framework.checks._rows import Places, examples
from framework.checks.base import Check, Finding, Subject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


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
            spoken = {name: profile.is_kind("conversation") for name, profile in profiles.items()}
            if not any(mask.any() for mask in spoken.values()):
                continue
            columns = [
                np.concatenate([profile.column(column)[spoken[name]] for name, profile in profiles.items()])
                for column in ("hash_prompt", "hash_response")
            ]
            rows = np.concatenate(list(spoken.values()))
            contested = np.zeros(len(rows), dtype=np.bool_)
            contested[rows] = _contested(*columns)
            share = float(contested[rows].mean())
            if share > self.max_share:
                message = f"{int(contested.sum()):,} rows ({share:.1%}) share their prompt with a different reply"
                fix = "keep one reply for each prompt, or say in the prompt what makes the difference"
                shown = examples(profiles, Places(profiles).first(contested))
                yield Finding(self.code, "warning", stage, message, fix, round(share, 4), shown)


def _contested(prompts: NDArray[Any], replies: NDArray[Any]) -> NDArray[np.bool_]:
    """Which rows have their prompt in common with a row of another reply; bool [N]."""
    import numpy as np

    order = np.lexsort((replies, prompts))
    prompts, replies = prompts[order], replies[order]
    starts = np.concatenate([[True], prompts[1:] != prompts[:-1]])
    different = starts | np.concatenate([[True], replies[1:] != replies[:-1]])
    group = np.cumsum(starts) - 1
    found = np.zeros(len(order), dtype=np.bool_)
    found[order] = np.bincount(group[different])[group] > 1
    return found


COMPONENT = Consistency
