"""What a rendering costs: sizes of values, and a budget for all that is read, made and written."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, KeysView, Sized, ValuesView
from typing import Any

from jinja2.utils import Namespace

ITEM = 16
"""Weight of a place in a list, beside what stands there."""
_STEP = 64
"""Charge of an operation, beside the sizes of its operands."""
_VALUE = 1_000_000
"""Largest weight of one value and of all output, beside what the size of the input allows."""
_PER_INPUT = 8
_BUDGET = 16
"""How many of the largest values a rendering may read and make: about a second."""
_EACH = 64
"""Charge of going through one item in a filter."""


class CostError(Exception):
    """A template asks for more than a rendering may cost; the message says by what."""


class Meter:
    """The budget of one rendering. ``size`` is the weight of its input."""

    def __init__(self, size: int) -> None:
        self._largest = _VALUE + _PER_INPUT * size
        self._left = _BUDGET * self._largest
        self._room = self._largest
        self._known: dict[int, tuple[Any, int]] = {}

    def charge(self, weight: int) -> None:
        """Take an operation on so much from the budget."""
        self._left -= weight + _STEP
        if self._left < 0:
            raise CostError("it does not come to an end")

    def fits(self, weight: int) -> None:
        """Refuse a value that would be too large."""
        if weight > self._largest:
            raise CostError("it makes values that are too large")

    def write(self, count: int) -> None:
        """Take so many characters of output."""
        self._room -= count
        if self._room < 0:
            raise CostError("its output is too long")
        self.charge(count)

    def weigh(self, value: Any, loose: bool = False) -> Any:
        """The value, not too large, and charged for one look at it: a list's parts are not looked at."""
        if type(value) is str:
            weight = look = len(value)
        else:
            weight = self.weight(value, loose)
            look = len(value) // 4 if isinstance(value, Sized) else 0
        self._left -= look + _STEP
        if self._left < 0 or weight > self._largest:
            self.fits(weight)
            self.charge(0)
        return value

    def compare(self, value: Any) -> Any:
        """The value, charged for a comparison, which may look at all its parts."""
        self.charge(self.weight(value))
        return value

    def each(self, value: Any) -> Any:
        """The value, charged for going through its items."""
        self.charge(_EACH * len(value) if isinstance(value, Sized) and not isinstance(value, str) else 0)
        return self.weigh(value)

    def gathered(self, parts: Iterable[str]) -> str:
        """Parts as one text, refused as soon as it is too large."""
        found: list[str] = []
        total = 0
        for part in parts:
            found.append(part)
            total += len(part)
            self.fits(total)
        return "".join(found)

    def weight(self, value: Any, loose: bool = False) -> int:
        """The size of a value written out, whatever its parts share.

        A namespace can hold itself, so that its size cannot be told: it is refused unless ``loose``.
        """
        if isinstance(value, str):
            return len(value)
        if isinstance(value, (list, tuple, dict, set, frozenset, KeysView, ValuesView, ItemsView)):
            known = self._known.get(id(value))
            if known is None:
                # The value is kept, so that no other can come to have its id.
                known = self._known[id(value)] = (value, self._sum(value))
            return known[1]
        if isinstance(value, int):
            return 1 + value.bit_length() // 8
        if isinstance(value, range):
            return ITEM * len(value)
        if isinstance(value, Namespace) and not loose:
            raise CostError("it uses a namespace as a value")
        return ITEM

    def _sum(self, value: Any) -> int:
        parts: list[Any] = [*value, *value.values()] if isinstance(value, dict) else list(value)
        weight = sum(self.weight(part) for part in parts) + ITEM * len(parts)
        self.charge(ITEM * len(parts))
        self.fits(weight)
        return weight
