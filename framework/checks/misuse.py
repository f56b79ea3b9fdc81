"""MISUSE: data in the form of another stage's: documents posing as instructions, instructions posing as domain data.

Instruct teaches how to respond, domain what to know (Zhou et al. 2023, LIMA, arXiv:2305.11206: alignment data teaches
style, not knowledge). Documents cut into prompt and response teach to go on with a text instead of answering; general
instructions in domain spend its budget on what instruct teaches, and add no knowledge.
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

_FORMAL = (
    "shall hereby herein hereof hereto hereunder hereinafter thereof thereto therein thereunder whereas "
    "whereof pursuant notwithstanding aforesaid foregoing hereinabove heretofore thereafter indemnify "
    "covenants"
)
"""Words of deeds and statutes that hardly anybody answers a question with."""


class Misuse(Check):
    """Rules over prompt and reply for English; the domain's own words where the domain is declared."""

    kind: Literal["misuse"] = "misuse"
    reads_rows: ClassVar[bool] = True
    max_documents: float = Field(default=0.3, ge=0, le=1)
    """Share of instruct rows that read as documents: of data made as instructions, 1 to 14 % is judged so."""
    formal: float = Field(default=0.015, gt=0, le=1)
    """Share of a row's words that are formal ones (shall, hereby, pursuant ...) from which it reads as a document:
    more than one in 70, where replies to everyday questions have one in some thousands."""
    max_general: float = Field(default=0.5, ge=0, le=1)
    """Share of domain rows that are conversations without the domain's words: the greater part."""
    density: float = Field(default=0.33, gt=0, le=1)
    """As in RELEVANCE."""
    min_sample: int = Field(default=50, ge=1)
    """As in RELEVANCE."""
    min_rows: int = Field(default=50, ge=1)
    """Fewer rows say nothing about shares."""

    def check(self, subject: Subject) -> Iterator[Finding]:
        """One finding for documents in instruct, one for general instructions in domain."""
        if "instruct" in subject.prepared:
            yield from self._documents(subject.profiles.of("instruct"))
        if "domain" in subject.prepared:
            yield from self._general(subject, subject.profiles.of("domain"))

    def _documents(self, profiles: dict[str, Profile]) -> Iterator[Finding]:
        from framework.profile.vocabulary import english

        spoken = {name: profile.is_kind("conversation") & english(profile) for name, profile in profiles.items()}
        total = sum(int(mask.sum()) for mask in spoken.values())
        if total < self.min_rows:
            return
        asks_nothing = {name: ~profile.flag("asks") & spoken[name] for name, profile in profiles.items()}
        goes_on = {name: profile.flag("continues") & spoken[name] for name, profile in profiles.items()}
        formal = {name: self._formal(profile) & spoken[name] for name, profile in profiles.items()}
        every = {name: asks_nothing[name] | goes_on[name] | formal[name] for name in profiles}
        count = _sum(every)
        if count > self.max_documents * total:
            message = (
                f"{count:,} of {total:,} rows ({count / total:.0%}) read as documents rather than as requests with "
                f"replies: {_sum(asks_nothing):,} prompts ask nothing, {_sum(goes_on):,} replies go on where the "
                f"prompt broke off, {_sum(formal):,} are written as deeds and statutes are"
            )
            fix = "move them to domain as text, or make them into tasks with an instruction that says what to do"
            shown = examples(profiles, where(profiles, every))
            yield Finding(self.code, "warning", "instruct", message, fix, round(count / total, 4), shown)

    def _formal(self, profile: Profile) -> NDArray[np.bool_]:
        import numpy as np

        from framework.profile.vocabulary import counted, numbered

        length = np.diff(profile.word_starts)
        return np.asarray(counted(profile, numbered(_FORMAL.split())) > self.formal * length, dtype=np.bool_)

    def _general(self, subject: Subject, profiles: dict[str, Profile]) -> Iterator[Finding]:
        from framework.profile.vocabulary import Vocabulary

        declared = subject.config.data.of("domain").contract.read()
        total = sum(profile.rows for profile in profiles.values())
        if total < self.min_rows or not (declared.topics or declared.terms or len(declared.asked) >= self.min_sample):
            return
        vocabulary = Vocabulary.of(declared)
        general = {
            name: profile.is_kind("conversation") & vocabulary.off(vocabulary.density(profile), self.density)
            for name, profile in profiles.items()
        }
        count = _sum(general)
        if count > self.max_general * total:
            message = f"{count:,} of {total:,} rows ({count / total:.0%}) are conversations off the domain"
            fix = "move them to instruct; replay them here with data.domain.mix.replay.instruct"
            shown = examples(profiles, where(profiles, general))
            yield Finding(self.code, "warning", "domain", message, fix, round(count / total, 4), shown)


def _sum(masks: dict[str, NDArray[np.bool_]]) -> int:
    return sum(int(mask.sum()) for mask in masks.values())


COMPONENT = Misuse
