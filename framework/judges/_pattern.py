"""Patterns that are searched for in many texts: most texts are passed over without running the pattern.

Any match of a pattern holds one of a few literal texts, which are read off the pattern itself. A text without any of
them needs no search. Matching is that of ``re`` on lower-case text.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable
from typing import Any

_ENOUGH = 3
"""Letters from which on a longer literal tells no more."""
_FEW = 4
"""Characters of a class that are worth looking for one by one."""
_ODD_CASES = (("ſ", "s"), ("ı", "i"), ("İ", "i"))
"""What ``re.IGNORECASE`` takes for an ASCII letter and ``str.lower`` does not."""


class Pattern:
    """A regular expression over folded text."""

    def __init__(self, pattern: str, flags: int = 0) -> None:
        """``pattern`` is lower-case. ``re.IGNORECASE`` has no place among the flags."""
        self.pattern = pattern
        self._search = re.compile(pattern, flags).search
        self._needed = tuple(sorted(needed(pattern) or (), key=lambda literal: (-len(literal), literal)))

    def search(self, text: str) -> re.Match[str] | None:
        """The first match in a folded text."""
        for literal in self._needed:
            if literal in text:
                return self._search(text)
        return None if self._needed else self._search(text)


def folded(text: str) -> str:
    """Lower-case text in which a lower-case ASCII pattern finds what it finds in the text when case is ignored."""
    if not text.isascii():
        for odd, plain in _ODD_CASES:
            text = text.replace(odd, plain)
    return text.lower()


def needed(pattern: str) -> frozenset[str] | None:
    """Literals of which every match holds one, or ``None`` when none can be told."""
    parser = importlib.import_module("re._parser")  # the only reader of patterns there is; its trees are stable
    return _needed(parser.parse(pattern))


def _needed(parts: Iterable[tuple[Any, Any]]) -> frozenset[str] | None:
    found: list[frozenset[str] | None] = []
    literal = ""
    for operation, value in parts:
        kind = str(operation)
        if kind == "LITERAL":
            literal += chr(value)
            continue
        found.append(frozenset({literal}) if literal else None)
        literal = ""
        if kind == "SUBPATTERN":
            found.append(_needed(value[3]))
        elif kind == "BRANCH":
            found.append(_either(value[1]))
        elif kind in ("MAX_REPEAT", "MIN_REPEAT") and value[0] > 0:
            found.append(_needed(value[2]))
        elif kind == "IN" and len(value) <= _FEW and all(str(one) == "LITERAL" for one, _ in value):
            found.append(frozenset(chr(mark) for _, mark in value))
    found.append(frozenset({literal}) if literal else None)
    known = [literals for literals in found if literals]
    return max(known, key=lambda literals: (min(_ENOUGH, *map(len, literals)), -len(literals)), default=None)


def _either(branches: Iterable[Any]) -> frozenset[str] | None:
    found = [_needed(branch) for branch in branches]
    return None if any(literals is None for literals in found) else frozenset().union(*(one for one in found if one))
