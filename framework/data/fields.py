"""Values of a record's fields, or why one cannot be used."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

_VERDICTS = {"true": True, "1": True, "false": False, "0": False}
_VOTES = {**_VERDICTS, "chosen": True, "rejected": False}


class UnusableError(ValueError):
    """The row cannot be used; the message is the countable reason."""


def text(value: Any, name: str) -> str:
    """A string that can be tokenised: no other type, no lone surrogate (JSON can escape one)."""
    if value is None:
        raise UnusableError(f"{name} is missing")
    if not isinstance(value, str):
        raise UnusableError(f"{name} is not text")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise UnusableError(f"{name} has a lone surrogate") from None
    return value


def optional(fields: dict[str, Any], name: str) -> str:
    """The text of a field; empty when there is none."""
    value = fields.get(name)
    return "" if value is None else text(value, name)


def plain(value: Any, name: str) -> str:
    """A text or a number, as text."""
    return str(value) if isinstance(value, (int, float)) else text(value, name)


def absent(fields: dict[str, Any], name: str, reason: str) -> None:
    """Refuse the row when a field that nothing can hold is not empty."""
    if fields.get(name) not in (None, "", "[]", []):
        raise UnusableError(reason)


def number(fields: dict[str, Any], name: str) -> float | None:
    """A finite number; ``None`` when there is none."""
    value = fields.get(name)
    if value is None or value == "":
        return None
    try:
        found = math.nan if isinstance(value, bool) or not isinstance(value, (int, float, str)) else float(value)
    except (ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise UnusableError(f"{name} is not a number")
    return found


def verdict(value: Any) -> bool | None:
    """True or false, as JSON or CSV may say it; ``None`` for anything else."""
    return _choice(value, _VERDICTS)


def agreement(fields: dict[str, Any], name: str) -> float | None:
    """The share of annotators who agree: given from 0 to 1, or as their votes; ``None`` when there is none."""
    value = fields.get(name)
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        votes = [_choice(vote, _VOTES) for vote in value]
        if not votes:
            return None
        if None in votes:
            raise UnusableError(f"{name} holds something that is no vote")
        return sum(bool(vote) for vote in votes) / len(votes)
    share = number(fields, name)
    if share is not None and not 0.0 <= share <= 1.0:
        raise UnusableError(f"{name} is neither a share from 0 to 1 nor a list of votes")
    return share


def parsed(value: Any, name: str) -> Any:
    """The value of a JSON text, or the value itself where it is no text."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise UnusableError(f"{name} is not JSON" if not isinstance(error, _Said) else f"{name} {error}") from None


def dumped(value: Any, name: str) -> str:
    """A value as JSON text that can be tokenised."""
    try:
        return text(json.dumps(value, ensure_ascii=False, allow_nan=False), name)
    except UnusableError:
        raise
    except (TypeError, ValueError, RecursionError):
        raise UnusableError(f"{name} cannot be written as JSON") from None


class _Said(ValueError):
    """What is wrong with a JSON text beyond its grammar."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Said("repeats a key")
    return found


def _no_constant(name: str) -> Any:
    raise _Said(f"holds {name}")


def _choice(value: Any, choices: dict[str, bool]) -> bool | None:
    if isinstance(value, (bool, int, float)):
        return bool(value) if value in (0, 1) else None
    return choices.get(value.strip().lower()) if isinstance(value, str) else None
