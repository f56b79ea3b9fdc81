"""What a data set's rows are once they are read: text, conversations, comparisons or judged replies."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

Role = Literal["system", "user", "assistant", "tool"]
RowKind = Literal["text", "conversation", "pair", "judged"]


@dataclass(frozen=True, slots=True)
class Call:
    """An assistant's call of a tool."""

    name: str
    arguments: str
    """A JSON object, as text."""
    id: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation. An assistant's may call tools, after its content or instead of any."""

    role: Role
    content: str
    calls: tuple[Call, ...] = ()
    answers: str = ""
    """Of a tool's turn: the id of the call that it answers; without one it answers the first that is open."""

    @property
    def said(self) -> str:
        """Content and calls as one text, for judges and for finding duplicates."""
        if not self.calls:
            return self.content
        calls = [f"{call.name}({call.arguments})" for call in self.calls]
        return "\n".join([self.content, *calls] if self.content else calls)


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
    tools: tuple[str, ...] = ()
    """Definitions of the tools that may be called, each a JSON object in OpenAI's form, as text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair(Row):
    """A prompt and two responses to it, of which the first is preferred."""

    prompt: tuple[Turn, ...]
    chosen: str
    rejected: str
    agreement: float | None = None
    """Share of the annotators who prefer ``chosen``, from 0 to 1."""
    margin: float | None = None
    """By how much ``chosen`` is better, in the data set's own unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged(Row):
    """A prompt and one response to it that is desirable or is not."""

    prompt: tuple[Turn, ...]
    completion: str
    desirable: bool


def kind_of(row: Row) -> RowKind:
    """The row's kind, as objectives and checks name it."""
    if isinstance(row, Text):
        return "text"
    if isinstance(row, Judged):
        return "judged"
    return "pair" if isinstance(row, Pair) else "conversation"


def margin_of(row: Row) -> float:
    """By how much a pair's ``chosen`` is better; NaN where the row does not say."""
    return row.margin if isinstance(row, Pair) and row.margin is not None else math.nan


def size_of(row: Row) -> int:
    """Characters of the row's texts."""
    if isinstance(row, Text):
        return len(row.text)
    if isinstance(row, Pair):
        return sum(len(turn.content) for turn in row.prompt) + len(row.chosen) + len(row.rejected)
    return sum(len(turn.content) for turn in row.turns) if isinstance(row, Conversation) else 0
