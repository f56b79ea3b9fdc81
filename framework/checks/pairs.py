"""PAIRS: comparisons that teach nothing, or the wrong thing: identical sides, length or one trait as the reason, few
prompts, annotators who disagree.

Preference optimisation takes length for quality where the data does (Singhal et al. 2023, arXiv:2310.03716; Park et
al. 2024, arXiv:2403.19159).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from framework.checks._rows import examples, where
from framework.checks.base import Check, Finding, Subject
from framework.judges.style import TRAITS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from framework.data.prepare import Prepared
    from framework.profile.columns import Profile


class Pairs(Check):
    """Statistics of the pairs of align, and of those that a reward model learns from."""

    kind: Literal["pairs"] = "pairs"
    reads_rows: ClassVar[bool] = True
    max_longer: float = Field(default=0.65, ge=0.5, le=1)
    """Share of unequal pairs whose chosen (or rejected) side is the longer: human preferences show about 0.6."""
    max_shortcut: float = Field(default=0.75, ge=0.5, le=1)
    """Share of pairs that one trait of form or tone, or refusing, would judge rightly (ties count half): three in four
    is what people agree on (Ouyang et al. 2022, arXiv:2203.02155: 73 %), so the trait would explain all of it."""
    min_agreement: float = Field(default=0.63, ge=0, le=1)
    """Mean share of annotators for the chosen side, where rows carry ``annotators``: Bai et al. (2022,
    arXiv:2204.05862) report 63 % between their crowd workers and themselves; below it, labels are mostly noise."""
    max_against: float = Field(default=0.02, ge=0, le=1)
    """Share of these pairs whose annotators prefer the rejected side: the label is upside down."""
    min_prompts: float = Field(default=0.5, ge=0, le=1)
    """Distinct prompts over pairs: below, the judge's taste is learnt on few questions."""
    min_pairs: int = Field(default=50, ge=1)
    """Fewer pairs say nothing about shares."""

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Of each stage that compares."""
        for stage in ("align", "reward"):
            if stage in subject.prepared:
                yield from self._margins(stage, subject.prepared[stage])
                yield from self._compared(stage, subject.profiles.of(stage))

    def _margins(self, stage: str, prepared: Prepared) -> Iterator[Finding]:
        """Margins that contradict the choice, where the stage takes margins."""
        count = sum(use.negative_margins for use in prepared.sources.values())
        if count:
            share = count / sum(use.margins for use in prepared.sources.values())
            message = f"{count:,} pairs have a margin below 0, which says that the rejected side is better"
            fix = "swap the sides of these pairs, or remove them"
            yield Finding(self.code, "warning", stage, message, fix, round(share, 4))

    def _compared(self, stage: str, every: Mapping[str, Profile]) -> Iterator[Finding]:
        """Identical sides (error), length, prompts, and what else explains the choice."""
        import numpy as np

        profiles = {name: profile for name, profile in every.items() if profile.is_kind("pair").any()}
        if not profiles:
            return
        masks = {name: profile.is_kind("pair") for name, profile in profiles.items()}
        same = {n: (p.column("hash_response") == p.column("hash_rejected")) & masks[n] for n, p in profiles.items()}
        count = sum(int(mask.sum()) for mask in same.values())
        if count:
            shown = examples(profiles, where(profiles, same))
            message = f"{count:,} pairs have the same text on both sides"
            yield Finding(self.code, "error", stage, message, "remove them: they have no gradient", float(count), shown)
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
            yield Finding(self.code, "warning", stage, message, fix, round(share, 4))
        prompts = np.concatenate([p.column("hash_prompt")[masks[n]] for n, p in profiles.items()])
        distinct = len(np.unique(prompts)) / len(prompts)
        if distinct < self.min_prompts:
            message = f"{len(np.unique(prompts)):,} distinct prompts in {len(prompts):,} pairs"
            yield Finding(self.code, "warning", stage, message, "add pairs on other prompts", round(distinct, 4))
        yield from self._shortcut(stage, profiles, masks)
        yield from self._agreement(stage, profiles, masks)

    def _shortcut(
        self, stage: str, profiles: dict[str, Profile], masks: dict[str, NDArray[np.bool_]]
    ) -> Iterator[Finding]:
        """One trait that tells the sides apart, the best of them."""
        sides: dict[str, dict[str, NDArray[np.int64]]] = {}
        for name, profile in profiles.items():
            for place, trait in enumerate(TRAITS):
                chosen, rejected = profile.trait(place), profile.trait(place, "rejected_traits")
                sides.setdefault(trait, {})[name] = (chosen.astype(int) - rejected.astype(int)) * masks[name]
            refuses = profile.flag("refuses").astype(int) - profile.flag("rejected_refuses").astype(int)
            sides.setdefault("refusing", {})[name] = refuses * masks[name]
        total = sum(int(mask.sum()) for mask in masks.values())
        right = {trait: 0.5 + sum(int(side.sum()) for side in by.values()) / (2 * total) for trait, by in sides.items()}
        trait = max(right, key=lambda name: abs(right[name] - 0.5))
        share = max(right[trait], 1 - right[trait])
        if share > self.max_shortcut:
            side = "chosen" if right[trait] > 0.5 else "rejected"
            telling = {name: by != 0 for name, by in sides[trait].items()}
            message = f"one trait ({trait}), mostly of the {side} side, judges {share:.0%} of the pairs: it may be all"
            fix = f"add pairs whose sides are alike in it ({trait}), or in which it stands on the other side"
            shown = examples(profiles, where(profiles, telling))
            yield Finding(self.code, "warning", stage, f"{message} that is learnt", fix, round(share, 4), shown)

    def _agreement(
        self, stage: str, profiles: dict[str, Profile], masks: dict[str, NDArray[np.bool_]]
    ) -> Iterator[Finding]:
        """What annotators said, where rows tell it."""
        import numpy as np

        from framework.profile.columns import AGREEMENT

        said = {name: np.asarray(profile.column(AGREEMENT), dtype=np.int64) for name, profile in profiles.items()}
        known = np.concatenate([values[masks[name] & (values >= 0)] for name, values in said.items()])
        if len(known) < self.min_pairs:
            return
        mean = float(known.mean()) / 100
        if mean < self.min_agreement:
            doubtful = {name: masks[name] & (values >= 0) & (values <= 60) for name, values in said.items()}
            message = f"{mean:.0%} of the annotators agree with the choice on average, over {len(known):,} pairs"
            fix = "leave out pairs without a clear majority, or have them judged again with a clearer guideline"
            shown = examples(profiles, where(profiles, doubtful))
            yield Finding(self.code, "warning", stage, message, fix, round(mean, 4), shown)
        against = {name: masks[name] & (values >= 0) & (values < 50) for name, values in said.items()}
        count = sum(int(mask.sum()) for mask in against.values())
        if count > self.max_against * len(known):
            message = f"in {count:,} of {len(known):,} pairs most annotators prefer the rejected side"
            shown = examples(profiles, where(profiles, against))
            fix = "swap the sides of these pairs, or remove them"
            yield Finding(self.code, "warning", stage, message, fix, round(count / len(known), 4), shown)


COMPONENT = Pairs
