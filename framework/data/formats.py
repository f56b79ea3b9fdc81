"""Formats: how the columns of a record become a typed row.

Each format is a function from a record's fields to a row's content. What a row says but a turn cannot hold (tool calls,
images, per-message weights) is refused with a reason that can be counted, never left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from framework.data.rows import Conversation, Labels, Pair, Role, Row, Text, Turn
from framework.data.votes import agreement
from framework.sources.base import Bad, Format, Record

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "tool": "tool",
    "observation": "tool",
}
_TOOL_CALLS = "tool calls cannot be represented yet"
_JOINT = "\n\n"


class _RefusedError(ValueError):
    """The row cannot be used; the message is the countable reason."""


def detect(columns: frozenset[str]) -> Format | None:
    """The format that a set of columns means, the most specific first; ``None`` when it means none."""
    if {"chosen", "rejected"} <= columns:
        return "preference"
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
        id = record.where if given is None or given == "" else _plain(given, "id")
        return _READERS[format](fields, id, found)
    except _RefusedError as error:
        return Bad(str(error), record.where)


def _instruction(fields: dict[str, Any], id: str, labels: Labels) -> Row:
    _absent(fields, "history", "history cannot be represented yet")
    context = _optional(fields, "context") or _optional(fields, "input")
    parts = [part for part in (_optional(fields, "instruction"), context) if part.strip()]
    response = _text(fields.get("response", fields.get("output")), "response")
    system = _optional(fields, "system")
    turns = [Turn("system", system)] if system.strip() else []
    turns += [Turn("user", _JOINT.join(parts)), Turn("assistant", response)]
    return Conversation(id=id, labels=labels, turns=_complete(turns))


def _messages(fields: dict[str, Any], id: str, labels: Labels) -> Row:
    return _conversation(fields, "messages", id, labels)


def _sharegpt(fields: dict[str, Any], id: str, labels: Labels) -> Row:
    return _conversation(fields, "conversations", id, labels)


def _conversation(fields: dict[str, Any], column: str, id: str, labels: Labels) -> Row:
    _absent(fields, "tools", "tool definitions cannot be represented yet")
    _absent(fields, "functions", "tool definitions cannot be represented yet")
    turns = _turns(fields.get(column), column)
    system = _optional(fields, "system")
    if system.strip() and turns[0].role != "system":
        turns.insert(0, Turn("system", system))
    return Conversation(id=id, labels=labels, turns=_complete(turns))


def _prompt_completion(fields: dict[str, Any], id: str, labels: Labels) -> Row:
    prompt = _prompt(fields)
    response = _response(fields.get("completion"), prompt, "response")
    return Conversation(id=id, labels=labels, turns=_complete([*prompt, Turn("assistant", response)]))


def _plain_text(fields: dict[str, Any], id: str, labels: Labels) -> Row:
    text = _text(fields.get("text"), "text")
    if not text.strip():
        raise _RefusedError("empty text")
    return Text(id=id, labels=labels, text=text)


def _preference(fields: dict[str, Any], id: str, labels: Labels) -> Row:
    _absent(fields, "tools", "tool definitions cannot be represented yet")
    if any(name in fields for name in ("prompt", "messages", "instruction")):
        prompt = _prompt(fields)
    else:
        prompt = _shared(fields.get("chosen"), fields.get("rejected"))
    chosen = _response(fields.get("chosen"), prompt, "chosen")
    rejected = _response(fields.get("rejected"), prompt, "rejected")
    for name, text in (("chosen", chosen), ("rejected", rejected)):
        if not text.strip():
            raise _RefusedError(f"empty {name}")
    _complete([*prompt, Turn("assistant", chosen)])
    if prompt[-1].role == "assistant":
        raise _RefusedError("prompt ends with the assistant's message")
    try:
        agreed = agreement(fields.get("annotators"))
    except ValueError as error:
        raise _RefusedError(str(error)) from None
    return Pair(id=id, labels=labels, prompt=tuple(prompt), chosen=chosen, rejected=rejected, agreement=agreed)


_READERS: dict[Format, Callable[[dict[str, Any], str, Labels], Row]] = {
    "instruction": _instruction,
    "messages": _messages,
    "sharegpt": _sharegpt,
    "prompt_completion": _prompt_completion,
    "text": _plain_text,
    "preference": _preference,
}


def _complete(turns: list[Turn]) -> tuple[Turn, ...]:
    """The turns, when they are a conversation that can be trained on."""
    if turns[-1].role != "assistant":
        raise _RefusedError("last message is not the assistant's")
    if turns[0].role == "assistant":
        raise _RefusedError("conversation starts with the assistant")
    for turn in turns:
        if not turn.content.strip() and turn.role in ("user", "assistant"):
            raise _RefusedError("empty prompt" if turn.role == "user" else "empty response")
    return tuple(turns)


def _prompt(fields: dict[str, Any]) -> list[Turn]:
    """A prompt given as text, as messages, or as instruction and context."""
    given = fields.get("prompt", fields.get("messages"))
    if isinstance(given, list):
        return _turns(given, "prompt")
    if given is None and "instruction" in fields:
        context = _optional(fields, "context") or _optional(fields, "input")
        given = _JOINT.join(part for part in (_optional(fields, "instruction"), context) if part.strip())
    system = _optional(fields, "system")
    turns = [Turn("system", system)] if system.strip() else []
    return [*turns, Turn("user", _text(given, "prompt"))]


def _shared(chosen: Any, rejected: Any) -> list[Turn]:
    """The messages that both sides of a comparison start with, when no prompt is given apart."""
    if not isinstance(chosen, list) or not isinstance(rejected, list):
        raise _RefusedError("prompt is missing")
    one, two = _turns(chosen, "chosen"), _turns(rejected, "rejected")
    if len(one) < 2 or one[:-1] != two[:-1]:
        raise _RefusedError("chosen and rejected answer different prompts")
    return one[:-1]


def _response(value: Any, prompt: list[Turn], name: str) -> str:
    """One reply, given as text or as messages with or without the prompt before it."""
    if not isinstance(value, list):
        return _text(value, name)
    turns = _turns(value, name)
    if len(turns) > 1 and turns[: len(prompt)] == prompt:
        turns = turns[len(prompt) :]
    if len(turns) != 1 or turns[0].role != "assistant":
        raise _RefusedError(f"{name} is not one message of the assistant")
    return turns[0].content


def _turns(value: Any, name: str) -> list[Turn]:
    if value is None:
        raise _RefusedError(f"{name} is missing")
    if not isinstance(value, list):
        raise _RefusedError(f"{name} is not a list of messages")
    if not value:
        raise _RefusedError(f"{name} is empty")
    return [_turn(message) for message in value]


def _turn(message: Any) -> Turn:
    if not isinstance(message, dict):
        raise _RefusedError("message is not an object")
    said = message.get("role", message.get("from"))
    if message.get("tool_calls") or message.get("function_call") or said == "function_call":
        raise _RefusedError(_TOOL_CALLS)
    role = _ROLES.get(said) if isinstance(said, str) else None
    if role is None:
        raise _RefusedError("message has an unknown role")
    if message.get("weight", 1) not in (1, None) or message.get("train", True) not in (True, None):
        raise _RefusedError("message weights cannot be represented yet")
    content = message["content"] if "content" in message else message.get("value")
    if isinstance(content, list):
        content = "".join(_part(part) for part in content)
    return Turn(role, _text(content, "message content"))


def _part(part: Any) -> str:
    if isinstance(part, dict) and part.get("type") == "text":
        return _text(part.get("text"), "message content")
    raise _RefusedError("message content that is not text")


def _absent(fields: dict[str, Any], name: str, reason: str) -> None:
    if fields.get(name) not in (None, "", "[]", []):
        raise _RefusedError(reason)


def _optional(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    return "" if value is None else _text(value, name)


def _text(value: Any, name: str) -> str:
    """A string that can be tokenised: no other type, no lone surrogate (JSON can escape one)."""
    if value is None:
        raise _RefusedError(f"{name} is missing")
    if not isinstance(value, str):
        raise _RefusedError(f"{name} is not text")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise _RefusedError(f"{name} has a lone surrogate") from None
    return value


def _label(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    return "" if value is None else _plain(value, name)


def _plain(value: Any, name: str) -> str:
    return str(value) if isinstance(value, (int, float)) else _text(value, name)
