"""Which words are a domain's own, and how dense they stand in rows: numbers of words compared with numbers of words.

A word of the deployment sample is the domain's own when it is much more frequent there than in general English and
the difference is no chance: log-likelihood ratio (Dunning 1993, Computational Linguistics 19(1)) above 10.83, the
99.9 % point of chi-squared with one degree of freedom. General English is the bundled sample's everyday rows, written
for this project. Declared terms count whatever their frequency.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from framework.paths import PROJECT
from framework.profile.columns import Profile
from framework.profile.words import STOP_WORDS, hashed, runs, words

if TYPE_CHECKING:
    from framework.data.contract import Declared

_EVERYDAY = (
    "instruct/tasks",
    "instruct/skills",
    "instruct/format",
    "instruct/safety",
    "domain/general",
    "align/style",
    "align/safety",
)
_FIELDS = ("instruction", "context", "response", "text", "prompt", "chosen")
_CHANCE = 10.83
_TIMES = 3.0
"""A word of the domain is at least so many times as frequent as in general English."""
_LEAST_ROWS = 3
"""Rows of the sample that a word must stand in: one text's own names are not the domain's."""
_LONGEST_TERM = 3
_SHORT = 10
_BLOCK = 1 << 19
"""Words that are looked at at once."""
_STOPS = np.unique(hashed(sorted(STOP_WORDS)))


@dataclass(frozen=True, slots=True)
class Density:
    """Of each row: how many content words it has, how many of them are the domain's, whether it has a term."""

    content: NDArray[np.int64]
    own: NDArray[np.int64]
    term: NDArray[np.bool_]

    @property
    def share(self) -> NDArray[np.float64]:
        """Own words over content words; [N]."""
        return self.own / np.maximum(self.content, 1)


@dataclass(frozen=True)
class Vocabulary:
    """A domain's own words, and what is usual for its texts."""

    own: NDArray[np.uint32]
    """Numbers of the words that the sample tells, ascending."""
    rates: NDArray[np.float64]
    """How often each stands among the sample's content words."""
    terms: dict[int, NDArray[np.uint64]]
    """Declared terms by length in words: numbers of runs, ascending."""
    usual: float
    """Median share of own words in the half of the sample that did not tell them; 0 without a sample."""

    @classmethod
    def of(cls, declared: Declared) -> Vocabulary:
        """What a contract tells of its domain's words."""
        rows = [asked.text for asked in declared.asked]
        own, rates = _telling(rows)
        terms = _terms([*declared.terms, *(term for topic in declared.topics for term in (topic.name, *topic.terms))])
        half = cls(*_telling(rows[::2]), {}, 0.0)
        rest = [_content(row) for row in rows[1::2]]
        shares = [float(among(row, half.own).mean()) for row in rest if len(row)]
        return cls(own, rates, terms, float(np.median(shares)) if shares else 0.0)

    def density(self, profile: Profile) -> Density:
        """How dense the domain's words stand in a source's rows."""
        stops, own = counted(profile, _STOPS), counted(profile, self.own)
        term = np.zeros(profile.rows, dtype=np.bool_)
        for length, wanted in self.terms.items():
            for first, numbers, starts in _blocks(profile):
                hits = np.flatnonzero(among(runs(numbers, length), wanted))
                row = np.searchsorted(starts, hits, side="right") - 1
                term[first + row[hits + length <= starts[row + 1]]] = True
        return Density(np.diff(profile.word_starts) - stops, own, term)

    def off(self, density: Density, share: float) -> NDArray[np.bool_]:
        """Rows without a declared term whose share of own words is under ``share`` of what is usual; bool [N]."""
        return ~density.term & (density.share < max(share * self.usual, 1e-9))

    def covered(self, profiles: Iterable[Profile], rate: float) -> float:
        """Share of the own words' uses in the sample that are held at ``rate`` of its frequency."""
        found, content = np.zeros(len(self.own)), 0
        for profile in profiles:
            for _, numbers, _ in _blocks(profile):
                content += int((~among(numbers, _STOPS)).sum())
                hits = numbers[among(numbers, self.own)]
                found += np.bincount(np.searchsorted(self.own, hits), minlength=len(self.own))
        held = found / max(content, 1) >= rate * self.rates
        return float(self.rates[held].sum() / self.rates.sum())


