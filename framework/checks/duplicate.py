"""DUPLICATE: rows that stand in the data more than once, exactly or nearly, within and across a stage's sources.

Repeated rows are learnt by heart and weigh more than was meant (Lee et al. 2022, arXiv:2107.06499).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from framework.checks._rows import Places, examples
from framework.checks.base import Check, Finding, Subject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from framework.profile.columns import Profile


@dataclass(frozen=True, slots=True)
class Repeats:
    """Which rows of a stage stand for which."""

    places: Places
    """Source and place of each row, one source after the other."""
    first: NDArray[np.int64]
    """The first row of each row's group, itself when it is alone; int64 [N]."""
    exact: NDArray[np.bool_]
    """Rows that repeat an earlier one exactly; bool [N]."""
    near: NDArray[np.bool_]
    """Rows that repeat an earlier one nearly; bool [N]."""

    def across(self, repeated: NDArray[np.bool_]) -> int:
        """Of these rows, how many have the first row of their group in another source."""
        import numpy as np

        rows = np.flatnonzero(repeated)
        return int((self.places.sources(self.first[rows]) != self.places.sources(rows)).sum())


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
            if any(profile.rows for profile in profiles.values()):
                yield from self._rows(stage, profiles)
                yield from self._prompts(stage, profiles)

    def repeats(self, profiles: dict[str, Profile]) -> Repeats:
        """Every row of a stage's sources against those before it."""
        import numpy as np

        from framework.profile.minhash import first_alike

        places = Places(profiles)
        exact = _repeated(np.concatenate([profile.column("hash_whole") for profile in profiles.values()]))
        first = first_alike([profile.signatures() for profile in profiles.values()], self.similarity)
        return Repeats(places, first, exact, (first != np.arange(len(places))) & ~exact)

    def repeated_prompts(self, profiles: dict[str, Profile]) -> NDArray[np.bool_]:
        """Which rows have an earlier row's prompt, with any reply; bool [N] over the sources one after the other."""
        import numpy as np

        prompts = np.concatenate([profile.column("hash_prompt") for profile in profiles.values()])
        asked = np.concatenate([profile.counts("prompt_words") > 0 for profile in profiles.values()])
        return _repeated(prompts) & asked

    def _rows(self, stage: str, profiles: dict[str, Profile]) -> Iterator[Finding]:
        found = self.repeats(profiles)
        exact, near = int(found.exact.sum()), int(found.near.sum())
        share = (exact + near) / len(found.places)
        if share > self.max_rows:
            apart = found.across(found.near)
            message = f"{exact:,} rows repeat an earlier one exactly, {near:,} nearly ({share:.1%})"
            message += f"; {apart:,} of the near ones repeat a row of another source" if apart else ""
            fix = "remove them, or state the repetition as a weight; near duplicates across splits hide leaks"
            shown = examples(profiles, found.places.first(found.exact | found.near))
            yield Finding(self.code, "warning", stage, message, fix, round(share, 4), shown)

    def _prompts(self, stage: str, profiles: dict[str, Profile]) -> Iterator[Finding]:
        repeats = self.repeated_prompts(profiles)
        share = float(repeats.mean())
        if share > self.max_prompts:
            message = f"{int(repeats.sum()):,} rows repeat the prompt of an earlier row ({share:.1%})"
            fix = "keep the best reply of each prompt, or make pairs of them for align"
            shown = examples(profiles, Places(profiles).first(repeats))
            yield Finding(self.code, "warning", stage, message, fix, round(share, 4), shown)


def _repeated(hashes: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Which values stood earlier already."""
    import numpy as np

    _, first = np.unique(hashes, return_index=True)
    found = np.ones(len(hashes), dtype=np.bool_)
    found[first] = False
    return found


COMPONENT = Duplicate
