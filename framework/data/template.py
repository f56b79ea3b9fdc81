"""Chat templates: rendering in the sandbox, and the skeleton of a template for a shape of conversation."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from framework.data.rows import Turn
from framework.data.shape import TOOLS, Chat, Message, Shape, Value, chat, contents, plain, shape

_DIFFERS = "the template changes contents, or its own text depends on them"
_MARK = re.compile(r"Content\d+Of\d+Kqzx|k\d{5,}qzx")
_TODAY = datetime.datetime(2024, 7, 26)
"""What templates get for today's date: a fixed day, so that a rendering never depends on when it is made."""
_TRIMS: tuple[Callable[[str], str], ...] = (
    str,
    str.strip,
    str.lstrip,
    str.rstrip,
    lambda text: text.strip("\n"),
    lambda text: text.lstrip("\n"),
    lambda text: text.rstrip("\n"),
)
"""How templates are known to trim contents, the untouched content first."""
_ESCAPES: tuple[Callable[[str], str], ...] = (
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    lambda text: json.dumps(text)[1:-1],
    lambda text: json.dumps(json.dumps(text, ensure_ascii=False)[1:-1], ensure_ascii=False)[1:-1],
)
"""How a text stands in JSON, and in JSON within JSON."""


class RefusedError(Exception):
    """A template does not render a conversation, or not in a way that can be followed; the message says why."""


@dataclass(frozen=True, slots=True)
class Skeleton:
    """A rendering with its values taken out: ``literals[0] value[order[0]] literals[1] ...``."""

    literals: tuple[str, ...]
    order: tuple[int, ...]
    """Value that stands after each literal but the last."""
    turns: tuple[int, ...]
    """Turn that each of these belongs to; ``TOOLS`` for the definitions."""
    opening: dict[int, str]
    """For each assistant turn, the end of the literal before its first value that the model writes itself."""
    calling: frozenset[int]
    """Turns that call tools."""

    def found(self, text: str, values: Sequence[Value]) -> list[str]:
        """The values as they stand in ``text``, in its order.

        Proves that ``text`` is this skeleton with the values (as given, trimmed or escaped) put in; raises
        ``RefusedError`` where it is not.
        """
        found: list[str] = []
        if not text.startswith(self.literals[0]):
            raise RefusedError(_DIFFERS)
        at = len(self.literals[0])
        for index, literal in zip(self.order, self.literals[1:], strict=True):
            for form in _forms(values[index]):
                if text.startswith(form, at) and text.startswith(literal, at + len(form)):
                    break
            else:
                raise RefusedError(_DIFFERS)
            found.append(form)
            at += len(form) + len(literal)
        if at != len(text):
            raise RefusedError(_DIFFERS)
        return found


