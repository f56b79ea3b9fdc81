"""The mix: shares exact to one row, even at every prefix, complete by epoch, the same for every caller."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from framework.data.draw import Drawn, draw
from framework.data.mix import Mix, Total, problems, shares

LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=80).map(lambda values: np.array(values, dtype=np.int64))
SIZES = st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), LENGTHS, min_size=1)


def amounts(sizes: dict[str, np.ndarray], drawn: Drawn, unit: str) -> np.ndarray:
    """Amount of each drawn row in the mix's unit."""
    names = list(sizes)
    held = [sizes[names[source]][row] for source, row in zip(drawn.source, drawn.row, strict=True)]
    return np.array(held if unit == "tokens" else [1] * len(held), dtype=np.int64)


@settings(max_examples=150, deadline=None)
@given(SIZES, st.data(), st.sampled_from(["tokens", "examples"]), st.floats(0.1, 5.0), st.integers(0, 3))
def test_shares_are_exact_to_one_row(
    sizes: dict[str, np.ndarray], data: st.DataObject, unit: str, epochs: float, seed: int
) -> None:
    weights = {name: data.draw(st.floats(0.1, 5.0)) for name in sizes}
    mix = Mix(weights=weights, unit=unit, default_max_epochs=50.0)  # type: ignore[arg-type]
    drawn = draw(sizes, mix, epochs, seed)
    amount = amounts(sizes, drawn, unit)
    total = epochs * sum(int(size.sum()) if unit == "tokens" else len(size) for size in sizes.values())
    for index, (name, size) in enumerate(sizes.items()):
        whole = int(size.sum()) if unit == "tokens" else len(size)
        wanted = min(total * weights[name] / sum(weights.values()), 50.0 * whole)
        largest = int(size.max()) if unit == "tokens" else 1
        got = int(amount[drawn.source == index].sum())
        assert abs(got - wanted) <= largest / 2 + 1e-6 * wanted
        assert drawn.epochs[name] == pytest.approx(got / whole)
        assert (name in drawn.capped) == (total * weights[name] / sum(weights.values()) > 50.0 * whole * (1 + 1e-9))


@settings(max_examples=100, deadline=None)
@given(SIZES, st.floats(0.3, 4.0), st.integers(0, 3))
def test_every_prefix_is_even(sizes: dict[str, np.ndarray], epochs: float, seed: int) -> None:
    drawn = draw(sizes, Mix(), epochs, seed)
    amount = amounts(sizes, drawn, "tokens")
    reached = np.cumsum(amount)
    if not len(reached):
        return
    largest = max(int(size.max()) for size in sizes.values())
    for index in range(len(sizes)):
        own = np.cumsum(np.where(drawn.source == index, amount, 0))
        share = own[-1] / reached[-1]
        assert np.abs(own - share * reached).max() <= len(sizes) * largest


@settings(max_examples=100, deadline=None)
@given(SIZES, st.floats(0.3, 4.0), st.integers(0, 3))
def test_no_row_comes_twice_before_all_came_once(sizes: dict[str, np.ndarray], epochs: float, seed: int) -> None:
    drawn = draw(sizes, Mix(), epochs, seed)
    for index, size in enumerate(sizes.values()):
        rows = drawn.row[drawn.source == index]
        for begin in range(0, len(rows), len(size)):
            part = rows[begin : begin + len(size)]
            assert len(np.unique(part)) == len(part)


@given(SIZES, st.integers(0, 5))
def test_the_seed_decides_and_sources_are_independent(sizes: dict[str, np.ndarray], seed: int) -> None:
    mix = Mix()
    one, two = draw(sizes, mix, 1.0, seed), draw(sizes, mix, 1.0, seed)
    assert np.array_equal(one.source, two.source) and np.array_equal(one.row, two.row)
    first = next(iter(sizes))
    alone = draw({first: sizes[first]}, mix, 1.0, seed)
    assert np.array_equal(alone.row, one.row[one.source == 0])


def test_whole_epochs_take_every_row() -> None:
    sizes = {"a": np.arange(1, 101), "b": np.arange(1, 31)}
    drawn = draw(sizes, Mix(), 3.0, 0)
    for index, size in enumerate(sizes.values()):
        assert np.array_equal(np.bincount(drawn.row[drawn.source == index]), np.full(len(size), 3))
    assert drawn.epochs == {"a": 3.0, "b": 3.0}


