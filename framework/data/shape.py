"""A conversation as templates see it: messages and tool definitions, and the same with marks for their texts."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from framework.data.rows import Role, Turn

TOOLS = -1
"""The owner of texts in tool definitions, where another text has the number of its turn."""
_SCHEMA = """type function name description parameters properties required items enum default anyOf oneOf allOf not
const title format pattern minimum maximum minLength maxLength minItems maxItems additionalProperties return strict
nullable string integer number boolean array object null"""
_WORDS = frozenset(_SCHEMA.split())
"""Words of tool definitions that templates ask for by name; they hold no control token and stay as they are."""

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Value:
    """A text of a row that a template puts somewhere."""

    text: str
    turn: int
    data: bool = False
    """Whether it belongs to a call or a definition, and may be written more than once."""
    quoted: bool = False
    """Whether it may be escaped, as texts in JSON are."""
    needed: bool = True
    """Whether a template that leaves it out loses something."""


@dataclass(frozen=True, slots=True)
class Chat:
    """What a template is given."""

    messages: list[Message]
    tools: list[Any] | None


@dataclass(frozen=True, slots=True)
class Shape:
    """A conversation with its texts taken out."""

    roles: tuple[Role, ...]
    calling: frozenset[int]
    """Turns that call tools."""
    marked: Chat
    marks: tuple[str, ...]
    """The mark of each value."""
    values: tuple[Value, ...]


def plain(turns: Sequence[Turn], tools: Sequence[str]) -> bool:
    """Whether roles and contents are all there is: then the roles alone are the shape."""
    return not tools and all(turn.role != "tool" and not turn.calls for turn in turns)


def contents(turns: Sequence[Turn]) -> tuple[Value, ...]:
    """The values of a plain conversation."""
    return tuple(Value(turn.content, index) for index, turn in enumerate(turns))


def chat(turns: Sequence[Turn], tools: Sequence[str]) -> Chat:
    """What a template is given for a conversation."""
    return _filled(turns, tools, lambda value: value.text)


def shape(turns: Sequence[Turn], tools: Sequence[str]) -> Shape:
    """The conversation with marks for its texts. Equal texts of one turn, or of the definitions, have one mark."""
    marks: dict[Value, str] = {}

    def put(value: Value) -> str:
        if value not in marks:
            content = f"Content{value.turn}Of{len(turns)}Kqzx"
            # Nine letters and digits: what some templates demand of the id of a call.
            marks[value] = f"k{len(marks):05d}qzx" if value.data else content
        return marks[value]

    marked = _filled(turns, tools, put)
    calling = frozenset(index for index, turn in enumerate(turns) if turn.calls)
    return Shape(tuple(turn.role for turn in turns), calling, marked, tuple(marks.values()), tuple(marks))


def _data(text: str, turn: int, needed: bool = True) -> Value:
    return Value(text, turn, data=True, quoted=True, needed=needed)


def _filled(turns: Sequence[Turn], tools: Sequence[str], put: Callable[[Value], str]) -> Chat:
    messages: list[Message] = []
    open_calls: list[tuple[str, str]] = []
    calls = 0
    for index, turn in enumerate(turns):
        # Without content a turn that calls has the empty text: templates ask whether there is any.
        bare = turn.calls and not turn.content
        message: Message = {
            "role": turn.role,
            "content": "" if bare else put(Value(turn.content, index, quoted=turn.role == "tool")),
        }
        if turn.calls:
            found: list[Message] = []
            open_calls = []
            for call in turn.calls:
                calls += 1
                id = call.id or f"call{calls:05d}"
                open_calls.append((id, call.name))
                function = {
                    "name": put(_data(call.name, index)),
                    "arguments": _deep(json.loads(call.arguments), index, put, frozenset()),
                }
                id = put(_data(id, index, needed=False))
                found.append({"id": id, "type": "function", "function": function})
            message["tool_calls"] = found
        elif turn.role == "tool":
            at = next((at for at, (id, _) in enumerate(open_calls) if id == turn.answers), 0)
            if open_calls and (not turn.answers or open_calls[at][0] == turn.answers):
                id, name = open_calls.pop(at)
                message["name"] = put(_data(name, index, needed=False))
                message["tool_call_id"] = put(_data(id, index, needed=False))
        messages.append(message)
    defined = [_deep(json.loads(tool), TOOLS, put, _WORDS) for tool in tools]
    return Chat(messages, defined or None)


def _deep(value: Any, turn: int, put: Callable[[Value], str], words: frozenset[str]) -> Any:
    """A JSON value with every text put through ``put``, but ``words``."""
    if isinstance(value, str):
        return value if value in words else put(_data(value, turn))
    if isinstance(value, list):
        return [_deep(part, turn, put, words) for part in value]
    if isinstance(value, dict):
        return {_deep(name, turn, put, words): _deep(part, turn, put, words) for name, part in value.items()}
    return value
