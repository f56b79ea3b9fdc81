"""What a stage is trained on, over random mixes: exact shares, even packs, whole epochs, one order for everybody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.data.choose import Bounds, Chosen, choose
from framework.data.mix import Mix, Total

CAPACITY = 64
EVEN = 6.0
"""Packs by which a source may be off its share in any prefix of a stage."""


@dataclass(frozen=True)
class Case:
    """One random stage."""

    sizes: dict[str, np.ndarray]
    mix: Mix
    bounds: Bounds

    def choose(self) -> Chosen:
        return choose(self.sizes, self.mix, self.bounds)

    def whole(self, name: str) -> int:
        """Size of a source in the mix's unit."""
        return int(self.sizes[name].sum()) if self.mix.unit == "tokens" else len(self.sizes[name])

    def amounts(self, chosen: Chosen) -> np.ndarray:
        """Amount of each chosen row in the mix's unit."""
        if self.mix.unit == "examples":
            return np.ones(len(chosen.row), dtype=np.int64)
        return self.tokens(chosen)

    def tokens(self, chosen: Chosen) -> np.ndarray:
        held = list(self.sizes.values())
        pairs = zip(chosen.source.tolist(), chosen.row.tolist(), strict=True)
        return np.array([held[source][row] for source, row in pairs], dtype=np.int64)

    def by_source(self, chosen: Chosen) -> np.ndarray:
        return np.bincount(chosen.source, self.amounts(chosen), len(self.sizes))

    def planned(self) -> dict[str, float]:
        """The shares that the configuration asks for, computed here."""
        own = [name for name in self.sizes if not name.startswith("replay:")]
        replayed = {name for name in self.sizes if name not in own}
        share = self.mix.replay.get("instruct", 0.0) if replayed else 0.0
        flat = {name: self.whole(name) ** (1.0 / self.mix.temperature) for name in self.sizes}
        weight = {name: self.mix.weights[name] if self.mix.weights else flat[name] for name in own}
        found = {name: (1.0 - share) * weight[name] / sum(weight.values()) for name in own}
        return found | {name: share * flat[name] / sum(flat[one] for one in replayed) for name in replayed}