def test_caps_bind_and_are_reported() -> None:
    sizes = {"a": np.full(10, 5), "b": np.full(1000, 5)}
    drawn = draw(sizes, Mix(weights={"a": 1.0, "b": 1.0}), 1.0, 0)
    assert drawn.capped == ["a"] and drawn.epochs["a"] == 4.0
    drawn = draw(sizes, Mix(weights={"a": 1.0, "b": 1.0}, max_epochs={"a": 2.0}), 1.0, 0)
    assert drawn.capped == ["a"] and drawn.epochs["a"] == 2.0


def test_replay_comes_on_top_with_its_share() -> None:
    sizes = {
        "own": np.full(900, 10),
        "replay:instruct/x": np.full(500, 10),
        "replay:instruct/y": np.full(500, 10),
    }
    drawn = draw(sizes, Mix(replay={"instruct": 0.1}), 1.0, 0)
    assert drawn.epochs["own"] == 1.0
    assert np.bincount(drawn.source).tolist() == [900, 50, 50]


def test_what_is_replayed_comes_in_the_weights_it_was_taught_with() -> None:
    sizes = {"own": 900, "replay:instruct/x": 400, "replay:instruct/y": 100}
    taught = {"replay:instruct/x": 1.0, "replay:instruct/y": 3.0}
    for own in ({}, {"own": 1.0}):
        found = shares(sizes, Mix(weights={**own, **taught}, replay={"instruct": 0.2}))
        assert found == pytest.approx({"own": 0.8, "replay:instruct/x": 0.05, "replay:instruct/y": 0.15})
    by_size = shares(sizes, Mix(weights={"own": 1.0}, replay={"instruct": 0.2}))
    assert by_size == pytest.approx({"own": 0.8, "replay:instruct/x": 0.16, "replay:instruct/y": 0.04})


@pytest.mark.parametrize(
    ("total", "unit", "rows"),
    [
        (Total(epochs=2.0), "tokens", 300),
        (Total(tokens=700), "tokens", 70),
        (Total(tokens=700), "examples", 70),
        (Total(examples=60), "tokens", 60),
        (Total(examples=60), "examples", 60),
    ],
)
def test_totals(total: Total, unit: str, rows: int) -> None:
    sizes = {"a": np.full(100, 10), "b": np.full(50, 10)}
    drawn = draw(sizes, Mix(total=total, unit=unit), 1.0, 0)  # type: ignore[arg-type]
    assert abs(len(drawn.row) - rows) <= 1


def test_temperature_flattens() -> None:
    sizes = {"a": 900, "b": 100}
    assert shares(sizes, Mix())["a"] == pytest.approx(0.9)
    assert shares(sizes, Mix(temperature=2.0))["a"] == pytest.approx(0.75)


def test_schedules_move_a_source_over_the_stage() -> None:
    sizes = {"a": np.full(4000, 3), "b": np.full(4000, 3), "c": np.full(4000, 3)}
    drawn = draw(sizes, Mix(schedule={"a": [2.0, 0.0], "b": [0.0, 0.0, 1.0]}), 1.0, 0)
    middle = len(drawn.row) // 2
    first, second = np.bincount(drawn.source[:middle]), np.bincount(drawn.source[middle:], minlength=3)
    assert first[0] > 3 * second[0] and first[1] < 300
    assert np.array_equal(first + second, [4000, 4000, 4000])


def test_problems_name_the_key_and_a_neighbour() -> None:
    mix = Mix(weights={"statute": 1.0}, max_epochs={"x": 1.0}, schedule={"cases": [1.0]})
    found = problems(mix, ["statutes", "cases"], "data.domain.mix")
    assert [problem.path for problem in found] == [
        "data.domain.mix.weights.statute",
        "data.domain.mix.max_epochs.x",
        "data.domain.mix.weights",
        "data.domain.mix.weights",
        "data.domain.mix.schedule.cases",
    ]
    assert "did you mean 'statutes'" in found[0].fix
    assert problems(Mix(), ["a"], "p") == []
    assert problems(Mix(weights={"a": 0.0}), ["a"], "p")
    assert problems(Mix(replay={"instruct": 0.6, "domain": 0.5}), ["a"], "p")


@pytest.mark.parametrize(
    "bad",
    [
        {"weights": {"a": -1.0}},
        {"total": {}},
        {"total": {"epochs": 1.0, "tokens": 5}},
        {"temperature": 0.0},
        {"replay": {"align": 0.1}},
        {"weight": {}},
    ],
)
def test_wrong_settings_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Mix.model_validate(bad)
