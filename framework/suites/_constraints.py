"""Constraints on a reply that a program can verify, in the manner of IFEval (Zhou et al. 2023,
arXiv:2311.07911).

Each kind is one class: its fields are the arguments, checked when items are loaded, and ``holds`` judges a
reply. An empty reply satisfies nothing; ``satisfied`` and ``loosely_satisfied`` see to that, so ``holds`` may
assume text.
"""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Iterable
from itertools import product
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt, field_validator

from framework.registry import Section
from framework.suites._items import Filled

Words = Annotated[tuple[Filled, ...], Field(min_length=1)]

_BULLET = re.compile(r"^\s*(?:[*+-]|\u2022)\s+\S", re.MULTILINE)
_NUMBER = re.compile(r"^\s*(\d+)[.)]\s+\S", re.MULTILINE)
_TITLE = re.compile(r"<<[^<>\n]*[^<>\s][^<>\n]*>>")
_FENCE = re.compile(r"\A```\w*\n(.*)\n?```\Z", re.DOTALL)
_EDGES = " \t\r\n.,;:!?*\"'`()"


class Constraint(Section):
    """What every constraint has."""

    @abstractmethod
    def holds(self, reply: str) -> bool:
        """Whether a non-empty reply satisfies the constraint."""


class Bullets(Constraint):
    """Exactly ``count`` lines that start with ``*``, ``-``, ``+`` or a bullet sign."""

    kind: Literal["bullets"]
    count: PositiveInt

    def holds(self, reply: str) -> bool:
        return len(_BULLET.findall(reply)) == self.count


class Numbered(Constraint):
    """Exactly ``count`` numbered lines (``1.`` or ``1)``), counting up from one."""

    kind: Literal["numbered"]
    count: PositiveInt

    def holds(self, reply: str) -> bool:
        return [int(number) for number in _NUMBER.findall(reply)] == list(range(1, self.count + 1))


class JsonKeys(Constraint):
    """The whole reply is one JSON object that has all the keys; a code fence around it is allowed."""

    kind: Literal["json_keys"]
    keys: Words

    def holds(self, reply: str) -> bool:
        fenced = _FENCE.match(reply.strip())
        try:
            value: Any = json.loads(fenced.group(1) if fenced else reply)
        except (ValueError, RecursionError):
            return False
        return isinstance(value, dict) and set(self.keys) <= set(value)


class Lowercase(Constraint):
    """No capital letter, and at least one letter."""

    kind: Literal["lowercase"]

    def holds(self, reply: str) -> bool:
        return reply.islower()


class Uppercase(Constraint):
    """No small letter, and at least one letter."""

    kind: Literal["uppercase"]

    def holds(self, reply: str) -> bool:
        return reply.isupper()


class MaxWords(Constraint):
    """At most ``count`` words, parted by white space."""

    kind: Literal["max_words"]
    count: PositiveInt

    def holds(self, reply: str) -> bool:
        return len(reply.split()) <= self.count


class StartsWith(Constraint):
    """The reply begins with the text, whatever its case; white space around and a quotation mark are passed
    over.
    """

    kind: Literal["starts_with"]
    text: Filled

    def holds(self, reply: str) -> bool:
        return reply.strip().strip('"').casefold().startswith(self.text.strip().casefold())


class EndsWith(Constraint):
    """The reply ends with the text, whatever its case; white space around and a quotation mark are passed
    over.
    """

    kind: Literal["ends_with"]
    text: Filled

    def holds(self, reply: str) -> bool:
        return reply.strip().strip('"').casefold().endswith(self.text.strip().casefold())


class Includes(Constraint):
    """Every one of the words (or phrases) occurs, as a whole word, whatever its case."""

    kind: Literal["includes"]
    words: Words

    def holds(self, reply: str) -> bool:
        return all(_has_word(reply, word) for word in self.words)


class Excludes(Constraint):
    """None of the words (or phrases) occurs, as a whole word, whatever its case."""

    kind: Literal["excludes"]
    words: Words

    def holds(self, reply: str) -> bool:
        return not any(_has_word(reply, word) for word in self.words)


class OneWord(Constraint):
    """The whole reply is one of the options, whatever its case and the punctuation around it."""

    kind: Literal["one_word"]
    options: Annotated[tuple[Filled, ...], Field(min_length=2)]

    @field_validator("options")
    @classmethod
    def _single_words(cls, options: tuple[str, ...]) -> tuple[str, ...]:
        for option in options:
            if len(option.split()) != 1 or not option.strip(_EDGES):
                raise ValueError(f"{option!r} is not one word")
        return options

    def holds(self, reply: str) -> bool:
        return reply.strip(_EDGES).casefold() in {option.strip(_EDGES).casefold() for option in self.options}


class TwoParts(Constraint):
    """The separator occurs once, between two parts that are not empty and differ."""

    kind: Literal["two_parts"]
    separator: Filled

    def holds(self, reply: str) -> bool:
        parts = [part.strip() for part in reply.split(self.separator.strip())]
        return len(parts) == 2 and all(parts) and parts[0] != parts[1]


class Title(Constraint):
    """A title in double angular brackets, such as ``<<Notice of appeal>>``."""

    kind: Literal["title"]

    def holds(self, reply: str) -> bool:
        return _TITLE.search(reply) is not None


class Quoted(Constraint):
    """The whole reply stands in double quotation marks."""

    kind: Literal["quoted"]

    def holds(self, reply: str) -> bool:
        text = reply.strip()
        return len(text) > 2 and text[0] == text[-1] == '"'


AnyConstraint = Annotated[
    Bullets
    | Numbered
    | JsonKeys
    | Lowercase
    | Uppercase
    | MaxWords
    | StartsWith
    | EndsWith
    | Includes
    | Excludes
    | OneWord
    | TwoParts
    | Title
    | Quoted,
    Field(discriminator="kind"),
]
"""One of the kinds, told by its ``kind``; a wrong kind or argument is an error at load."""


def satisfied(constraint: Constraint, reply: str) -> bool:
    """IFEval's strict judgement."""
    return bool(reply.strip()) and constraint.holds(reply)


def loosely_satisfied(constraint: Constraint, reply: str) -> bool:
    """IFEval's loose judgement: one of eight versions satisfies the constraint.

    They are all combinations of taking away the first line (an introduction), the last line (a closing
    remark) and all asterisks (Markdown emphasis).
    """
    return any(satisfied(constraint, version) for version in _loose_versions(reply))


def _loose_versions(reply: str) -> Iterable[str]:
    lines = reply.split("\n")
    for first, last, stars in product((False, True), repeat=3):
        text = "\n".join(lines[int(first) : len(lines) - int(last)]).strip() if first or last else reply
        yield text.replace("*", "") if stars else text


def _has_word(reply: str, word: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(word.strip())}(?!\w)", reply, re.IGNORECASE) is not None
