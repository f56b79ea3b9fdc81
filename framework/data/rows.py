"""What a data set's rows are once they are read: text, conversations or comparisons."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Role = Literal["system", "user", "assistant", "tool"]
RowKind = Literal["text", "conversation", "pair"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Labels:
    """Optional columns that say what a row is about; the contracts read them."""

    task: str = ""
    topic: str = ""
    slice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What all rows share. ``id`` is the row's own, or ``file:line`` when it has none."""

    id: str
    labels: Labels = field(default_factory=Labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Row):
    """Plain text: every token is a target."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation(Row):
    """Turns that end with an assistant's; the assistant's turns are the targets."""

    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair(Row):
    """A prompt and two responses to it, of which the first is preferred."""

    prompt: tuple[Turn, ...]
    chosen: str
    rejected: str
    agreement: float | None = None
    """Share of the annotators who prefer ``chosen``, where the row says so."""


def kind_of(row: Row) -> RowKind:
    """The row's kind, as objectives and checks name it."""
    if isinstance(row, Text):
        return "text"
    return "pair" if isinstance(row, Pair) else "conversation"
