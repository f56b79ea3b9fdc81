"""RELEVANCE: domain data that is not about the domain, or that lacks the words users will use.

What the domain is must be declared: a sample of deployment inputs, a taxonomy, or both (``data.domain.contract``).
Text selected by its likeness to the target's own words is what makes continued pre-training pay (Moore & Lewis 2010,
ACL P10-2041; Gururangan et al. 2020, arXiv:2004.10964; Xie et al. 2023, arXiv:2302.03169).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from framework.checks._rows import examples, where
from framework.checks.base import Check, Finding, Subject


class Relevance(Check):
    """Density of the domain's own words in each row (framework/profile/vocabulary.py)."""

    kind: Literal["relevance"] = "relevance"
    reads_rows: ClassVar[bool] = True
    density: float = Field(default=0.33, gt=0, le=1)
    """A row is off the domain when it holds no declared term, and under this share of the density that is usual in
    the deployment sample: questions are denser than the documents that answer them."""
    max_off: float = Field(default=0.5, ge=0, le=1)
    """Share of rows off the domain: a stage may replay general text on purpose, but not for the greater part."""
    min_vocabulary: float = Field(default=0.4, ge=0, le=1)
    """Share of the sample's own words, by use, that the rows hold at all often: what is not met is not learnt."""
    rate: float = Field(default=0.1, gt=0, le=1)
    """A word is held when it is at least this times as frequent as in the sample."""
    min_sample: int = Field(default=50, ge=1)
    """Rows of a deployment sample from which its own words can be told."""
    min_rows: int = Field(default=50, ge=1)
    """Fewer rows say nothing about shares."""

    def check(self, subject: Subject) -> Iterator[Finding]:
        """What is not declared (info), rows off the domain, and words of the sample that the rows lack."""
        if "domain" not in subject.prepared:
            return
        declared = subject.config.data.of("domain").contract.read()
        if not declared:
            message = "nothing says what the domain is: coverage, relevance and misuse of its data are not judged"
            fix = "set data.domain.contract.deployment to a sample of what users will ask, or .taxonomy to its topics"
            yield Finding(self.code, "info", "domain", message, fix)
            return
        from framework.profile.vocabulary import Vocabulary

        profiles = subject.profiles.of("domain")
        total = sum(profile.rows for profile in profiles.values())
        if 0 < len(declared.asked) < self.min_sample:
            message = f"the deployment sample has {len(declared.asked)} rows: too few to tell the domain's own words"
            fix = f"give data.domain.contract.deployment at least {self.min_sample} rows"
            yield Finding(self.code, "info", "domain", message, fix, float(len(declared.asked)))
        vocabulary = Vocabulary.of(declared)
        if total < self.min_rows or (not vocabulary.terms and len(declared.asked) < self.min_sample):
            return
        off = {name: vocabulary.off(vocabulary.density(profile), self.density) for name, profile in profiles.items()}
        count = sum(int(mask.sum()) for mask in off.values())
        if count > self.max_off * total:
            message = f"{count:,} of {total:,} rows ({count / total:.0%}) hold hardly a word of the domain"
            fix = "remove them, or move them to instruct; general text against forgetting belongs into mix.replay"
            shown = examples(profiles, where(profiles, off))
            yield Finding(self.code, "warning", "domain", message, fix, round(count / total, 4), shown)
        if len(declared.asked) >= self.min_sample and len(vocabulary.own):
            covered = vocabulary.covered(profiles.values(), self.rate)
            if covered < self.min_vocabulary:
                message = (
                    f"the rows use {covered:.0%} of the words that tell the deployment sample from general English"
                )
                fix = "add documents on what users ask about; COVERAGE names the topics where they are declared"
                yield Finding(self.code, "warning", "domain", message, fix, round(covered, 4))


COMPONENT = Relevance
