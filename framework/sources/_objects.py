"""Strict JSON for the sources that read it: no duplicate keys, no NaN, no crash on hostile input."""

from __future__ import annotations

import json
from typing import Any

from framework.sources.base import Bad, Record


class _RejectedError(ValueError):
    """The text is JSON, but not a kind that has one meaning."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _RejectedError("duplicate key")
    return found


def _constant(name: str) -> Any:
    raise _RejectedError("NaN or infinity")


_decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_constant)


def parse(text: str, where: str) -> Any | Bad:
    """The value of a JSON text, or ``Bad`` with a short reason."""
    try:
        return _decoder.decode(text)
    except json.JSONDecodeError:
        return Bad("invalid JSON", where)
    except RecursionError:
        return Bad("nested too deeply", where)
    except _RejectedError as error:
        return Bad(str(error), where)
    except ValueError:
        return Bad("number too long", where)


def record(value: Any, where: str) -> Record | Bad:
    """A record from a parsed value; only objects are rows."""
    if isinstance(value, Bad):
        return value
    if not isinstance(value, dict):
        return Bad("row is not an object", where)
    return Record(value, where)
