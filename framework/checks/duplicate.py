"""DUPLICATE: rows that stand in the data more than once, exactly or nearly, within and across a stage's sources.

Repeated rows are learnt by heart and weigh more than was meant (Lee et al. 2022, arXiv:2107.06499).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from framework.checks._rows import Places, examples
from framework.checks.base import Check, Finding, Subject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from framework.profile.columns import Profile


class Duplicate(Check):
    """Near duplicates by MinHash over runs of five words; framework/profile/minhash.py says how surely."""

    kind: Literal["duplicate"] = "duplicate"
    reads_rows: ClassVar[bool] = True
    similarity: float = Field(default=0.8, gt=0, le=1)
    """Jaccard similarity from which two rows count as one: Lee et al. use 0.8."""
    max_rows: float = Field(default=0.01, ge=0, le=1)
    """Share of rows that repeat an earlier one, exactly or nearly: of cleaned web corpora Lee et al. find 3 to 14 %."""
    max_prompts: float = Field(default=0.01, ge=0, le=1)
    """Share of rows that repeat an earlier row's prompt with any reply."""

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Repeated rows, and repeated prompts, of each stage."""
        for stage in subject.prepared:
            profiles = subject.profiles.of(stage)
            places = Places(profiles)
            if not len(places):
                continue
            yield from self._rows(stage, profiles, places)
            yield from self._prompts(stage, profiles, places)

    def _rows(self, stage: str, profiles: dict[str, Profile], places: Places) -> Iterator[Finding]:
        import numpy as np

        from framework.profile.minhash import first_alike

        whole = np.concatenate([profile.column("hash_whole") for profile in profiles.values()])
        exact = _repeats(whole)
        first = first_alike([profile.signatures() for profile in profiles.values()], self.similarity)
        near = (first != np.arange(len(places))) & ~exact
        share = float((exact | near).mean())
        if share > self.max_rows:
            apart = int((places.sources(first[near]) != places.sources(np.flatnonzero(near))).sum())
            message = (
                f"{int(exact.sum()):,} rows repeat an earlier one exactly, {int(near.sum()):,} nearly ({share:.1%})"
            )
            message += f"; {apart:,} of the near ones repeat a row of another source" if apart else ""
            fix = "remove them, or state the repetition as a weight; near duplicates across splits hide leaks"
            shown = examples(profiles, places.first(exact | near))
            yield Finding(self.code, "warning", stage, message, fix, round(share, 4), shown)

    def _prompts(self, stage: str, profiles: dict[str, Profile], places: Places) -> Iterator[Finding]:
        import numpy as np

        prompts = np.concatenate([profile.column("hash_prompt") for profile in profiles.values()])
        asked = np.concatenate([profile.counts("prompt_words") > 0 for profile in profiles.values()])
        repeats = _repeats(prompts) & asked
        share = float(repeats.mean())
        if share > self.max_prompts:
            message = f"{int(repeats.sum()):,} rows repeat the prompt of an earlier row ({share:.1%})"
            fix = "keep the best reply of each prompt, or make pairs of them for align"
            shown = examples(profiles, places.first(repeats))
            yield Finding(self.code, "warning", stage, message, fix, round(share, 4), shown)


def _repeats(hashes: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Which values stood earlier already."""
    import numpy as np

    _, first = np.unique(hashes, return_index=True)
    found = np.ones(len(hashes), dtype=np.bool_)
    found[first] = False
    return found


COMPONENT = Duplicate
