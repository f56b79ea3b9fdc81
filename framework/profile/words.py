"""Words as numbers, and runs of words as numbers: what duplicates, leaks and vocabulary are found with."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

_WORD = re.compile(r"[^\W_]+")
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)

STOP_WORDS = frozenset(
    "a about after all also am an and any are as at be because been before being between both but by can could did do "
    "does doing down during each few first for from further get give go had has have having he her here hers him his "
    "how i if in into is it its just know like made make many may me more most much must my no nor not now of off on "
    "once one only or other our out over own part people please same say see she should so some still such take tell "
    "than that the their them then there these they thing this those through time to too two under until up upon us "
    "use used using very want was way we well were what when where whether which while who whom whose why will with "
    "would year you your".split()
)
"""Words that tell nothing of a subject."""


def words(text: str) -> list[str]:
    """Lower-case words without punctuation."""
    return _WORD.findall(text.lower())


def hashed(found: Iterable[str]) -> NDArray[np.uint32]:
    """A 32-bit number for each word, the same in every process."""
    return np.fromiter((zlib.crc32(word.encode("utf-8", "surrogatepass")) for word in found), dtype=np.uint32)


def runs(numbers: NDArray[np.uint32], n: int) -> NDArray[np.uint64]:
    """A 64-bit number for each run of ``n`` words; nothing when there are fewer.

    Args:
        numbers: [W] of ``hashed``.
        n: words in a run.

    Returns:
        [W - n + 1].
    """
    count = len(numbers) - n + 1
    if count <= 0:
        return np.zeros(0, dtype=np.uint64)
    found = np.zeros(count, dtype=np.uint64)
    for offset in range(n):
        part = numbers[offset : offset + count].astype(np.uint64)
        found = (found ^ (part + _MULTIPLIER)) * _MULTIPLIER
        found ^= found >> np.uint64(29)
    return found
