"""One function for each kind of format: it shapes the facts on a subject so that the constraint holds."""

import json
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from samples.rows import Json

SEPARATOR = "***"
JSON_KEYS = (("topic", "fact"), ("subject", "note"), ("title", "text"))
SPARE_WORDS = 3
"""How far a response may stay below its word limit."""


@dataclass(frozen=True)
class Subject:
    """Something to write about: short facts, and a question with two possible answers."""

    name: str
    facts: tuple[str, ...]
    question: str
    options: tuple[str, str]
    answer: str

    @classmethod
    def parse(cls, name: str, lines: Sequence[str]) -> "Subject":
        """A subject from its bank section: facts, then `question = a/b = answer`."""
        *facts, last = lines
        question, options, answer = last.split(" = ")
        first, second = options.split("/")
        return cls(name, tuple(facts), question, (first, second), answer)

    def shuffled(self, rng: random.Random) -> "Subject":
        """The same with its facts in another order."""
        return replace(self, facts=tuple(rng.sample(self.facts, len(self.facts))))


@dataclass(frozen=True)
class Shaped:
    """A response, the arguments of the constraint it meets, and the words its instruction needs."""

    response: str
    arguments: dict[str, Json] = field(default_factory=dict[str, Json])
    slots: dict[str, str] = field(default_factory=dict[str, str])


Bank = dict[str, list[str]]
Shape = Callable[[Subject, int, Bank], Shaped]


def plain(facts: Iterable[str]) -> str:
    """Facts as ordinary sentences."""
    return " ".join(f"{fact}." for fact in facts)


def _counted(response: Callable[[int, str], str]) -> Shape:
    def shape(subject: Subject, turn: int, _: Bank) -> Shaped:
        count = 2 + turn % 3
        lines = [response(place, fact) for place, fact in enumerate(subject.facts[:count], start=1)]
        return Shaped("\n".join(lines), {"count": count}, {"count": str(count)})

    return shape


def _json_keys(subject: Subject, turn: int, _: Bank) -> Shaped:
    keys = JSON_KEYS[turn % len(JSON_KEYS)]
    response = json.dumps(dict(zip(keys, (subject.name, subject.facts[0]), strict=True)))
    return Shaped(response, {"keys": list(keys)}, {"a": keys[0], "b": keys[1]})


def _max_words(subject: Subject, turn: int, _: Bank) -> Shaped:
    response = plain(subject.facts[:1])
    limit = len(response.split()) + turn % (SPARE_WORDS + 1)
    return Shaped(response, {"count": limit}, {"count": str(limit)})


def _starts_with(subject: Subject, turn: int, bank: Bank) -> Shaped:
    text = bank["openers"][turn % len(bank["openers"])]
    return Shaped(f"{text} {plain(subject.facts[:1])}", {"text": text}, {"text": text})


def _ends_with(subject: Subject, turn: int, bank: Bank) -> Shaped:
    text = bank["enders"][turn % len(bank["enders"])]
    return Shaped(f"{plain(subject.facts[:1])} {text}", {"text": text}, {"text": text})


def _includes(subject: Subject, _turn: int, _: Bank) -> Shaped:
    fact = subject.facts[0]
    longest = sorted(fact.replace(",", "").split()[1:], key=len, reverse=True)[:2]
    return Shaped(f"{fact}.", {"words": list(longest)}, {"a": longest[0], "b": longest[1]})


def _excludes(subject: Subject, turn: int, bank: Bank) -> Shaped:
    word = bank["banned"][turn % len(bank["banned"])]
    return Shaped(plain(subject.facts[:2]), {"words": [word]}, {"a": word})


def _one_word(subject: Subject, _turn: int, _: Bank) -> Shaped:
    first, second = subject.options
    slots = {"question": subject.question, "a": first, "b": second}
    return Shaped(subject.answer.capitalize(), {"options": [first, second]}, slots)


def _two_parts(subject: Subject, _turn: int, _: Bank) -> Shaped:
    first, second = (f"{fact}." for fact in subject.facts[:2])
    return Shaped(f"{first}\n{SEPARATOR}\n{second}", {"separator": SEPARATOR}, {"text": SEPARATOR})


SHAPES: dict[str, Shape] = {
    "bullets": _counted(lambda _, fact: f"- {fact}"),
    "numbered": _counted(lambda place, fact: f"{place}. {fact}"),
    "json_keys": _json_keys,
    "lowercase": lambda subject, _turn, _: Shaped(plain(subject.facts[:2]).lower()),
    "uppercase": lambda subject, _turn, _: Shaped(plain(subject.facts[:1]).upper()),
    "max_words": _max_words,
    "starts_with": _starts_with,
    "ends_with": _ends_with,
    "includes": _includes,
    "excludes": _excludes,
    "one_word": _one_word,
    "two_parts": _two_parts,
    "title": lambda subject, _turn, _: Shaped(f"<<On {subject.name.title()}>>\n{plain(subject.facts[:1])}"),
    "quoted": lambda subject, _turn, _: Shaped(f'"{plain(subject.facts[:1])}"'),
}
