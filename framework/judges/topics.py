"""Which of the declared topics a text is about, by its words.

Two ways to declare topics: by terms (a taxonomy), or by examples. Either way a topic becomes a vector of weighted
words and word pairs, a text becomes one too, and the topic with the largest cosine is the guess: TF-IDF with
sublinear frequencies and class centroids (Rocchio; Manning, Raghavan & Schuetze 2008, Introduction to Information
Retrieval, sections 6.4 and 14.2). Where no topic comes near enough the guess is ``UNKNOWN``. Any language whose
words are separated by white space will do.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

UNKNOWN = ""
"""The topic of a text that is near to none."""

_WORD = re.compile(r"[^\W\d_]{2,}")
_READ = 20_000
"""Characters of a text that are read: what it is about shows early."""
_LONGEST_TERM = 3
"""Words in the longest run that is a feature."""


@dataclass(frozen=True, slots=True)
class Guess:
    """A topic and how near the text is to it: a cosine, 0 to 1."""

    topic: str
    score: float


@dataclass(frozen=True)
class Topics:
    """Declared topics, ready to be compared with texts. Made by ``from_terms`` or ``from_examples``."""

    names: tuple[str, ...]
    places: Mapping[str, int]
    """Feature -> row of ``weights``."""
    weights: NDArray[np.float64]
    """[features, topics], columns of length 1."""
    rarity: NDArray[np.float64]
    """[features], the inverse document frequency."""
    threshold: float

    @classmethod
    def from_terms(cls, taxonomy: Mapping[str, Sequence[str]], threshold: float = 0.05) -> Topics:
        """Topics from terms: words or phrases of up to three words, in any case, singular or plural.

        A term of several topics counts less for each. Raises ``ValueError`` when a topic has no usable term.
        """
        found = {name: Counter(_run(term) for term in terms) for name, terms in taxonomy.items()}
        for name, terms in found.items():
            terms.pop("", None)
            if not terms:
                raise ValueError(f"the topic {name!r} has no term of one to {_LONGEST_TERM} words")
        return cls._made(list(found.items()), threshold)

    @classmethod
    def from_examples(cls, examples: Iterable[tuple[str, str]], threshold: float = 0.05) -> Topics:
        """Topics from pairs of text and topic."""
        return cls._made([(topic, features(text)) for text, topic in examples], threshold)

    @classmethod
    def _made(cls, documents: Sequence[tuple[str, Counter[str]]], threshold: float) -> Topics:
        names = tuple(sorted({name for name, _ in documents}))
        spread = Counter(feature for _, found in documents for feature in found)
        places = {feature: place for place, feature in enumerate(spread)}
        rarity = np.log((1 + len(documents)) / (1 + np.array([*spread.values()], dtype=np.float64))) + 1
        weights = np.zeros((len(places), len(names)))
        for name, found in documents:
            rows, values = _vector(found, places, rarity)
            weights[rows, names.index(name)] += values
        weights /= np.maximum(np.linalg.norm(weights, axis=0), 1e-12)
        return cls(names, places, weights, rarity, threshold)

    def classify(self, texts: Sequence[str]) -> list[Guess]:
        """The nearest topic of each text, ``UNKNOWN`` where the nearest is under the threshold."""
        return [self._guess(text) for text in texts]

    def _guess(self, text: str) -> Guess:
        rows, values = _vector(features(text), self.places, self.rarity)
        if not len(rows):
            return Guess(UNKNOWN, 0.0)
        near = values @ self.weights[rows]
        best = int(near.argmax())
        score = float(near[best])
        return Guess(self.names[best] if score >= self.threshold else UNKNOWN, score)


def features(text: str) -> Counter[str]:
    """How often each word, and each run of up to three words, occurs; without case and plural."""
    words = [_singular(word) for word in _WORD.findall(text[:_READ].lower())]
    return Counter(
        " ".join(words[start : start + length])
        for length in range(1, _LONGEST_TERM + 1)
        for start in range(len(words) - length + 1)
    )


def _run(term: str) -> str:
    words = [_singular(word) for word in _WORD.findall(term.lower())]
    return " ".join(words) if len(words) <= _LONGEST_TERM else ""


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word[-1] == "s" and word[-2] != "s" else word


def _vector(
    found: Counter[str], places: Mapping[str, int], rarity: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Rows and weights, of length 1, of the features that are known."""
    known = [(places[feature], count) for feature, count in found.items() if feature in places]
    rows = np.array([row for row, _ in known], dtype=np.int64)
    values = (1 + np.log(np.array([count for _, count in known], dtype=np.float64))) * rarity[rows]
    return rows, values / max(float(np.linalg.norm(values)), 1e-12)
