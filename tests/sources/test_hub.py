"""The hub source: a pinned revision, streaming when rows are limited, and a message when it is out of reach."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from framework.data.load import load
from framework.errors import DataError
from framework.sources.hub import Hub

PINNED = "e6281661ce1c48d982bc483cf8a173c1bbeb5d31"


def library(monkeypatch: pytest.MonkeyPatch, answer: Any) -> list[dict[str, Any]]:
    """Stand in for ``datasets``; the calls it got."""
    calls: list[dict[str, Any]] = []

    def load_dataset(*names: Any, **settings: Any) -> Any:
        calls.append({"names": names, **settings})
        if isinstance(answer, Exception):
            raise answer
        return answer

    module: Any = ModuleType("datasets")
    module.load_dataset = load_dataset
    module.DownloadConfig = SimpleNamespace
    module.config = SimpleNamespace(HF_HUB_OFFLINE=True, HF_ENDPOINT="https://localhost:1")
    monkeypatch.setitem(sys.modules, "datasets", module)
    return calls


def test_rows_stream_when_they_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = library(monkeypatch, [{"text": f"row {n}"} for n in range(9)])
    loaded = load("x", Hub(id="a/b", revision=PINNED, subset="c", max_rows=3))
    assert [row.id for row in loaded.rows] == ["a/b:1", "a/b:2", "a/b:3"]
    assert calls == [{"names": ("a/b", "c"), "split": "train", "revision": PINNED, "streaming": True}]
    load("x", Hub(id="a/b", revision=PINNED))
    assert calls[1]["streaming"] is False
    assert "trust_remote_code" not in calls[1]


@pytest.mark.parametrize("revision", ["main", "master", "HEAD", ""])
def test_a_branch_is_no_pin(revision: str) -> None:
    with pytest.raises(ValidationError):
        Hub(id="a/b", revision=revision)


def test_out_of_reach_is_a_problem_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    library(monkeypatch, ConnectionError("no route\nto host"))
    with pytest.raises(DataError) as caught:
        load("x", Hub(id="a/b", revision=PINNED), "data.instruct.sources.x")
    problem = caught.value.problems[0]
    assert problem.path == "data.instruct.sources.x.id"
    assert "no route" in problem.message and "jsonl" in problem.fix


def test_a_missing_package_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match="pip install datasets"):
        load("x", Hub(id="a/b", revision=PINNED))
