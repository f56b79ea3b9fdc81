"""Chat templates: rendering in the sandbox, and the skeleton of a template for a sequence of roles."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from framework.data.rows import Role, Turn

_DIFFERS = "the template changes contents, or its own text depends on them"
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


class RefusedError(Exception):
    """A template does not render a conversation, or not in a way that can be followed; the message says why."""


@dataclass(frozen=True, slots=True)
class Skeleton:
    """A rendering with its contents taken out: ``literals[0] content[order[0]] literals[1] ...``."""

    literals: tuple[str, ...]
    order: tuple[int, ...]
    """Turn whose content stands after each literal but the last."""
    opening: dict[int, str]
    """For each assistant turn, the end of its literal that comes after the generation prompt (often nothing)."""

    def contents(self, text: str, turns: Sequence[Turn]) -> dict[int, str]:
        """The turns' contents as they stand in ``text``, by turn.

        Proves that ``text`` is this skeleton with the contents (as given, or trimmed) put in; raises ``RefusedError``
        where it is not.
        """
        found: dict[int, str] = {}
        if not text.startswith(self.literals[0]):
            raise RefusedError(_DIFFERS)
        at = len(self.literals[0])
        for turn, literal in zip(self.order, self.literals[1:], strict=True):
            for trim in _TRIMS:
                content = trim(turns[turn].content)
                if text.startswith(content, at) and text.startswith(literal, at + len(content)):
                    break
            else:
                raise RefusedError(_DIFFERS)
            found[turn] = content
            at += len(content) + len(literal)
        if at != len(text):
            raise RefusedError(_DIFFERS)
        return found


class Template:
    """A chat template compiled in the sandbox. ``variables`` hold the special tokens it may name."""

    def __init__(self, source: str, variables: Mapping[str, str]) -> None:
        """Raises ``RefusedError`` when the template is not valid."""
        import jinja2

        self._errors = (
            jinja2.TemplateError,
            ArithmeticError,
            AttributeError,
            LookupError,
            TypeError,
            ValueError,
        )
        self._variables = dict(variables)
        try:
            self._template = _environment().from_string(source)
        except jinja2.TemplateError as error:
            raise RefusedError(f"the template is not valid: {error}") from error
        self._skeletons: dict[tuple[tuple[Role, ...], bool], Skeleton | RefusedError] = {}

    def render(self, turns: Sequence[Turn], generation_prompt: bool = False) -> str:
        """The conversation as text. Raises ``RefusedError`` with the template's own message when it rejects it."""
        messages = [{"role": turn.role, "content": turn.content} for turn in turns]
        try:
            return self._template.render(
                messages=messages,
                add_generation_prompt=generation_prompt,
                tools=None,
                documents=None,
                enable_thinking=False,  # rows hold answers, no reasoning: the prompt must say the same
                **self._variables,
            )
        except (*self._errors, RecursionError) as error:
            raise RefusedError(f"the template refuses the conversation: {error}") from error

    def skeleton(self, roles: tuple[Role, ...], generation_prompt: bool) -> Skeleton:
        """The template's own text around the contents of turns with these roles; raises ``RefusedError``."""
        key = (roles, generation_prompt)
        if key not in self._skeletons:
            try:
                self._skeletons[key] = self._find(roles, generation_prompt)
            except RefusedError as error:
                self._skeletons[key] = error
        found = self._skeletons[key]
        if isinstance(found, RefusedError):
            raise RefusedError(str(found))
        return found

    def _find(self, roles: tuple[Role, ...], generation_prompt: bool) -> Skeleton:
        marks = [f"Content{index}Of{len(roles)}Kqzx" for index in range(len(roles))]
        turns = [Turn(role, mark) for role, mark in zip(roles, marks, strict=True)]
        text = self.render(turns, generation_prompt)
        for role, mark in zip(roles, marks, strict=True):
            if text.count(mark) != 1:
                said = "leaves out" if mark not in text else "repeats"
                raise RefusedError(f"the template {said} the content of a {role} turn")
        order = sorted(range(len(roles)), key=lambda index: text.index(marks[index]))
        literals: list[str] = []
        at = 0
        opening: dict[int, str] = {}
        for index in order:
            begin = text.index(marks[index])
            literals.append(text[at:begin])
            at = begin + len(marks[index])
            if roles[index] == "assistant":
                opening[index] = self._opening(turns[:index], text[:begin], literals[-1])
        literals.append(text[at:])
        return Skeleton(tuple(literals), tuple(order), opening)

    def _opening(self, before: list[Turn], text: str, literal: str) -> str:
        """What the template puts between its generation prompt and the assistant's content."""
        if not before:
            return ""
        try:
            prompt = self.render(before, generation_prompt=True)
        except RefusedError:
            return ""
        rest = text[len(prompt) :]
        return rest if text.startswith(prompt) and len(rest) <= len(literal) else ""


def _raise(message: str) -> str:
    import jinja2

    raise jinja2.TemplateError(message)


def _to_json(value: Any, indent: int | None = None, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent, **options)


def _environment() -> Any:
    from jinja2 import nodes
    from jinja2.ext import Extension, loopcontrols
    from jinja2.parser import Parser
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """``{% generation %}`` marks assistant text for another way of masking; here its body is rendered as it is."""

        tags = {"generation"}  # noqa: RUF012 (the base class declares it so)

        def parse(self, parser: Parser) -> list[nodes.Node]:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    environment: Any = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = _TODAY.strftime
    return environment
