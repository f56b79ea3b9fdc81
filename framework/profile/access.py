"""Profiles by stage and source, made when they are first asked for. Free of numpy until then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from framework.sources.base import Source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from framework.profile.columns import Profile

Progress = Callable[[str, int, int], None]


class Profiles:
    """The profiles of a run's own sources; replayed ones belong to their own stage."""

    def __init__(self, sources: Mapping[str, Mapping[str, Source]], progress: Progress) -> None:
        self._sources = sources
        self._progress = progress
        self._made: dict[tuple[str, str], Profile] = {}

    def of(self, stage: str) -> dict[str, Profile]:
        """The profile of every source of a stage. Raises ``DataError`` when a source cannot be read."""
        from framework.profile.build import profile

        for name, source in self._sources.get(stage, {}).items():
            if (stage, name) not in self._made:
                message = f"{stage}: looking at {name}"
                made = profile(
                    name, source, f"data.{stage}.sources.{name}", lambda done, m=message: self._progress(m, done, 0)
                )
                self._made[stage, name] = made
        return {name: self._made[stage, name] for name in self._sources.get(stage, {})}

    def texts(self, stage: str, name: str, places: NDArray[np.int64]) -> list[str]:
        """What rows of a source say, read from its files again; ``places`` ascend."""
        from framework.profile.build import texts

        return texts(name, self._sources[stage][name], f"data.{stage}.sources.{name}", places)
