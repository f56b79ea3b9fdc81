"""Weights that change over a stage: shares follow them at every point, and the whole stage keeps its mix."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.data.choose import Bounds, choose
from framework.data.draw import draw
from framework.data.mix import Mix
from framework.data.schedule import densities, placed

POINTS = st.lists(st.floats(0.05, 1.0), min_size=2, max_size=5)


def expected(points: list[float], share: float) -> np.ndarray:
    """What the first of two sources has had of the stage at 1,001 points, by bisection for the one unknown factor."""
    at = np.linspace(0.0, 1.0, 1001)
    weight = np.interp(at, np.linspace(0.0, 1.0, len(points)), points)
    low, high = -30.0, 30.0
    for _ in range(80):
        factor = np.exp((low + high) / 2.0)
        local = factor * weight / (factor * weight + 1.0)
        low, high = (low, np.log(factor)) if np.trapezoid(local, at) > share else (np.log(factor), high)
    return np.concatenate([[0.0], np.cumsum((local[1:] + local[:-1]) / 2.0) / 1000.0])


@settings(max_examples=60, deadline=None)
@given(POINTS, st.floats(0.1, 0.9), st.integers(0, 9))
def test_every_prefix_follows_the_schedule(points: list[float], share: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    sizes = {name: generator.integers(1, 65, 2000) for name in "ab"}
    mix = Mix(weights={"a": share, "b": 1.0 - share}, schedule={"a": points}, default_max_epochs=50.0)
    curve = expected(points, share)
    drawn = draw(sizes, mix, 0.5, seed)
    tokens = np.where(drawn.source == 0, sizes["a"][drawn.row], sizes["b"][drawn.row])
    part = np.cumsum(tokens) / tokens.sum()
    had = np.cumsum(np.where(drawn.source == 0, tokens, 0)) / tokens.sum()
    assert np.abs(had - np.interp(part, np.linspace(0.0, 1.0, 1001), curve)).max() * tokens.sum() <= 2 * 64 + 1
    chosen = choose(sizes, mix, Bounds(0.5, 64, 150, seed))
    tokens = np.where(chosen.source == 0, sizes["a"][chosen.row], sizes["b"][chosen.row])
    held = np.array([[tokens[pack].sum(), tokens[pack][chosen.source[pack] == 0].sum()] for pack in chosen.packs])
    part, had = np.cumsum(held, axis=0).T / tokens.sum()
    off = np.abs(had - np.interp(part, np.linspace(0.0, 1.0, 1001), curve)).max() * tokens.sum()
    assert off <= 6 * 64


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from("abcd"), POINTS), st.lists(st.floats(0.05, 1.0), min_size=4, max_size=4))
def test_shares_stand_to_one_another_as_the_weights_do(points: dict[str, list[float]], weights: list[float]) -> None:
    shares = {name: weight / sum(weights) for name, weight in zip("abcd", weights, strict=True)}
    found = densities(points, shares)
    middle = (np.arange(4096) + 0.5) / 4096
    assert np.sum(list(found.values()), axis=0) == pytest.approx(np.ones(4096))
    factors = []
    for name, density in found.items():
        assert density.mean() == pytest.approx(shares[name], abs=1e-6)
        given_points = points.get(name, [1.0, 1.0])
        factors.append(density / np.interp(middle, np.linspace(0.0, 1.0, len(given_points)), given_points))
    for factor in factors[1:]:
        ratio = factor / factors[0]
        assert ratio == pytest.approx(np.full(4096, ratio[0]))


def test_a_source_without_weight_gets_no_row_there() -> None:
    found = densities({"a": [0.0, 0.0, 1.0], "b": [1.0, 0.0, 0.0]}, {"a": 0.5, "b": 0.5})
    even = (np.arange(1000) + 0.5) / 1000
    assert placed(even, found["a"]).min() >= 0.5 and placed(even, found["b"]).max() <= 0.5


def test_what_cannot_be_met_keeps_shares_and_sequence() -> None:
    sizes = {"a": np.full(300, 4), "b": np.full(700, 4)}
    drawn = draw(sizes, Mix(schedule={"a": [1.0, 0.0, 0.0], "b": [0.0, 0.0, 1.0]}), 1.0, 0)
    assert drawn.source.tolist() == [0] * 300 + [1] * 700


def test_a_source_that_is_left_out_has_no_density() -> None:
    assert set(densities({"a": [1.0, 0.5]}, {"a": 1.0, "b": 0.0})) == {"a"}
    assert densities({}, {}) == {}