def among(numbers: NDArray[np.generic], wanted: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Which numbers are among the wanted, which ascend; bool like ``numbers``. Without a copy of the numbers sorted."""
    if not len(wanted):
        return np.zeros(len(numbers), dtype=np.bool_)
    places = np.searchsorted(wanted, numbers)
    places[places == len(wanted)] = 0
    return np.asarray(wanted[places] == numbers, dtype=np.bool_)


def numbered(wanted: Iterable[str]) -> NDArray[np.uint32]:
    """Numbers of words, ascending: what ``counted`` looks for."""
    return np.unique(hashed(wanted))


def counted(profile: Profile, wanted: NDArray[np.uint32]) -> NDArray[np.int64]:
    """How many of each row's words are among the wanted; int64 [N]."""
    found = np.zeros(profile.rows, dtype=np.int64)
    for first, numbers, starts in _blocks(profile):
        hits = np.flatnonzero(among(numbers, wanted))
        rows = np.searchsorted(starts, hits, side="right") - 1
        count = np.bincount(rows, minlength=len(starts) - 1)
        found[first : first + len(count)] = count
    return found


def english(profile: Profile) -> NDArray[np.bool_]:
    """Rows that the rules for English can judge: short, or with one common English word in ten; bool [N]."""
    length = np.diff(profile.word_starts)
    return np.asarray((length < _SHORT) | (counted(profile, _STOPS) >= 0.1 * length), dtype=np.bool_)


def _blocks(profile: Profile) -> Iterator[tuple[int, NDArray[np.uint32], NDArray[np.int64]]]:
    """Whole rows, some hundred thousand words at a time: the first row, its and the others' words, their starts."""
    numbers, starts = profile.word_numbers, profile.word_starts
    first = 0
    while first < profile.rows:
        last = max(first + 1, int(np.searchsorted(starts, starts[first] + _BLOCK, side="right")) - 1)
        yield first, numbers[starts[first] : starts[last]], starts[first : last + 1] - starts[first]
        first = last


def _content(text: str) -> NDArray[np.uint32]:
    numbers = hashed(words(text))
    return numbers[~among(numbers, _STOPS)]


@cache
def _general() -> tuple[Counter[int], int]:
    """How often words stand in general English, and how many words that are."""
    found: Counter[int] = Counter()
    for name in _EVERYDAY:
        for line in (PROJECT / "samples" / "legal" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            found.update(_content(" ".join(str(row.get(field, "")) for field in _FIELDS)).tolist())
    return found, found.total()


def _telling(rows: Sequence[str]) -> tuple[NDArray[np.uint32], NDArray[np.float64]]:
    """The words of a sample that are its domain's own, ascending, with their rates."""
    general, general_size = _general()
    counts: Counter[int] = Counter()
    spread: Counter[int] = Counter()
    for row in rows:
        content = _content(row).tolist()
        counts.update(content)
        spread.update(set(content))
    size = counts.total()
    known = np.array(sorted(word for word, held in spread.items() if held >= _LEAST_ROWS), dtype=np.uint32)
    here = np.array([counts[word] for word in known.tolist()], dtype=np.float64)
    there = np.array([general[word] for word in known.tolist()], dtype=np.float64)
    expected = (here + there) / max(size + general_size, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = here * np.log(here / (size * expected))
        apart += np.where(there > 0, there * np.log(there / (general_size * expected)), 0.0)
    frequent = here / max(size, 1) > _TIMES * (there + 0.5) / (general_size + 1)
    chosen = (2 * apart > _CHANCE) & frequent
    return known[chosen], here[chosen] / max(size, 1)


def _terms(given: Iterable[str]) -> dict[int, NDArray[np.uint64]]:
    """Numbers of the declared terms of up to three words by length, each in the singular and the plural."""
    found: dict[int, set[int]] = {}
    for term in given:
        said = words(term)
        if not 1 <= len(said) <= _LONGEST_TERM or all(word in STOP_WORDS for word in said):
            continue
        last = said[-1]
        for end in {last, f"{last}s", last[:-1] if last.endswith("s") and not last.endswith("ss") else last}:
            found.setdefault(len(said), set()).update(runs(hashed([*said[:-1], end]), len(said)).tolist())
    return {length: np.array(sorted(numbers), dtype=np.uint64) for length, numbers in found.items()}
