"""Helper processes: the same results in order, errors as messages, bounded memory, nobody left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from framework.data import parallel
from framework.data.arrays import Files, Strings
from framework.data.load import batches
from framework.data.parallel import FEW, HelperDied, in_order, kept
from framework.data.prepare import prepare
from framework.data.rows import Text
from framework.errors import DataError, ModelError, Problem
from framework.paths import PROJECT, home
from framework.profile.build import profile
from tests.data.test_prepare import TEMPLATE, request, source, talk


def times(factor: int) -> Callable[[int], int]:
    """What a helper does here."""
    return partial(_times, factor)


def _times(factor: int, batch: int) -> int:
    time.sleep(0.02 * (batch % 3))  # later batches are done before earlier ones
    return factor * batch


def failing(error: Exception) -> Callable[[int], int]:
    """A helper that fails in the middle."""
    return partial(_fail, error)


def _fail(error: Exception, batch: int) -> int:
    if batch == 9:
        raise error
    return batch


def dying(at: int) -> Callable[[int], int]:
    """A helper that is killed in the middle."""
    return partial(_die, at)


def _die(at: int, batch: int) -> int:
    if batch == at:
        os.kill(os.getpid(), signal.SIGKILL)
    return batch


def telling() -> Callable[[int], int]:
    """A helper that says which process it is."""
    return partial(_tell)


def _tell(batch: int) -> int:
    return os.getpid()


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_results_come_in_order(count: int) -> None:
    assert list(in_order(partial(times, 3), range(20), count)) == [3 * batch for batch in range(20)]


def test_little_work_starts_no_helper() -> None:
    assert set(in_order(telling, range(FEW), 2)) == {os.getpid()}
    pids = set(in_order(telling, range(FEW + 10), 2))
    assert os.getpid() not in pids and len(pids) == 2
    assert not any(alive(pid) for pid in pids)


def test_no_more_is_read_than_is_worked_on() -> None:
    taken = 0

    def numbered() -> Iterator[int]:
        nonlocal taken
        for batch in range(200):
            taken += 1
            yield batch

    for given, _ in enumerate(in_order(partial(times, 1), numbered(), 2), start=1):
        assert taken - given <= FEW + 1 + 2 * 2  # whatever the length of the whole


@pytest.mark.parametrize(
    "error", [DataError([Problem("data.x", "is bad", "mend it")]), ModelError("no tokenizer"), ValueError("a defect")]
)
def test_errors_cross_as_they_are(error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        list(in_order(partial(failing, error), range(30), 2))
    assert str(caught.value) == str(error)
    if isinstance(error, DataError):
        assert isinstance(caught.value, DataError) and caught.value.problems == error.problems
    if isinstance(error, ValueError):
        assert "_fail" in "".join(caught.value.__notes__)  # a defect keeps its traceback


def test_a_killed_helper_is_an_error_of_ours() -> None:
    with pytest.raises(HelperDied, match="ended by SIGKILL; most often memory ran out"):
        list(in_order(partial(dying, 9), range(30), 2))


def test_what_is_left_unfinished_leaves_nobody_behind() -> None:
    work = in_order(telling, range(100), 2)
    pids = {next(work) for _ in range(8)}
    assert all(alive(pid) for pid in pids)
    work.close()
    assert not any(alive(pid) for pid in pids)


def test_helpers_serve_again_within_a_block_and_end_with_it() -> None:
    with kept():
        first = set(in_order(telling, range(40), 2))
        assert list(in_order(partial(times, 3), range(20), 2)) == [3 * batch for batch in range(20)]
        assert set(in_order(telling, range(40), 2)) == first and all(map(alive, first))
        with pytest.raises(DataError):
            list(in_order(partial(failing, DataError([Problem("x", "y")])), range(40), 2))
        assert set(in_order(telling, range(40), 2)).isdisjoint(first)
    assert not any(map(alive, first))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_helpers_end_with_their_driver(how: signal.Signals) -> None:
    code = """
import itertools
import signal
from framework.data.parallel import in_order
from tests.data.test_parallel import telling
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in what a shell starts in the background
for pid in in_order(telling, itertools.count(), 2):
    print(pid, flush=True)
"""
    driver = subprocess.Popen([sys.executable, "-c", code], cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert driver.stdout is not None
    pids = {int(driver.stdout.readline()) for _ in range(50)}
    os.kill(driver.pid, how)
    driver.communicate(timeout=30)
    limit = time.monotonic() + 10
    while any(alive(pid) for pid in pids) and time.monotonic() < limit:
        time.sleep(0.05)
    assert not any(alive(pid) for pid in pids)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_any_number_of_processes_gives_the_same_bytes(
    tmp_path: Path, make_model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model(TEMPLATE, ["<s>", "<e>"], "<e>")
    rows: list[dict[str, Any]] = [{**row, "task": f"t{n // 700}"} for n, row in enumerate(talk(4500))]
    rows[3000] = {"instruction": "cut " * 400, "response": "all of it is prompt", "id": "long"}
    rows[4000] = {"instruction": "q", "response": ""}
    made = {"c": source(tmp_path / "c.jsonl", rows, max_bad_rows=1)}
    seen: list[dict[str, bytes]] = []
    for count in (1, 2, 3):
        monkeypatch.setenv("TRIPTYCH_HOME", str(tmp_path / f"home{count}"))
        monkeypatch.setattr(parallel, "processes", lambda count=count: count)
        prepared = prepare(request(model, made))
        assert prepared.sources["c"].rows == 4499 and prepared.sources["c"].no_target_rows == 1
        assert prepared.sources["c"].unreadable["empty response"].first == "c.jsonl:4001"
        assert profile("c", made["c"], "data.instruct.sources.c").rows == 4499
        seen.append({name: found for name, found in files(home() / "cache").items() if "digests" not in name})
    assert seen[0] == seen[1] == seen[2]
    assert any(name.startswith("profiles") for name in seen[0]) and any(name.startswith("tokens") for name in seen[0])


def test_batches_are_bounded_in_rows_and_text() -> None:
    short = [Text(id=str(n), text="x") for n in range(1500)]
    long = [Text(id=str(n), text="x" * 400_000) for n in range(10)]
    assert [len(batch) for batch in batches(short)] == [512, 512, 476]
    assert max(len(batch) for batch in batches(long)) == 3
    assert [row.id for batch in batches([*long, *short]) for row in batch] == [row.id for row in [*long, *short]]


def test_growing_files_read_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    parts = [rng.integers(0, 9, (n, 3)) for n in (0, 5, 1, 0, 70)]
    texts = [["", "a\nb"], [], ["ünï", "c" * 1000]]
    with Files(tmp_path) as open_files:
        array, flat, strings = (
            open_files.array("a", np.int64, 3),
            open_files.array("b", np.bool_),
            open_files.strings("s"),
        )
        for part in parts:
            array.append(part)
            flat.append(part[:, 0] > 4)
        for some in texts:
            strings.append(some)
        with pytest.raises(ValueError, match="do not fit"):
            array.append(np.zeros((2, 4)))
    assert np.array_equal(np.load(tmp_path / "a.npy", mmap_mode="r"), np.concatenate(parts))
    assert np.array_equal(np.load(tmp_path / "b.npy"), np.concatenate(parts)[:, 0] > 4)
    read = Strings(tmp_path, "s")
    assert [read[at] for at in range(len(read))] == [text for some in texts for text in some]
    with Files(tmp_path) as open_files:
        open_files.array("empty", np.int64, 3)
        open_files.strings("none")
    assert np.load(tmp_path / "empty.npy").shape == (0, 3) and len(Strings(tmp_path, "none")) == 0
