"""Keeping secrets out of everything that is written."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

_NAMES = re.compile(r"(token|secret|passw(or)?d|api_?key|credential|private_?key)s?$", re.IGNORECASE)
_URL_USER = re.compile(r"(\w+://)[^/\s:@]+:[^/\s@]+@")
_SHORTEST = 8
"""Shorter values would blot out ordinary words."""
HIDDEN = "<hidden>"


def is_secret_name(name: str) -> bool:
    """Whether a key or variable of this name holds a secret: ``HF_TOKEN``, ``api_key``, ``password``, ..."""
    return _NAMES.search(name) is not None


class Redactor:
    """Replaces known secrets, and the user part of URLs, in text."""

    def __init__(self, secrets: list[str]) -> None:
        # The longest first: one secret may be the start of another.
        self._secrets = sorted({secret for secret in secrets if len(secret) >= _SHORTEST}, key=len, reverse=True)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Redactor:
        """Of all variables whose names say that they hold a secret."""
        variables = os.environ if environment is None else environment
        return cls([value for name, value in variables.items() if is_secret_name(name)])

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return _URL_USER.sub(rf"\1{HIDDEN}@", text)

    def tree(self, value: Any) -> Any:
        """A copy of plain values without secrets: by the names of keys, and by content."""
        if isinstance(value, dict):
            items: dict[str, Any] = value  # pyright: ignore[reportUnknownVariableType]
            return {
                key: HIDDEN if is_secret_name(key) and isinstance(inner, str) and inner else self.tree(inner)
                for key, inner in items.items()
            }
        if isinstance(value, list):
            return [self.tree(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
        return self(value) if isinstance(value, str) else value