def lengths(kind: str, count: int, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    bounds = {"any": (1, CAPACITY), "long": (CAPACITY // 2, CAPACITY), "short": (1, 6), "full": (CAPACITY, CAPACITY)}
    low, high = bounds[kind]
    return generator.integers(low, high + 1, count)


@st.composite
def cases(draw: st.DrawFn, scheduled: bool = True) -> Case:
    own = draw(st.integers(1, 6))
    names = [f"s{n}" for n in range(own)]
    sources = names + [f"replay:instruct/{n}" for n in range(draw(st.integers(0, 2)))]
    kinds = st.sampled_from(["any", "long", "short", "full"])
    sizes = {name: lengths(draw(kinds), draw(st.integers(1, 120)), draw(st.integers(0, 99))) for name in sources}
    weights = {name: draw(st.floats(0.05, 1.0)) for name in names} if draw(st.booleans()) else {}
    points = st.lists(st.floats(0.05, 1.0), min_size=2, max_size=4)
    totals = [None, Total(epochs=draw(st.floats(0.2, 2.5))), Total(tokens=draw(st.integers(100, 9000)))]
    mix = Mix(
        weights=weights,
        unit=draw(st.sampled_from(["tokens", "examples"])),
        temperature=draw(st.floats(0.5, 5.0)),
        total=draw(st.sampled_from([*totals, Total(examples=draw(st.integers(10, 300)))])),
        default_max_epochs=draw(st.sampled_from([1.0, 2.5, 1000.0])),
        replay={"instruct": draw(st.floats(0.0, 0.6))},
        schedule={draw(st.sampled_from(names)): draw(points)} if scheduled and draw(st.booleans()) else {},
    )
    most = draw(st.none() | st.integers(1, 60))
    return Case(sizes, mix, Bounds(draw(st.floats(0.3, 2.0)), CAPACITY, most, draw(st.integers(0, 9))))


@settings(max_examples=300, deadline=None)
@given(cases())
def test_each_source_gets_its_share_of_what_is_trained_on(case: Case) -> None:
    chosen = case.choose()
    got = case.by_source(chosen)
    bound = CAPACITY if case.mix.unit == "tokens" else 1
    planned = case.planned()
    for index, name in enumerate(case.sizes):
        assert abs(got[index] - chosen.shares[name] * got.sum()) <= bound + 1e-6
        limit = case.mix.default_max_epochs * case.whole(name)
        assert got[index] <= limit + bound
    if not chosen.capped and got.sum():
        assert chosen.shares == pytest.approx(planned)
    free = [name for name in case.sizes if name not in chosen.capped and planned[name]]
    for name in free:  # what is not capped keeps its proportions
        assert chosen.shares[name] * planned[free[0]] == pytest.approx(chosen.shares[free[0]] * planned[name])


@settings(max_examples=300, deadline=None)
@given(cases(scheduled=False))
def test_every_prefix_of_the_packs_is_even(case: Case) -> None:
    chosen = case.choose()
    if not chosen.packs:
        return
    amounts, share = case.amounts(chosen), np.array([chosen.shares[name] for name in case.sizes])
    held = np.array([np.bincount(chosen.source[p], amounts[p], len(case.sizes)) for p in chosen.packs])
    reached = np.cumsum(held, axis=0)
    off = np.abs(reached - share * reached.sum(axis=1, keepdims=True)).max()
    assert off <= EVEN * held.sum(axis=1).max()


@settings(max_examples=200, deadline=None)
@given(cases())
def test_every_row_comes_as_often_as_the_others_or_once_more(case: Case) -> None:
    chosen = case.choose()
    for index, size in enumerate(case.sizes.values()):
        rows = chosen.row[chosen.source == index]
        times = np.bincount(rows, minlength=len(size))
        assert times.min() == len(rows) // len(size) and times.max() == -(-len(rows) // len(size))
        for begin in range(0, len(rows), len(size)):
            assert len(np.unique(rows[begin : begin + len(size)])) == len(rows[begin : begin + len(size)])


@settings(max_examples=200, deadline=None)
@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_declaration_changes_nothing(case: Case, random: np.random.Generator) -> None:
    names = list(case.sizes)
    random.shuffle(names)  # type: ignore[arg-type]
    other = replace(case, sizes={name: case.sizes[name] for name in names})
    assert named(case.choose(), case.sizes) == named(other.choose(), other.sizes)


def named(chosen: Chosen, sizes: Mapping[str, np.ndarray]) -> list[list[tuple[str, int]]]:
    """The rows of each pack."""
    names = list(sizes)
    return [[(names[chosen.source[unit]], int(chosen.row[unit])) for unit in pack] for pack in chosen.packs]


@settings(max_examples=200, deadline=None)
@given(cases())
def test_packs_hold_all_chosen_rows_and_no_more_than_there_may_be(case: Case) -> None:
    chosen = case.choose()
    tokens = case.tokens(chosen)
    assert sorted(unit for pack in chosen.packs for unit in pack) == list(range(len(chosen.row)))
    assert all(0 < tokens[pack].sum() <= CAPACITY for pack in chosen.packs)
    most = case.bounds.max_packs
    whole = replace(case, bounds=replace(case.bounds, max_packs=None)).choose()
    if most is None or len(whole.packs) <= most:
        assert named(chosen, case.sizes) == named(whole, case.sizes)
    else:
        assert most - 1 <= len(chosen.packs) <= most


@pytest.mark.parametrize("unit", ["tokens", "examples"])
def test_a_cut_stage_keeps_its_shares_and_fills_its_packs(unit: str) -> None:
    sizes = {name: np.random.default_rng(n).integers(20, 512, 4000) for n, name in enumerate("abc")}
    mix = Mix(weights={"a": 0.6, "b": 0.39, "c": 0.01}, unit=unit)  # type: ignore[arg-type]
    case = Case(sizes, mix, Bounds(1.0, 512, 300, 0))
    chosen = case.choose()
    got = case.by_source(chosen)
    whole = replace(case, bounds=Bounds(1.0, 512, None, 0)).choose()
    full = case.tokens(whole).sum() / len(whole.packs)
    assert len(chosen.packs) == 300 and case.tokens(chosen).sum() > 0.98 * 300 * full
    assert np.abs(got - np.array([0.6, 0.39, 0.01]) * got.sum()).max() <= (512 if unit == "tokens" else 1)


def test_a_cap_that_binds_only_later_does_not_bind_in_a_cut_stage() -> None:
    sizes = {"a": np.full(100, 16), "b": np.full(10000, 16)}
    mix = Mix(weights={"a": 1.0, "b": 1.0}, max_epochs={"a": 1.0})
    whole = choose(sizes, mix, Bounds(1.0, CAPACITY, None, 0))
    cut = choose(sizes, mix, Bounds(1.0, CAPACITY, 20, 0))
    assert whole.capped == ["a"] and np.bincount(whole.source)[0] == 100
    assert cut.capped == [] and np.bincount(cut.source).tolist() == [40, 40]


def test_a_cut_stage_runs_through_its_whole_schedule() -> None:
    sizes = {"a": np.full(8000, 8), "b": np.full(8000, 8)}
    mix = Mix(schedule={"a": [1.0, 0.0], "b": [0.0, 1.0]})
    chosen = choose(sizes, mix, Bounds(1.0, CAPACITY, 200, 0))
    quarters = [np.bincount(part, minlength=2) for part in np.array_split(chosen.source, 4)]
    assert np.bincount(chosen.source).tolist() == [800, 800]
    assert [round(float(part[0] / part.sum()), 1) for part in quarters] == [0.9, 0.6, 0.4, 0.1]


def test_replay_is_a_share_of_the_whole_stage() -> None:
    sizes = {"own": np.full(3000, 8), "replay:instruct/x": np.full(900, 8), "replay:instruct/y": np.full(2100, 8)}
    for most in (None, 100):
        chosen = choose(sizes, Mix(replay={"instruct": 0.25}), Bounds(1.0, CAPACITY, most, 0))
        got = np.bincount(chosen.source) / len(chosen.source)
        assert got == pytest.approx([0.75, 0.075, 0.175], abs=0.002)
