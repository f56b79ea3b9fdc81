"""What every kind of mined task shares: its form, and choosing among candidates."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from framework.converters._passages import Passage

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Task:
    """A question on a passage and its answer."""

    kind: str
    ask: str
    reply: str
    about: str = ""
    """The sentence that it turns on: two tasks on the same one would give each other away."""
    hide: str = ""
    """Part of the passage, at its start or end, that must not be shown before the answer."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a task is mined from."""

    passage: Passage
    elsewhere: Sequence[str]
    """Prose sentences of the same text outside the passage."""
    vocabulary: dict[str, int]
    """The corpus's own words with their counts."""
    rng: random.Random

    def pick(self, found: Sequence[T]) -> T | None:
        """One of them, or ``None`` when there are none."""
        return self.rng.choice(found) if found else None

    def worded(self, wordings: Sequence[str], **values: str) -> str:
        """One of the wordings with values put in; what the values say is never read as a placeholder."""
        return self.rng.choice(wordings).format(**values)
