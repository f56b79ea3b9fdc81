"""What a checkpoint holds: taken from one engine and given to another, training goes on to the last bit."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from framework.schema import Engine, Stage
from framework.train.checkpoint import Checkpoints, DamagedCheckpoint, Snapshot
from framework.train.engine import DeepSpeedEngine

STAGE = Stage(lr=0.05, weight_decay=0.01)


class Small(nn.Module):
    """Matrices of odd sizes, a vector, and a frozen weight."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen = nn.Linear(7, 5)
        self.frozen.requires_grad_(False)
        self.inner = nn.Linear(5, 3)
        self.norm = nn.LayerNorm(3)

    def forward(self, rows: Tensor) -> Tensor:
        return self.norm(torch.tanh(self.inner(self.frozen(rows)))).float().square().mean(0)[0]


def engine(model: nn.Module, zero: int, dtype: str) -> DeepSpeedEngine:
    made = copy.deepcopy(model)
    if dtype == "bfloat16":
        made = made.bfloat16()
    return DeepSpeedEngine(made, Engine(zero=zero), STAGE, dtype)  # pyright: ignore[reportArgumentType]


def steps(of: DeepSpeedEngine, first: int, last: int, dtype: str) -> list[float]:
    losses: list[float] = []
    for number in range(first, last):
        rows = torch.randn(4, 7, generator=torch.Generator().manual_seed(number))
        loss = of.forward(rows.to(torch.bfloat16 if dtype == "bfloat16" else torch.float32))
        of.backward(loss, last=True)
        of.step(0.05)
        losses.append(loss.item())
    return losses


def held(of: DeepSpeedEngine) -> dict[str, Tensor]:
    return dict(of.state().gather())


@pytest.fixture
def model(device: torch.device) -> Small:
    torch.manual_seed(5)
    return Small()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(("before", "after"), [(0, 0), (1, 1), (2, 2), (3, 3), (0, 3), (3, 1), (2, 0)])
def test_another_engine_goes_on(model: Small, tmp_path: Path, before: int, after: int, dtype: str) -> None:
    first = engine(model, before, dtype)
    steps(first, 0, 3, dtype)
    taken = held(first)
    assert {name.split(":")[0] for name in taken} == {"weight", "exp_avg", "exp_avg_sq"}
    assert len(taken) == 12 and not any("frozen" in name for name in taken)
    checkpoints = Checkpoints(tmp_path)
    values = {"updates": first.state().updates(), "anchors": {}}
    assert checkpoints.save(3, Snapshot(first.state().gather(), values)) is None
    second = engine(model, after, dtype)
    stored = checkpoints.open(3)
    second.state().spread(stored.tensor, stored.values["updates"])
    given = held(second)
    assert given.keys() == taken.keys()
    for name, tensor in taken.items():
        assert torch.equal(given[name], tensor), name
    assert second.state().updates() == first.state().updates()
    expected, found = steps(first, 3, 6, dtype), steps(second, 3, 6, dtype)
    if before == after:
        assert found == expected
        ends = held(first), held(second)
        for name, tensor in ends[0].items():
            assert torch.equal(ends[1][name], tensor), name
    else:  # the stages round sums of gradients at different places
        assert found == pytest.approx(expected, rel=2e-2 if dtype == "bfloat16" else 1e-6)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("zero", [0, 1, 2, 3])
def test_a_gradient_that_is_no_number_changes_nothing(model: Small, zero: int, dtype: str) -> None:
    """And the steps after it are those of an engine that never saw it."""
    one, other = engine(model, zero, dtype), engine(model, zero, dtype)
    for of in (one, other):
        steps(of, 0, 2, dtype)
    before = held(one)
    rows = torch.randn(4, 7).to(torch.bfloat16 if dtype == "bfloat16" else torch.float32)
    one.backward(one.forward(rows), last=False)
    one.backward(one.forward(rows) * math.nan, last=True)
    assert math.isnan(one.step(0.05))
    after = held(one)
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert steps(one, 2, 4, dtype) == steps(other, 2, 4, dtype)
    ends = held(one), held(other)
    assert all(torch.equal(ends[1][name], tensor) for name, tensor in ends[0].items())


def test_every_flipped_bit_is_found(model: Small, tmp_path: Path) -> None:
    first = engine(model, 0, "float32")
    steps(first, 0, 1, "float32")
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.save(1, Snapshot(first.state().gather(), {"updates": 1.0})) is None
    files = sorted(path for path in (tmp_path / "step-00000001").iterdir())
    places = torch.Generator().manual_seed(0)
    for turn in range(1000):
        file = files[turn % len(files)]
        good = file.read_bytes()
        bad = bytearray(good)
        place = int(torch.randint(len(bad), (1,), generator=places))
        bad[place] ^= 1 << int(torch.randint(8, (1,), generator=places))
        file.write_bytes(bytes(bad))
        with pytest.raises(DamagedCheckpoint):
            checkpoints.verify(1)
        file.write_bytes(good)
    checkpoints.verify(1)
    newest, wrong = checkpoints.newest()
    assert newest == 1 and not wrong


def test_a_checkpoint_that_cannot_be_written_leaves_the_others(
    model: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = engine(model, 1, "float32")
    steps(first, 0, 1, "float32")
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.save(1, Snapshot(first.state().gather(), {"updates": 1.0})) is None

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("framework.train.checkpoint.sync", full)
    said = checkpoints.save(2, Snapshot(first.state().gather(), {"updates": 2.0}))
    assert said is not None and "No space left" in said
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"] and checkpoints.newest() == (1, [])
