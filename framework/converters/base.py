"""A converter: plain text into exchanges that teach with it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from framework.registry import Component


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a user asks, and the reply."""

    ask: str
    reply: str


@dataclass(frozen=True, slots=True)
class Made:
    """A passage with its exchanges, or as plain text in ``text``."""

    exchanges: tuple[Exchange, ...] = ()
    tasks: tuple[str, ...] = ()
    """The kind of each task, in order; none when the passage stays as it is."""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Left:
    """A passage that is left out, and why: a short, countable reason."""

    reason: str


Convert = Callable[[str, str], Iterator[Made | Left]]
"""From a text and its row's id to what becomes of each of its passages, in order."""


class Converter(Component):
    """Settings that determine what a text becomes; the same text, id and corpus always give the same."""

    folder: ClassVar[str] = "converters"
    version: ClassVar[int]
    """Raised when the same texts and settings give something else."""

    @abstractmethod
    def begin(self, texts: Callable[[], Iterable[str]]) -> Convert:
        """The conversion of one corpus. ``texts`` reads all of it anew; call it only when the corpus must be known."""
