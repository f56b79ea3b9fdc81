"""Several profiles in a few numbers: task types, topics, and how replies behave."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from framework.profile.columns import Profile


@dataclass(frozen=True, slots=True)
class Labelled:
    """Rows by the values of one label."""

    rows: int
    """All rows."""
    without: int
    """Rows that have no value."""
    counts: Counter[str]
    """Rows by value."""

    @property
    def effective(self) -> float:
        """Effective number of values: the exponential of the entropy of their shares; 0 without any."""
        return effective(self.counts.values())


@dataclass(frozen=True, slots=True)
class Manners:
    """How the replies of a source behave, by the rules of ``framework.judges``."""

    rows: int
    spoken: int
    """Rows with a reply: conversations and pairs."""
    refuses: int
    asks_back: int
    harmful: int
    """Rows whose prompt seems harmful."""
    answered: int
    """Rows whose prompt seems harmful and whose reply does not refuse."""


def effective(counts: Iterable[int]) -> float:
    """The exponential of the entropy of counts: how many equal classes would be as varied."""
    some = [count for count in counts if count]
    total = sum(some)
    return math.exp(-sum(count / total * math.log(count / total) for count in some)) if some else 0.0


def labelled(profiles: Mapping[str, Profile], label: Literal["task", "topic", "slice"]) -> Labelled:
    """The values of a label over all rows of some sources."""
    counts = Counter(value for profile in profiles.values() for value in profile.labels(label))
    rows = counts.total()
    return Labelled(rows, counts.pop("", 0), counts)


def manners(profile: Profile) -> Manners:
    """Refusals, questions back, and prompts that seem harmful."""
    refuses, harmful = profile.flag("refuses"), profile.flag("harmful")
    return Manners(
        rows=profile.rows,
        spoken=int((~profile.is_kind("text")).sum()),
        refuses=int(refuses.sum()),
        asks_back=int(profile.flag("asks_back").sum()),
        harmful=int(harmful.sum()),
        answered=int((harmful & ~refuses).sum()),
    )
