"""Weights that change over a stage: where in the stage each source's rows belong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_CELLS = 4096
"""Parts of a stage in each of which shares count as constant."""
_ROUNDS = 500
_EXACT = 1e-7
_LEAST = 1e-12


def densities(points: Mapping[str, list[float]], shares: Mapping[str, float]) -> dict[str, Floats]:
    """Share of each source in each of 4,096 equal parts of a stage.

    At any point the shares stand to one another as the sources' weights there do, ``points`` interpolated (constant
    for a source without), times a factor for each source. The factors are those that give every source its share of
    the whole stage (iterative proportional fitting; Deming and Stephan 1940). Where no factors can, as when a source
    is alone for longer than its share lasts, the stage is shorter there than its schedule says.
    """
    import numpy as np

    names = sorted(name for name, share in shares.items() if share > 0.0)
    if not names:
        return {}
    middle = (np.arange(_CELLS) + 0.5) / _CELLS
    weights = np.array([_weights(points.get(name), middle) for name in names])
    wanted = np.array([shares[name] for name in names])
    wanted /= wanted.sum()
    factors = wanted / np.maximum(weights.mean(axis=1), _LEAST)
    found = weights
    for _ in range(_ROUNDS):
        found = weights * factors[:, None]
        found /= np.maximum(found.sum(axis=0), _LEAST)
        reached = found.mean(axis=1)
        if np.abs(reached - wanted).max() < _EXACT:
            break
        factors *= wanted / np.maximum(reached, _LEAST)
        factors = np.maximum(factors / factors.max(), _LEAST)
    return dict(zip(names, found, strict=True))


def placed(position: Floats, density: Floats) -> Floats:
    """Even positions in (0, 1) moved to where a source of this density has them in the stage."""
    import numpy as np

    edges = np.linspace(0.0, 1.0, len(density) + 1)
    mass = np.concatenate([[0.0], np.cumsum(density)])
    rising = np.concatenate([[False], density > 0.0])  # a part of zero weight takes no rows
    rising[:-1] |= rising[1:]
    return np.interp(position, mass[rising] / mass[-1], edges[rising])


def _weights(points: list[float] | None, at: Floats) -> Floats:
    import numpy as np

    return np.interp(at, np.linspace(0.0, 1.0, len(points)), points) if points else np.ones_like(at)
