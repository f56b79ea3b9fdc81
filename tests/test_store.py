"""The store: stages found again, damage noticed, evaluations by what was measured."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from framework.files import write_json
from framework.store import Store


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("TRIPTYCH_HOME", str(tmp_path / "home"))
    return Store()


@pytest.fixture
def stage(tmp_path: Path) -> Callable[[str], Path]:
    def make(content: str) -> Path:
        folder = tmp_path / f"stage-{content}"
        (folder / "model").mkdir(parents=True)
        (folder / "model" / "weights.safetensors").write_text(content)
        (folder / "metrics.jsonl").write_text("{}\n")
        (folder / "evals.json").write_text("{}")
        write_json(folder / "stage.json", {"key": "k", "content": content})
        return folder

    return make


def test_what_is_put_is_fetched(store: Store, stage: Callable[[str], Path], tmp_path: Path) -> None:
    assert not store.has("k")
    store.put("k", stage("one"))
    assert store.has("k") and not store.has("other")
    done = store.fetch("k", tmp_path / "run")
    assert done == {"key": "k", "content": "one"}
    assert (tmp_path / "run" / "model" / "weights.safetensors").read_text() == "one"
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"model", "metrics.jsonl"}


def test_what_a_fetched_run_writes_does_not_reach_the_store(
    store: Store, stage: Callable[[str], Path], tmp_path: Path
) -> None:
    store.put("k", stage("one"))
    store.fetch("k", tmp_path / "first")
    write_json(tmp_path / "first" / "metrics.jsonl", {"changed": True})
    (tmp_path / "first" / "model" / "weights.safetensors").unlink()
    assert store.fetch("k", tmp_path / "second") is not None


@pytest.mark.parametrize("damage", ["change", "remove", "add"])
def test_damage_is_noticed_and_cleared(store: Store, stage: Callable[[str], Path], tmp_path: Path, damage: str) -> None:
    store.put("k", stage("one"))
    (file,) = (tmp_path / "home" / "store" / "stages" / "k").rglob("weights.safetensors")
    file.unlink()
    if damage == "change":
        file.write_text("ane")
    if damage == "add":
        file.write_text("one")
        (file.parent / "more.bin").write_text("x")
    assert store.fetch("k", tmp_path / "run") is None
    assert not store.has("k") and not (tmp_path / "run" / "model").exists()
    store.put("k", stage("two"))
    assert store.fetch("k", tmp_path / "run") is not None


def test_the_first_of_several_writers_wins(store: Store, stage: Callable[[str], Path], tmp_path: Path) -> None:
    folders = [stage(str(number)) for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda folder: store.put("k", folder), folders))
    done = store.fetch("k", tmp_path / "run")
    assert done is not None
    assert (tmp_path / "run" / "model" / "weights.safetensors").read_text() == done["content"]
    assert [path.name for path in (tmp_path / "home" / "store" / "stages").iterdir()] == ["k"]


def test_evaluations_belong_to_a_state_and_to_suites(store: Store) -> None:
    assert store.evals("state", "suites") is None
    store.put_evals("state", "suites", {"format": {"value": 0.5}})
    assert store.evals("state", "suites") == {"format": {"value": 0.5}}
    assert store.evals("state", "others") is None and store.evals("other", "suites") is None
