"""Words as numbers, and runs of words as numbers: what duplicates, leaks and vocabulary are found with."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice

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


def word_numbers(text: str) -> NDArray[np.uint32]:
    """``hashed(words(text))``, quicker: cut as bytes, and only what holds other letters than ASCII as text."""
    found = text.lower().encode("utf-8", "surrogatepass").translate(_ASCII_WORDS)
    parts = found.split()
    if not found.isascii():
        cut: list[bytes] = []
        for part in parts:
            if part.isascii():
                cut.append(part)
            else:
                cut += _inner(part)
        parts = cut
    return np.fromiter(map(_encoded.__getitem__, parts), dtype=np.uint32, count=len(parts))


def _inner(part: bytes) -> list[bytes]:
    found = _WORD.findall(part.decode("utf-8", "surrogatepass"))
    return [word.encode("utf-8", "surrogatepass") for word in found]


class _Encoded(dict[bytes, int]):
    """Numbers of words that were met lately: texts repeat theirs."""

    def __missing__(self, word: bytes) -> int:
        if len(self) >= _REMEMBERED:
            self.clear()
        number = self[word] = zlib.crc32(word)
        return number


_ASCII_WORDS = bytes(byte if byte > 127 or chr(byte).isalnum() else 32 for byte in range(256))
"""What stands for each byte when a text is cut: a space for every ASCII character that is in no word."""


class _Numbers(dict[str, int]):
    """Numbers of words that were met lately: texts repeat theirs."""

    def __missing__(self, word: str) -> int:
        if len(self) >= _REMEMBERED:
            self.clear()
        number = self[word] = zlib.crc32(word.encode("utf-8", "surrogatepass"))
        return number


_REMEMBERED = 1 << 17
_numbers = _Numbers()
_encoded = _Encoded()


def hashed(found: Iterable[str]) -> NDArray[np.uint32]:
    """A 32-bit number for each word, the same in every process."""
    return np.fromiter(map(_numbers.__getitem__, found), dtype=np.uint32)


def growing_runs(numbers: NDArray[np.uint32], most: int) -> Iterator[NDArray[np.uint64]]:
    """``runs`` of 1, 2, ... and up to ``most`` words; each is to be used before the next, which takes its place."""
    wide = numbers.astype(np.uint64) + _MULTIPLIER
    found = np.zeros(len(numbers), dtype=np.uint64)
    high = np.empty_like(found)
    for offset in range(min(most, len(numbers))):
        found, high = found[: len(numbers) - offset], high[: len(numbers) - offset]
        np.bitwise_xor(found, wide[offset:], out=found)
        np.multiply(found, _MULTIPLIER, out=found)
        np.right_shift(found, np.uint64(29), out=high)
        np.bitwise_xor(found, high, out=found)
        yield found


def runs(numbers: NDArray[np.uint32], n: int) -> NDArray[np.uint64]:
    """A 64-bit number for each run of ``n`` words; nothing when there are fewer.

    Args:
        numbers: [W] of ``hashed``.
        n: words in a run.

    Returns:
        [W - n + 1].
    """
    return next(islice(growing_runs(numbers, n), n - 1, None), np.zeros(0, dtype=np.uint64))
