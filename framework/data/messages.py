"""Messages as data sets write them (OpenAI's, ShareGPT's) to turns, tool calls and tool definitions."""

from __future__ import annotations

from typing import Any

from framework.data.fields import UnusableError, dumped, parsed, plain, text
from framework.data.rows import Call, Role, Turn

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "function_call": "assistant",
    "tool_call": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "tool_response": "tool",
}
_CALLING = ("function_call", "tool_call")
"""Roles of messages whose content is a call."""


def turns_of(value: Any, name: str) -> list[Turn]:
    """A list of messages as turns, at least one."""
    if value is None:
        raise UnusableError(f"{name} is missing")
    if not isinstance(value, list):
        raise UnusableError(f"{name} is not a list of messages")
    if not value:
        raise UnusableError(f"{name} is empty")
    return [_turn(message) for message in value]


def tools_of(fields: dict[str, Any]) -> tuple[str, ...]:
    """The definitions in the columns ``tools`` or ``functions``, each as JSON text in OpenAI's form."""
    given = next((fields[name] for name in ("tools", "functions") if fields.get(name) not in (None, "", [])), [])
    found = parsed(given, "tools")
    if not isinstance(found, list):
        raise UnusableError("tools is not a list of definitions")
    return tuple(_definition(one) for one in found)


def _definition(given: Any) -> str:
    one = parsed(given, "tool definition")
    inner = one.get("function") if isinstance(one, dict) else None
    function = one if inner is None else inner
    if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"].strip():
        raise UnusableError("tool definition without a name")
    whole = {"type": "function", "function": one} if inner is None else one
    return dumped(whole, "tool definition")


def _turn(message: Any) -> Turn:
    if not isinstance(message, dict):
        raise UnusableError("message is not an object")
    said = message.get("role", message.get("from"))
    role = _ROLES.get(said) if isinstance(said, str) else None
    if role is None:
        raise UnusableError("message has an unknown role")
    if message.get("weight", 1) not in (1, None) or message.get("train", True) not in (True, None):
        raise UnusableError("message weights cannot be represented yet")
    content = message["content"] if "content" in message else message.get("value")
    if said in _CALLING:
        return Turn(role, "", _calls(parsed(content, "tool call")))
    calls = _calls(message.get("tool_calls")) or _calls(message.get("function_call"))
    if calls and role != "assistant":
        raise UnusableError("tool calls in a message that is not the assistant's")
    if isinstance(content, list):
        content = "".join(_part(part) for part in content)
    if content is None and calls:
        content = ""
    answered = message.get("tool_call_id") if role == "tool" else None
    answers = "" if answered is None else plain(answered, "tool_call_id")
    return Turn(role, text(content, "message content"), calls, answers)


def _calls(given: Any) -> tuple[Call, ...]:
    if given is None or given == "":
        return ()
    return tuple(_call(one) for one in (given if isinstance(given, list) else [given]))


def _call(given: Any) -> Call:
    one = parsed(given, "tool call")
    if not isinstance(one, dict) or one.get("type", "function") not in ("function", None):
        raise UnusableError("tool call that is not a function's")
    function = one.get("function") if one.get("function") is not None else one
    if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"].strip():
        raise UnusableError("tool call without a name")
    given_arguments = function.get("arguments")
    arguments = parsed("{}" if given_arguments in (None, "") else given_arguments, "tool call arguments")
    if not isinstance(arguments, dict):
        raise UnusableError("tool call arguments are not a JSON object")
    id = one.get("id")
    return Call(
        text(function["name"], "tool call"),
        dumped(arguments, "tool call arguments"),
        "" if id is None else plain(id, "tool call id"),
    )


def _part(part: Any) -> str:
    if isinstance(part, dict) and part.get("type") == "text":
        return text(part.get("text"), "message content")
    raise UnusableError("message content that is not text")
