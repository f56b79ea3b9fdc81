"""What operations that multiply may make: each is refused before it makes too much."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sized
from typing import Any

from jinja2.runtime import Undefined

from framework.data.meter import ITEM, CostError, Meter

_BITS = 4096
"""Largest whole number that arithmetic may make."""
_WIDE = re.compile(r"\d{4}|\*")
_FAR = 16
"""Widest indentation and longest separators of JSON."""
_PLACES = 20


def multiplied(meter: Meter, left: Any, right: Any) -> None:
    """Refuse a product that is too large."""
    if isinstance(left, int) and isinstance(right, int):
        if left.bit_length() + right.bit_length() > _BITS:
            raise CostError("its numbers are too large")
        return
    for value, times in ((left, right), (right, left)):
        if isinstance(value, Sized) and isinstance(times, int) and times > 0:
            meter.fits((meter.weight(value) + ITEM) * times)


def raised(base: Any, power: Any) -> None:
    """Refuse a power that is too large."""
    if isinstance(base, int) and isinstance(power, int) and base.bit_length() * abs(power) > _BITS:
        raise CostError("its numbers are too large")


def formatted(meter: Meter, pattern: Any, values: Any) -> None:
    """Refuse ``pattern % values`` where it pads widely or grows too large."""
    if not isinstance(pattern, str) or _WIDE.search(pattern):
        raise CostError("it formats with widths")
    meter.fits(len(pattern) + pattern.count("%") * 8 * meter.weight(values))


def replaced(meter: Meter, text: Any, old: Any, new: Any, count: Any = None) -> Any:
    """The text, when what a replacement makes of it is not too large."""
    found = str(text).count(str(old))
    found = found if count is None or count < 0 else min(count, found)
    meter.fits(len(str(text)) + found * len(str(new)))
    return text


def joined(meter: Meter, values: Iterable[Any], d: Any = "", attribute: Any = None) -> list[Any]:
    """The values to be joined, when what is made of them is not too large."""
    found = list(values)
    meter.fits(meter.weight(found) + len(found) * len(str(d)))
    return found


def to_json(
    meter: Meter,
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: Any = None,
    sort_keys: bool = False,
) -> str:
    """JSON as templates expect it: not escaped for HTML, keys in their own order."""
    if indent is not None and not 0 <= int(indent) <= _FAR:
        raise CostError("it indents too far")
    if separators is not None and sum(len(part) for part in separators) > _FAR:
        raise CostError("its separators are too long")
    encoder = json.JSONEncoder(
        ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys, default=_undefined
    )
    return meter.gathered(encoder.iterencode(value)) if indent is not None else encoder.encode(value)


def _undefined(value: Any) -> Any:
    said = "something undefined" if isinstance(value, Undefined) else f"a {type(value).__name__}"
    raise TypeError(f"{said} cannot be written as JSON")


def _round(meter: Meter, value: Any, precision: int = 0, method: str = "common") -> Any:
    if precision > _PLACES:
        raise CostError("it rounds to too many places")
    return value


def _sum(meter: Meter, value: Any, attribute: Any = None, start: Any = 0) -> Any:
    if not isinstance(start, (int, float)):
        raise CostError("it sums what are no numbers")
    return value


def _indent(meter: Meter, value: Any, width: Any = 4, first: bool = False, blank: bool = False) -> Any:
    wide = len(width) if isinstance(width, str) else abs(int(width))
    meter.fits(len(value) + (value.count("\n") + 1) * wide)
    return value


def _format(meter: Meter, value: Any, *args: Any, **kwargs: Any) -> Any:
    formatted(meter, value, kwargs or args)
    return value


FILTERS: dict[str, Callable[..., Any]] = {
    "replace": replaced,
    "join": joined,
    "round": _round,
    "sum": _sum,
    "indent": _indent,
    "format": _format,
}
"""By filter: called with a meter and the filter's arguments; gives what the filter shall work on."""
