"""COVERAGE: topics that users will ask about and that the domain data hardly holds.

What is asked comes from the deployment sample, else from the taxonomy's shares. Two distributions are compared by the
Jensen-Shannon divergence in bits (Lin 1991, IEEE Trans. Inf. Theory 37(1)), less what chance alone gives.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from framework.checks._rows import labelled
from framework.checks.base import Check, Finding, Subject

if TYPE_CHECKING:
    from framework.data.contract import Declared
    from framework.judges.topics import Topics
    from framework.profile.access import Profiles
    from framework.profile.columns import Profile

_NAMED = 6


@dataclass(frozen=True, slots=True)
class Compared:
    """Topics of the rows, and of what is asked."""

    held: Counter[str]
    """Rows by topic."""
    unknown: int
    """Rows whose topic is not known."""
    asked: Mapping[str, float]
    """Share of what is asked by topic."""
    sample: int
    """Rows of the deployment sample that told these shares; 0 where they are declared."""


class Coverage(Check):
    """Topics from the ``topic`` column where most rows have one, else inferred (framework/judges/topics.py)."""

    kind: Literal["coverage"] = "coverage"
    reads_rows: ClassVar[bool] = True
    thin: float = Field(default=0.2, gt=0, le=1)
    """A topic is thin when its share of the rows is under this part of its share of what is asked: accuracy on a topic
    grows with the logarithm of its rows (Kandpal et al. 2023, arXiv:2211.08411), so a fifth is felt, a half is not."""
    expected: float = Field(default=5.0, gt=0)
    """Rows that a topic should have by its share before it can be called thin: fewer may be missing by chance."""
    max_divergence: float = Field(default=0.25, gt=0, le=1)
    """Bits: as much as if a quarter of the rows were on topics that nobody asks about."""
    min_topics: int = Field(default=2, ge=2)
    """Topics that must be asked about for a comparison."""
    min_sample: int = Field(default=50, ge=1)
    """Rows of a deployment sample whose topics count as a distribution."""
    most_rows: int = Field(default=2000, ge=100)
    """Rows of a source that topics are inferred for, evenly spaced: shares are then right to two points."""
    min_rows: int = Field(default=50, ge=1)
    """Fewer rows say nothing about shares."""

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Missing and thin topics in one finding, the divergence in another."""
        if "domain" not in subject.prepared:
            return
        declared = subject.config.data.of("domain").contract.read()
        names = {topic.name for topic in declared.topics} | {asked.topic for asked in declared.asked if asked.topic}
        if len(names) < self.min_topics:
            if declared:
                message = "neither the taxonomy nor the deployment sample names topics: coverage is not judged"
                fix = "declare data.domain.contract.topics or taxonomy, or give the sample's rows a topic"
                yield Finding(self.code, "info", "domain", message, fix)
            return
        found = self.compared(declared, subject.profiles)
        total = found.held.total()
        if total + found.unknown < self.min_rows:
            return
        if not total:
            message = f"no row is on a topic that is asked about ({len(names)} topics are declared)"
            yield Finding(self.code, "warning", "domain", message, "add rows on these topics, or correct them", 0.0)
            return
        yield from self._thin(found.asked, found.held, found.unknown)
        yield from self._apart(found.asked, found.held, found.sample)

    def compared(self, declared: Declared, profiles: Profiles) -> Compared:
        """The topics of the domain's rows beside those that are asked about; ``declared`` names topics.

        Raises ``DataError`` when a source whose rows carry no topics cannot be read again.
        """
        guess = _guesser(declared)
        asked, sample = self._asked(declared, guess)
        held, unknown = self._held(profiles, guess)
        return Compared(held, unknown, asked, sample)

    def _asked(self, declared: Declared, guess: Topics) -> tuple[dict[str, float], int]:
        """Topics with their shares of what is asked, and the rows of the sample that told them (0: declared)."""
        counts = Counter(asked.topic for asked in declared.asked if asked.topic)
        if 2 * counts.total() < len(declared.asked):
            counts = Counter(found.topic for found in guess.classify([asked.text for asked in declared.asked]))
            del counts[""]
        if counts.total() >= self.min_sample:
            return _shares(counts), counts.total()
        shares = {topic.name: topic.share for topic in declared.topics if topic.share}
        return _shares(shares or dict.fromkeys((topic.name for topic in declared.topics), 1.0) or counts), 0

    def _held(self, profiles: Profiles, guess: Topics) -> tuple[Counter[str], int]:
        """Rows by topic, and rows whose topic is not known."""
        of_domain = profiles.of("domain")
        found: Counter[str] = Counter()
        if labelled(of_domain, "topic"):
            for profile in of_domain.values():
                found.update(profile.label_counts("topic"))
        else:
            for name, profile in of_domain.items():
                found.update(self._inferred(profiles, name, profile, guess))
        unknown = found.pop("", 0)
        return found, unknown

    def _inferred(self, profiles: Profiles, name: str, profile: Profile, guess: Topics) -> Counter[str]:
        import numpy as np

        places = np.unique(np.linspace(0, profile.rows - 1, min(profile.rows, self.most_rows)).astype(np.int64))
        counts = Counter(found.topic for found in guess.classify(profiles.texts("domain", name, places)))
        return Counter({topic: round(count * profile.rows / len(places)) for topic, count in counts.items()})

    def _thin(self, asked: Mapping[str, float], held: Counter[str], unknown: int) -> Iterator[Finding]:
        total = held.total()
        thin = [
            topic
            for topic, share in sorted(asked.items(), key=lambda pair: -pair[1])
            if share * total >= self.expected and held[topic] < self.thin * share * total
        ]
        if not thin:
            return
        missing = sum(held[topic] == 0 for topic in thin)
        said = ", ".join(f"{topic} ({held[topic]:,} rows, asked {asked[topic]:.1%})" for topic in thin[:_NAMED])
        message = f"{missing} of {len(asked)} topics are missing and {len(thin) - missing} thin: {said}"
        message += ", ..." if len(thin) > _NAMED else ""
        message += f"; {unknown:,} rows are on no topic that is known" if unknown else ""
        fix = "add documents on these topics; more of the others would not help"
        covered = 1 - sum(asked[topic] for topic in thin)
        yield Finding(self.code, "warning", "domain", message, fix, round(covered, 4))

    def _apart(self, asked: Mapping[str, float], held: Counter[str], sample: int) -> Iterator[Finding]:
        shares = _shares(held)
        topics = sorted({*asked, *shares})
        chance = _chance(len(topics), held.total(), sample)
        bits = divergence([asked.get(topic, 0.0) for topic in topics], [shares.get(topic, 0.0) for topic in topics])
        beyond = max(0.0, bits - chance)
        if beyond > self.max_divergence:
            most = max(topics, key=lambda topic: shares.get(topic, 0.0) - asked.get(topic, 0.0))
            message = (
                f"topics of the rows and of what is asked are {beyond:.2f} bits apart (Jensen-Shannon); "
                f"{most} has {shares.get(most, 0.0):.0%} of the rows, and {asked.get(most, 0.0):.0%} of the questions"
            )
            fix = "bring the shares nearer by rows or by data.domain.mix.weights of the sources that hold the topics"
            yield Finding(self.code, "warning", "domain", message, fix, round(beyond, 4))