class Template:
    """A chat template compiled in the sandbox. ``variables`` hold the special tokens it may name."""

    def __init__(self, source: str, variables: Mapping[str, str]) -> None:
        """Raises ``RefusedError`` when the template is not valid."""
        import jinja2

        from framework.data.sandbox import MAX_SOURCE, Sandbox

        self._errors = (jinja2.TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
        self._variables = dict(variables)
        if len(source) > MAX_SOURCE:
            raise RefusedError(f"the template is longer than {MAX_SOURCE:,} characters")
        environment = Sandbox({"raise_exception": _raise, "strftime_now": _TODAY.strftime})
        try:
            self._template = environment.from_string(source)
        except (jinja2.TemplateError, RecursionError, SyntaxError, MemoryError, ValueError) as error:
            raise RefusedError(f"the template is not valid: {error}") from error
        self._skeletons: dict[tuple[tuple[str, ...], bool], Skeleton | RefusedError] = {}

    def render(self, turns: Sequence[Turn], tools: Sequence[str] = (), generation_prompt: bool = False) -> str:
        """The conversation as text. Raises ``RefusedError`` with the template's own message when it rejects it."""
        return self._render(chat(turns, tools), generation_prompt)

    def skeleton(
        self, turns: Sequence[Turn], tools: Sequence[str], generation_prompt: bool
    ) -> tuple[Skeleton, tuple[Value, ...]]:
        """The template's own text around the values of a conversation, and these; raises ``RefusedError``."""
        if not plain(turns, tools):
            found = shape(turns, tools)
            return self._find(found, generation_prompt), found.values
        key = (tuple(turn.role for turn in turns), generation_prompt)
        if key not in self._skeletons:
            try:
                self._skeletons[key] = self._find(shape(turns, tools), generation_prompt)
            except RefusedError as error:
                self._skeletons[key] = error
        known = self._skeletons[key]
        if isinstance(known, RefusedError):
            raise RefusedError(str(known))
        return known, contents(turns)

    def _render(self, given: Chat, generation_prompt: bool) -> str:
        from framework.data.sandbox import RUNNING, CostError, Meter

        # The input's own size is what a rendering may cost in proportion to.
        running = RUNNING.set(Meter(_size(given.messages) + _size(given.tools)))
        try:
            return self._template.render(
                messages=given.messages,
                add_generation_prompt=generation_prompt,
                tools=given.tools,
                documents=None,
                enable_thinking=False,  # rows hold answers, no reasoning: the prompt must say the same
                **self._variables,
            )
        except CostError as error:
            raise RefusedError(f"the template costs too much: {error}") from error
        except (*self._errors, RecursionError, MemoryError) as error:
            raise RefusedError(f"the template refuses the conversation: {error}") from error
        finally:
            RUNNING.reset(running)

    def _find(self, given: Shape, generation_prompt: bool) -> Skeleton:
        text = self._render(given.marked, generation_prompt)
        number = {mark: index for index, mark in enumerate(given.marks)}
        places = [(number[at.group()], *at.span()) for at in _MARK.finditer(text) if at.group() in number]
        counts = [0] * len(given.marks)
        for index, _, _ in places:
            counts[index] += 1
        for count, value in zip(counts, given.values, strict=True):
            if (not count and value.needed) or (count > 1 and not value.data):
                said = "repeats" if count else "leaves out"
                raise RefusedError(f"the template {said} {_named(value, given)}")
        literals: list[str] = []
        turns = tuple(given.values[index].turn for index, _, _ in places)
        opening: dict[int, str] = {}
        at = 0
        for (index, begin, end), turn in zip(places, turns, strict=True):
            literals.append(text[at:begin])
            if turn != TOOLS and given.roles[turn] == "assistant" and turn not in opening:
                spoken = not given.values[index].data
                opening[turn] = self._opening(given, turn, text[:begin], literals[-1], spoken)
            at = end
        literals.append(text[at:])
        return Skeleton(tuple(literals), tuple(index for index, _, _ in places), turns, opening, given.calling)

    def _opening(self, given: Shape, turn: int, text: str, literal: str, spoken: bool) -> str:
        """What the model writes itself before a turn's first value, at which ``text`` ends.

        A content begins where the model begins, but for white space after the generation prompt. A call begins where
        a content would (or, where that cannot be told, after the generation prompt).
        """
        messages = given.marked.messages
        prompt = self._attempt(Chat(messages[:turn], given.marked.tools), True) if turn else None
        if prompt is None or not text.startswith(prompt) or len(text) - len(prompt) > len(literal):
            prompt = None
        if spoken:
            rest = "" if prompt is None else text[len(prompt) :]
            return "" if rest.strip() else rest
        mark = "ContentInsteadKqzx"
        instead: Message = {"role": "assistant", "content": mark}
        told = self._attempt(Chat([*messages[:turn], instead, *messages[turn + 1 :]], given.marked.tools), False)
        before = None if told is None or mark not in told else told[: told.index(mark)]
        if before is not None and (not text.startswith(before) or len(text) - len(before) > len(literal)):
            before = None
        if prompt is not None and (before is None or (before.startswith(prompt) and not before[len(prompt) :].strip())):
            before = prompt
        if before is None:
            raise RefusedError("where the assistant's tool call begins cannot be told")
        return text[len(before) :]

    def _attempt(self, given: Chat, generation_prompt: bool) -> str | None:
        try:
            return self._render(given, generation_prompt)
        except RefusedError:
            return None


def _forms(value: Value) -> Iterator[str]:
    if value.data:
        yield value.text
    else:
        yield from (trim(value.text) for trim in _TRIMS)
    if value.quoted:
        yield from (escape(value.text) for escape in _ESCAPES)


def _named(value: Value, given: Shape) -> str:
    if value.turn == TOOLS:
        return "the tool definitions"
    return "the tool calls" if value.data else f"the content of a {given.roles[value.turn]} turn"


def _size(value: Any) -> int:
    """Characters and places of what a template is given."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(16 + len(name) + _size(part) for name, part in value.items())
    return sum(16 + _size(part) for part in value) if isinstance(value, list) else 1


def _raise(message: str) -> str:
    import jinja2

    raise jinja2.TemplateError(message)
