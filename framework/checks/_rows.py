"""What checks of rows share: sources of a stage put together, shares, and rows to show."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from framework.profile.columns import Profile

SHOWN = 3
"""Rows that a finding shows."""
_ASKED = ("prompt", "question", "text")
"""Fields of suites' items that hold what the model is shown."""


def asked(item: Any) -> str:
    """What an item of a suite shows the model."""
    return next((str(getattr(item, name)) for name in _ASKED if hasattr(item, name)), "")


def examples(profiles: dict[str, Profile], rows: Iterable[tuple[str, int]]) -> tuple[str, ...]:
    """Id and excerpt of up to three rows, given as source and place."""
    chosen = [pair for pair, _ in zip(rows, range(SHOWN), strict=False)]
    return tuple(
        f"{name} {sample.id}: {sample.text}" for name, row in chosen for sample in profiles[name].samples([row])
    )


def where(profiles: dict[str, Profile], masks: dict[str, NDArray[np.bool_]]) -> list[tuple[str, int]]:
    """The first rows of each source that a mask marks, as source and place."""
    import numpy as np

    return [(name, int(row)) for name in profiles for row in np.flatnonzero(masks[name])[:SHOWN].tolist()]


class Places:
    """The rows of several sources counted through: source and place of each."""

    def __init__(self, profiles: dict[str, Profile]) -> None:
        self._names = list(profiles)
        self._ends = list(accumulate(profile.rows for profile in profiles.values()))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, row: int) -> tuple[str, int]:
        source = bisect_right(self._ends, row)
        return self._names[source], row - (self._ends[source - 1] if source else 0)

    def sources(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The number of each row's source."""
        import numpy as np

        return np.searchsorted(np.array(self._ends), rows, side="right")

    def first(self, rows: NDArray[np.bool_]) -> list[tuple[str, int]]:
        """The first few marked rows."""
        return [self[int(row)] for row in rows.nonzero()[0][:SHOWN]]


def labelled(profiles: dict[str, Profile], label: str) -> bool:
    """Whether at least half of a stage's rows carry a label: then the labels are believed, else it is inferred."""
    rows = sum(profile.rows for profile in profiles.values())
    return 2 * sum(int((profile.column(label) != 0).sum()) for profile in profiles.values()) >= rows > 0