def divergence(one: list[float], two: list[float]) -> float:
    """Jensen-Shannon divergence of two distributions in bits: 0 for the same, 1 for those that share nothing."""
    import numpy as np

    p, q = np.array(one), np.array(two)
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = [np.where(side > 0, side * np.log2(side / middle), 0.0).sum() for side in (p, q)]
    return float(sum(parts) / 2)


def _chance(topics: int, rows: int, sample: int) -> float:
    """What two samples of one distribution are apart on average: (k - 1) / (8 ln 2) (1 / n + 1 / m) bits."""
    inverse = 1 / max(rows, 1) + (1 / sample if sample else 0.0)
    return (topics - 1) / (8 * 0.6931) * inverse


def _shares(counts: Mapping[str, float]) -> dict[str, float]:
    total = sum(counts.values())
    return {name: count / total for name, count in counts.items() if count > 0}


def _guesser(declared: Declared) -> Topics:
    """Topics told by their names and terms, and by the sample's labelled rows where there are any."""
    from framework.judges.topics import Topics

    examples = [(asked.text, asked.topic) for asked in declared.asked if asked.topic]
    terms = {topic.name: [topic.name, *topic.terms] for topic in declared.topics}
    if not examples:
        return Topics.from_terms(terms)
    return Topics.from_examples([*examples, *((" . ".join(said), name) for name, said in terms.items())])


COMPONENT = Coverage
