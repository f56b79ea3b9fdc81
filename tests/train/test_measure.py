"""Suites on several threads: what they find, and how they stop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from framework.compose import compose
from framework.data.chat import ChatTokenizer
from framework.observers.heartbeat import Heartbeat
from framework.observers.saver import StopFlag
from framework.train.lm import load
from framework.train.loop import Stopped
from framework.train.measure import measure


def results(folder: Path, device: torch.device, at: Path, threads: int, stopped: bool = False) -> dict[str, Any]:
    stop = StopFlag.__new__(StopFlag)  # no handlers: the signals of this process are pytest's
    stop.raised = stopped
    suites = compose(["model=tiny", f"run_dir={at}"]).config.suites_of("instruct")
    torch.set_num_threads(threads)
    try:
        return measure(load(folder, "float32"), suites, ChatTokenizer.load(folder), device, Heartbeat(at, 0), stop)
    finally:
        assert torch.get_num_threads() == threads
        torch.set_num_threads(1)


def test_threads_find_what_one_thread_finds(small_model: Path, device: torch.device, tmp_path: Path) -> None:
    one, three = (results(small_model, device, tmp_path, threads) for threads in (1, 3))
    assert list(one) == list(three) and len(one) == 10
    for name, found in one.items():
        assert three[name]["value"] == pytest.approx(found["value"], rel=1e-5), name
        assert [example["reply"] for example in three[name]["examples"]] == [
            example["reply"] for example in found["examples"]
        ], name


def test_a_request_to_stop_ends_all_threads(small_model: Path, device: torch.device, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        results(small_model, device, tmp_path, 2, stopped=True)
