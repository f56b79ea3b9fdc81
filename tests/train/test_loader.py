"""The global batch of a step is the same for every number of workers; they only share it out differently."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.data.packs import Packs
from framework.train.loader import Loader


def packs_of(steps: list[int]) -> Packs:
    """One segment of eight tokens a pack, so many packs a step."""
    count = sum(steps)
    segments = np.array([[8 * n, 8, n, 0, n % 3, -1] for n in range(count)], dtype=np.int64).reshape(-1, 6)
    return Packs(
        tokens=np.zeros(8 * count, dtype=np.int32),
        supervised=np.arange(8 * count) % 8 > 3,
        segments=segments,
        packs=np.arange(count + 1),
        steps=np.concatenate([[0], np.cumsum(steps)]),
        sources=("a", "b", "c"),
        capacity=8,
        units=count,
        pairs=0,
        directory=Path(),
    )


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(1, 7), st.integers(8, 40))
def test_every_pack_of_a_step_is_trained_on_once(steps: list[int], world: int, micro_tokens: int) -> None:
    packs = packs_of(steps)
    alone = Loader(packs, micro_tokens, 0, 1)
    loaders = [Loader(packs, micro_tokens, rank, world) for rank in range(world)]
    for step in range(len(steps)):
        shares = [loader.shares(step) for loader in loaders]
        assert len({len(share) for share in shares}) == 1
        trained = [pack for share in shares for group, weight in share if weight for pack in group]
        assert sorted(trained) == list(packs.step_packs(step))
        for loader in loaders:
            assert loader.units(step) == alone.units(step)
            assert loader.targets(step).tolist() == alone.targets(step).tolist()
            assert loader.targets(step).sum() == 4 * steps[step]


@pytest.mark.parametrize("world", [1, 2, 3])
def test_the_last_step_may_be_smaller(world: int) -> None:
    loader = Loader(packs_of([4, 1]), 16, world - 1, world)
    assert loader.steps == 2 and loader.tokens(1) == 8
