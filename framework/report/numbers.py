"""Numbers as people read them; the same in the terminal, the report and the pictures."""

from __future__ import annotations

import math

_THOUSAND = 1000
_WHOLE = 100
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def compact(number: float) -> str:
    """Three digits and a unit: ``1.91M``; whole below a thousand."""
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= limit * 0.9995:
            scaled = number / limit
            return f"{scaled:.{_decimals(scaled)}f}{unit}"
    return f"{number:.0f}"


def _decimals(scaled: float) -> int:
    return max(0, 2 - math.floor(math.log10(abs(scaled)) + 1e-9)) if abs(scaled) >= 1 else 2


def count(number: int) -> str:
    """Exact, with separators: ``1,913,442``."""
    return f"{number:,}"


def share(part: float) -> str:
    """A share of one as percent: ``12.4%``; a little is never shown as nothing."""
    if 0 < part < 0.0005:
        return "<0.1%"
    return f"{100 * part:.1f}%"


def epochs(passes: float) -> str:
    """Passes over a source: ``1.25x``."""
    return f"{passes:.2f}x"


def size(number: float) -> str:
    """Bytes: ``2.6 GB``."""
    for limit, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if number >= limit:
            return f"{number / limit:.1f} {unit}"
    return f"{number:.0f} B"


def duration(seconds: float) -> str:
    """``48 s``, ``13 min 20 s``, ``2 h 5 min``, ``3 d 4 h``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    for unit, name, part, part_name in (
        (_DAY, "d", _HOUR, "h"),
        (_HOUR, "h", _MINUTE, "min"),
        (_MINUTE, "min", 1, "s"),
    ):
        if whole >= unit:
            rest = whole % unit // part
            return f"{whole // unit} {name} {rest} {part_name}" if rest else f"{whole // unit} {name}"
    raise AssertionError(whole)


def rough(seconds: float) -> str:
    """An estimate of time in one unit: ``48 s``, ``13 min``, ``2.1 h``, ``3.2 d``."""
    for unit, name in ((_DAY, "d"), (_HOUR, "h")):
        if seconds >= unit:
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds / _MINUTE:.0f} min" if seconds >= 2 * _MINUTE else f"{seconds:.0f} s"


def value(number: float, higher_is_better: bool) -> str:
    """A suite's value: a share as percent, a perplexity (lower is better) as it is."""
    if higher_is_better and 0 <= number <= 1:
        return f"{100 * number:.1f}%"
    return plain(number)


def plain(number: float) -> str:
    """About four digits: ``18.42``, ``1,024``, ``0.153``."""
    size_of = abs(number)
    if size_of >= _THOUSAND:
        return f"{number:,.0f}"
    if size_of >= _WHOLE:
        return f"{number:.1f}"
    return f"{number:.2f}" if size_of >= 1 or size_of == 0 else f"{number:.3g}"


def change(before: float, after: float, higher_is_better: bool) -> str:
    """From one value to another: points where shares are compared, else percent of the first."""
    if higher_is_better:
        return f"{_signed(100 * (after - before))} pts"
    return f"{_signed(100 * (after - before) / before)}%" if before else plain(after - before)


def _signed(number: float) -> str:
    return "0.0" if abs(number) < 0.05 else f"{number:+.1f}"


def sampling_error(first: float, second: float, items: int) -> float:
    """Half the 95 % interval of the difference of two shares of so many items each.

    Treats the two as independent samples, which is cautious where the items are the same. Shares of exactly 0 or 1
    are pulled in by two items, so that few items never look exact.
    """
    parts = [(share_ * items + 2) / (items + 4) for share_ in (first, second)]
    return 1.96 * math.sqrt(sum(part * (1 - part) / (items + 4) for part in parts))


def interval(part: float, items: int) -> tuple[float, float]:
    """The 95 % interval (Wilson) of a share of so many items."""
    z = 1.96
    middle = (part + z * z / (2 * items)) / (1 + z * z / items)
    half = z * math.sqrt(part * (1 - part) / items + z * z / (4 * items * items)) / (1 + z * z / items)
    return max(0.0, middle - half), min(1.0, middle + half)
