"""Formats: how the columns of a record become a typed row.

Each format is a function from a record's fields to a row's content. What a row says but a turn cannot hold (images,
per-message weights) is refused with a reason that can be counted, never left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from framework.data.fields import UnusableError, absent, agreement, number, optional, plain, text, verdict
from framework.data.messages import tools_of, turns_of
from framework.data.rows import Conversation, Judged, Labels, Pair, Row, Text, Turn
from framework.sources.base import Bad, Format, Record

_JOINT = "\n\n"
_NO_TOOLS = "tool definitions beside a preference cannot be represented yet"


def detect(columns: frozenset[str], labels: Iterable[Any] = ()) -> Format | None:
    """The format that a set of columns means, the most specific first; ``None`` when it means none.

    ``labels`` are values of the column ``label``: where all of them are true or false, the rows are judged replies.
    """
    if {"chosen", "rejected"} <= columns:
        return "preference"
    if {"prompt", "completion"} <= columns or columns & {"messages", "conversations"}:
        judged = [verdict(label) is not None for label in labels]
        if judged and all(judged):
            return "binary_preference"
    if "messages" in columns:
        return "messages"
    if "conversations" in columns:
        return "sharegpt"
    if "instruction" in columns and columns & {"response", "output"}:
        return "instruction"
    if {"prompt", "completion"} <= columns:
        return "prompt_completion"
    return "text" if "text" in columns else None


def to_row(record: Record, format: Format, labels: Mapping[str, str]) -> Row | Bad:
    """The record as a typed row, or why it cannot be one. ``labels`` stand in for columns the row does not have."""
    fields = record.fields
    try:
        found = Labels(**{name: _label(fields, name) or labels.get(name, "") for name in ("task", "topic", "slice")})
        given = fields.get("id")
        id = record.where if given is None or given == "" else plain(given, "id")
        return _READERS[format](fields, id, found)
    except UnusableError as error:
        return Bad(str(error), record.where)


def _instruction(fields: dict[str, Any], id: str, labels: Labels) -> Row:
    absent(fields, "history", "history cannot be represented yet")
    context = optional(fields, "context") or optional(fields, "input")
    parts = [part for part in (optional(fields, "instruction"), context) if part.strip()]
    response = text(fields.get("response", fields.get("output")), "response")
    turns = [*_system(fields), Turn("user", _JOINT.join(parts)), Turn("assistant", response)]
    return Conversation(id=id, labels=labels, turns=_complete(turns))


def _messages(fields: dict[str, Any], id: str, labels: Labels) -> Row:
    return _conversation(fields, "messages", id, labels)


def _sharegpt(fields: dict[str, Any], id: str, labels: Labels) -> Row:
    return _conversation(fields, "conversations", id, labels)


def _conversation(fields: dict[str, Any], column: str, id: str, labels: Labels) -> Row:
    turns = _spoken(fields, column)
    return Conversation(id=id, labels=labels, turns=_complete(turns), tools=tools_of(fields))


def _prompt_completion(fields: dict[str, Any], id: str, labels: Labels) -> Row:
    prompt = _prompt(fields)
    reply = _reply(fields.get("completion"), prompt, "response")
    return Conversation(id=id, labels=labels, turns=_complete([*prompt, reply]), tools=tools_of(fields))


def _plain_text(fields: dict[str, Any], id: str, labels: Labels) -> Row:
    given = text(fields.get("text"), "text")
    if not given.strip():
        raise UnusableError("empty text")
    return Text(id=id, labels=labels, text=given)


def _preference(fields: dict[str, Any], id: str, labels: Labels) -> Row:
    absent(fields, "tools", _NO_TOOLS)
    absent(fields, "functions", _NO_TOOLS)
    if any(name in fields for name in ("prompt", "messages", "instruction")):
        prompt = _prompt(fields)
    else:
        prompt = _shared(fields.get("chosen"), fields.get("rejected"))
    chosen, rejected = (_answer(fields, name, prompt) for name in ("chosen", "rejected"))
    return Pair(
        id=id,
        labels=labels,
        prompt=_asked(prompt, chosen),
        chosen=chosen,
        rejected=rejected,
        agreement=agreement(fields, "annotators"),
        margin=number(fields, "margin"),
    )


def _binary_preference(fields: dict[str, Any], id: str, labels: Labels) -> Row:
    absent(fields, "tools", _NO_TOOLS)
    absent(fields, "functions", _NO_TOOLS)
    given = fields.get("label")
    desirable = verdict(given)
    if desirable is None:
        raise UnusableError("label is missing" if given is None else "label is neither true nor false")
    column = "messages" if "messages" in fields else "conversations"
    if fields.get("completion") is None and column in fields:
        *prompt, last = _spoken(fields, column)
        if last.role != "assistant" or not prompt:
            raise UnusableError("last message is not the assistant's reply")
        completion = _words(last, "completion")
    else:
        prompt = _prompt(fields)
        completion = _answer(fields, "completion", prompt)
    asked = _asked(prompt, completion)
    return Judged(id=id, labels=labels, prompt=asked, completion=completion, desirable=desirable)


_READERS: dict[Format, Callable[[dict[str, Any], str, Labels], Row]] = {
    "instruction": _instruction,
    "messages": _messages,
    "sharegpt": _sharegpt,
    "prompt_completion": _prompt_completion,
    "text": _plain_text,
    "preference": _preference,
    "binary_preference": _binary_preference,
}


def _complete(turns: list[Turn]) -> tuple[Turn, ...]:
    """The turns, when they are a conversation that can be trained on."""
    if turns[-1].role != "assistant":
        raise UnusableError("last message is not the assistant's")
    if turns[0].role == "assistant":
        raise UnusableError("conversation starts with the assistant")
    for turn in turns:
        if not (turn.content.strip() or turn.calls) and turn.role in ("user", "assistant"):
            raise UnusableError("empty prompt" if turn.role == "user" else "empty response")
    return tuple(turns)


def _asked(prompt: list[Turn], reply: str) -> tuple[Turn, ...]:
    """The prompt, when a reply can follow it."""
    _complete([*prompt, Turn("assistant", reply)])
    if prompt[-1].role == "assistant":
        raise UnusableError("prompt ends with the assistant's message")
    return tuple(prompt)


def _system(fields: dict[str, Any]) -> list[Turn]:
    """The turn of a column ``system``, where it says something."""
    system = optional(fields, "system")
    return [Turn("system", system)] if system.strip() else []


def _spoken(fields: dict[str, Any], column: str) -> list[Turn]:
    """The messages of a column, a system prompt of its own before them."""
    turns = turns_of(fields.get(column), column)
    return turns if turns[0].role == "system" else [*_system(fields), *turns]


def _prompt(fields: dict[str, Any]) -> list[Turn]:
    """A prompt given as text, as messages, or as instruction and context."""
    given = fields.get("prompt", fields.get("messages"))
    if isinstance(given, list):
        return turns_of(given, "prompt")
    if given is None and "instruction" in fields:
        context = optional(fields, "context") or optional(fields, "input")
        given = _JOINT.join(part for part in (optional(fields, "instruction"), context) if part.strip())
    return [*_system(fields), Turn("user", text(given, "prompt"))]


def _shared(chosen: Any, rejected: Any) -> list[Turn]:
    """The messages that both sides of a comparison start with, when no prompt is given apart."""
    if not isinstance(chosen, list) or not isinstance(rejected, list):
        raise UnusableError("prompt is missing")
    one, two = turns_of(chosen, "chosen"), turns_of(rejected, "rejected")
    if len(one) < 2 or one[:-1] != two[:-1]:
        raise UnusableError("chosen and rejected answer different prompts")
    return one[:-1]


def _answer(fields: dict[str, Any], name: str, prompt: list[Turn]) -> str:
    """A reply to be compared or judged, which must say something."""
    return _words(_reply(fields.get(name), prompt, name), name)


def _words(reply: Turn, name: str) -> str:
    if reply.calls:
        raise UnusableError(f"{name} calls a tool, which cannot be compared yet")
    if not reply.content.strip():
        raise UnusableError(f"empty {name}")
    return reply.content


def _reply(value: Any, prompt: list[Turn], name: str) -> Turn:
    """One reply, given as text or as messages with or without the prompt before it."""
    if not isinstance(value, list):
        return Turn("assistant", text(value, name))
    turns = turns_of(value, name)
    if len(turns) > 1 and turns[: len(prompt)] == prompt:
        turns = turns[len(prompt) :]
    if len(turns) != 1 or turns[0].role != "assistant":
        raise UnusableError(f"{name} is not one message of the assistant")
    return turns[0]


def _label(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    return "" if value is None else plain(value, name)
