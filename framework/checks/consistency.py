"""CONSISTENCY: one prompt with several replies, or one kind of task in several manners: a coin is tossed.

Style is what instruction data teaches most surely, and mixed styles teach none (Zhou et al. 2023, LIMA,
arXiv:2305.11206, section 2: replies of one consistent style; Sclar et al. 2024, arXiv:2310.11324, on format).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from framework.checks._rows import SHOWN, Places, examples
from framework.checks.base import Check, Finding, Subject
from framework.judges.style import TONE, TRAITS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from framework.profile.columns import Profile


class Consistency(Check):
    """Exact prompts (spaces at the ends apart) whose replies differ, and manners of replies within a task.

    Pairs are left to PAIRS.
    """

    kind: Literal["consistency"] = "consistency"
    reads_rows: ClassVar[bool] = True
    max_share: float = Field(default=0.02, ge=0, le=1)
    """Share of rows whose prompt has another reply elsewhere: a few are natural for open prompts."""
    mixed: float = Field(default=0.2, gt=0, le=0.5)
    """A task's tone is mixed when more than this share of its replies has a tone that more than this share has not;
    its format changes by source when one source has it in less than this share and another in more than the rest."""
    min_rows: int = Field(default=50, ge=1)
    """Rows of a task, or of a task in one source, below which its manner says nothing."""

    def check(self, subject: Subject) -> Iterator[Finding]:
        """For each stage one finding on replies, one on tone and one on format."""
        for stage in subject.prepared:
            profiles = subject.profiles.of(stage)
            yield from self._replies(stage, profiles)
            yield from self._manner(stage, profiles)

    def _replies(self, stage: str, profiles: dict[str, Profile]) -> Iterator[Finding]:
        import numpy as np

        spoken = {name: profile.is_kind("conversation") for name, profile in profiles.items()}
        if not any(mask.any() for mask in spoken.values()):
            return
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

    def _manner(self, stage: str, profiles: dict[str, Profile]) -> Iterator[Finding]:
        """Tone that is mixed within a task; form that differs between a task's sources."""
        tones: list[tuple[float, str]] = []
        forms: list[tuple[float, str]] = []
        for task in sorted({name for profile in profiles.values() for name in profile.names["task"] if name}):
            rows = {name: mask for name, profile in profiles.items() if (mask := _of_task(profile, task)).any()}
            total = sum(int(mask.sum()) for mask in rows.values())
            for place, trait in enumerate(TRAITS):
                having = {name: int((profiles[name].trait(place) & mask).sum()) for name, mask in rows.items()}
                share = sum(having.values()) / max(total, 1)
                if trait in TONE:
                    if total >= self.min_rows and self.mixed < share < 1 - self.mixed:
                        tones.append((min(share, 1 - share), f"{task}: {share:.0%} {trait}"))
                    continue
                enough = {name: int(mask.sum()) for name, mask in rows.items() if mask.sum() >= self.min_rows}
                by_source = {name: having[name] / count for name, count in enough.items()}
                if by_source and min(by_source.values()) < self.mixed and max(by_source.values()) > 1 - self.mixed:
                    low, high = min(by_source, key=by_source.__getitem__), max(by_source, key=by_source.__getitem__)
                    told = f"{task}: {trait} in {by_source[high]:.0%} of {high} and {by_source[low]:.0%} of {low}"
                    forms.append((by_source[high] - by_source[low], told))
        if tones:
            message = f"the tone of replies is mixed within a task ({_worst(tones)})"
            fix = "give all replies of a task one tone: remove openings that only greet or agree, and exclamations"
            yield Finding(self.code, "warning", stage, message, fix, round(max(tones)[0], 4))
        if forms:
            message = f"sources answer the same task in different forms ({_worst(forms)})"
            fix = "bring them to one form, or say in the prompt which form is wanted"
            yield Finding(self.code, "warning", stage, message, fix, round(max(forms)[0], 4))


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


def _of_task(profile: Profile, task: str) -> NDArray[np.bool_]:
    """Conversations of a task in a source."""
    import numpy as np

    known = profile.names["task"]
    place = known.index(task) if task in known else -1
    return np.asarray(profile.column("task") == place) & profile.is_kind("conversation")


def _worst(found: list[tuple[float, str]]) -> str:
    return "; ".join(told for _, told in sorted(found, reverse=True)[:SHOWN])


COMPONENT = Consistency
