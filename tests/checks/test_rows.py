"""Checks of rows: what each finds in hand-made data, what it lets pass, and what it says of real data."""

from __future__ import annotations

import gzip
import json
import os
import random
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.checks.base import Check, Finding, Subject
from framework.checks.consistency import Consistency
from framework.checks.diversity import Diversity
from framework.checks.duplicate import Duplicate
from framework.checks.leak import Leak
from framework.checks.pairs import Pairs
from framework.checks.refusal import Refusal
from framework.compose import compose
from framework.paths import PROJECT
from framework.profile.access import Profiles
from framework.profile.minhash import first_alike, signature
from framework.profile.words import hashed, runs, words

REAL = Path(os.environ.get("TRIPTYCH_TEST_DATA") or PROJECT.parent / "shared" / "data")
real = pytest.mark.skipif(not REAL.is_dir(), reason=f"the real data sets are not at {REAL}")
WORDS = [
    "river",
    "stone",
    "lamp",
    "winter",
    "garden",
    "cloud",
    "ladder",
    "copper",
    "music",
    "bread",
    "harbour",
    "window",
    "paper",
    "silver",
    "forest",
    "kettle",
]


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Profiles and findings of a test are its own."""
    monkeypatch.setenv("TRIPTYCH_HOME", str(tmp_path / "home"))


def findings(check: Check, stage: str, *sources: Path, more: Iterable[str] = ()) -> list[Finding]:
    """What a check says of files that are a stage's sources."""
    given = [f"data.{stage}.sources.s{place}.path={path}" for place, path in enumerate(sources)]
    config = compose(["model=tiny", "data=files", f"stage={stage}", *given, *(more or ["eval=none"])]).config
    stages = cast("Any", {stage: SimpleNamespace(sources={})})
    profiles = Profiles({stage: config.data.of(cast("Any", stage)).sources}, lambda *_: None)
    return list(check.check(Subject(config, [cast("Any", stage)], stages, True, profiles)))


def written(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def said(rng: random.Random, count: int = 30) -> str:
    return " ".join(rng.choice(WORDS) + str(rng.randrange(50)) for _ in range(count))


def asked(place: int, rng: random.Random, **more: str) -> dict[str, str]:
    return {"instruction": f"Say more on {said(rng, 6)} {place}.", "response": said(rng), **more}


def test_too_few_types_of_task(tmp_path: Path) -> None:
    rng = random.Random(1)
    few = written(tmp_path / "few.jsonl", [asked(i, rng, task="ab"[i % 10 == 0]) for i in range(100)])
    found = findings(Diversity(), "instruct", few)
    assert [finding.level for finding in found] == ["warning", "warning"]
    assert found[0].measured == pytest.approx(np.exp(-(0.9 * np.log(0.9) + 0.1 * np.log(0.1))), abs=0.01)
    assert found[1].measured == 0.9
    assert len(found[0].examples) == 3
    many = written(tmp_path / "many.jsonl", [asked(i, rng, task=f"t{i % 9}") for i in range(100)])
    assert not findings(Diversity(), "instruct", many)
    assert findings(Diversity(min_types=9.5), "instruct", many)[0].measured == pytest.approx(9.0, abs=0.02)


def test_refusals_too_few_and_too_many(tmp_path: Path) -> None:
    rng = random.Random(2)
    plain = [asked(i, rng) for i in range(95)]
    refused = [{**asked(i, rng), "response": "I'm sorry, but I can't help with that."} for i in range(30)]
    none = findings(Refusal(), "instruct", written(tmp_path / "a.jsonl", plain))
    assert [finding.measured for finding in none] == [0.0]
    assert not findings(Refusal(), "instruct", written(tmp_path / "b.jsonl", plain + refused[:5]))
    many = findings(Refusal(), "instruct", written(tmp_path / "c.jsonl", plain + refused))
    assert [finding.measured for finding in many] == [0.24]
    assert all("can't help" in example for example in many[0].examples)


def test_duplicates_within_and_across_sources(tmp_path: Path) -> None:
    rng = random.Random(3)
    rows = [{"text": said(rng, 200)} for _ in range(100)]
    near = [{"text": row["text"].replace(row["text"].split()[30], "other")} for row in rows[:4]]
    one = written(tmp_path / "one.jsonl", rows)
    assert not findings(Duplicate(), "domain", one)
    two = written(tmp_path / "two.jsonl", [*rows[10:13], *near])
    (finding,) = findings(Duplicate(), "domain", one, two)
    assert "3 rows repeat an earlier one exactly, 4 nearly" in finding.message
    assert "4 of the near ones repeat a row of another source" in finding.message


def test_repeated_prompts_and_conflicting_replies(tmp_path: Path) -> None:
    rng = random.Random(4)
    rows = [asked(i, rng) for i in range(97)]
    twice = [{**rows[i], "response": said(rng)} for i in range(3)]
    path = written(tmp_path / "a.jsonl", rows + twice)
    (finding,) = findings(Duplicate(), "instruct", path)
    assert "3 rows repeat the prompt" in finding.message
    (conflict,) = findings(Consistency(), "instruct", path)
    assert conflict.measured == 0.06
    assert not findings(Consistency(), "instruct", written(tmp_path / "b.jsonl", rows + rows[:3]))


def test_pairs_that_teach_nothing_or_length(tmp_path: Path) -> None:
    rng = random.Random(5)

    def pair(chosen: int, rejected: int, place: int) -> dict[str, str]:
        return {"prompt": f"What of {place}?", "chosen": said(rng, chosen), "rejected": said(rng, rejected)}

    even = [pair(20 + i % 2, 21 - i % 2, i) for i in range(100)]
    assert not findings(Pairs(), "align", written(tmp_path / "even.jsonl", even))
    long = [pair(30, 10, i) for i in range(100)]
    assert [f.measured for f in findings(Pairs(), "align", written(tmp_path / "long.jsonl", long))] == [1.0]
    same = written(tmp_path / "same.jsonl", [*even, {"prompt": "And?", "chosen": "Yes.", "rejected": "Yes."}])
    assert [(f.level, f.measured) for f in findings(Pairs(), "align", same)] == [("error", 1.0)]
    few = [{**row, "prompt": f"What of {i % 5}?"} for i, row in enumerate(even)]
    assert [f.measured for f in findings(Pairs(), "align", written(tmp_path / "few.jsonl", few))] == [0.05]


def test_evaluation_items_in_the_training_rows(tmp_path: Path) -> None:
    rng = random.Random(6)
    items = [{"id": str(i), "prompt": said(rng, 12), "expect": "refuse"} for i in range(20)]
    suite = written(tmp_path / "suite.jsonl", items)
    more = ["eval=none", "++eval.suites.mine={kind: refusal, measures: instruct, path: " + str(suite) + "}"]
    rows = [asked(i, rng) for i in range(30)]
    clean = written(tmp_path / "clean.jsonl", rows)
    assert not findings(Leak(), "instruct", clean, more=more)
    leaked = [{"instruction": f"Now: {items[i]['prompt'].upper()}!", "response": said(rng)} for i in (3, 7)]
    (finding,) = findings(Leak(), "instruct", written(tmp_path / "bad.jsonl", rows + leaked), more=more)
    assert (finding.level, finding.measured) == ("error", 0.1)
    # Half of an item is no leak, and neither is one that two neighbouring rows hold between them.
    first, second = items[5]["prompt"].split()[:6], items[5]["prompt"].split()[6:]
    halves = [{"text": " ".join(first)}, {"text": " ".join(second)}]
    assert not findings(Leak(), "domain", written(tmp_path / "half.jsonl", halves), more=more)


def test_the_bundled_sample_is_clean() -> None:
    config = compose(["model=tiny"]).config
    order = list(config.stage.order)
    profiles = Profiles({kind: config.data.of(kind).sources for kind in order}, lambda *_: None)
    subject = Subject(config, order, cast("Any", dict.fromkeys(order, SimpleNamespace(sources={}))), True, profiles)
    found = [finding for check in config.checks.all() if check.reads_rows for finding in check.check(subject)]
    assert found == []


def test_thresholds_are_settings_and_strict() -> None:
    assert compose(["checks.diversity.min_types=12"]).config.checks.diversity.min_types == 12.0  # type: ignore[attr-defined]
    with pytest.raises(Exception, match="did you mean min_types"):
        compose(["checks.diversity.min_typs=12"])


@given(st.lists(st.text(max_size=12), max_size=30), st.integers(1, 6))
def test_runs_tell_runs_apart(texts: list[str], n: int) -> None:
    numbers = hashed(words(" ".join(texts)))
    found = runs(numbers, n)
    assert len(found) == max(0, len(numbers) - n + 1)
    as_tuples = [tuple(numbers[i : i + n].tolist()) for i in range(len(found))]
    assert len(set(as_tuples)) == len(set(found.tolist()))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 40))
def test_signatures_estimate_similarity(seed: int, changed: int) -> None:
    rng = np.random.default_rng(seed)
    one = rng.integers(0, 2**32, 300, dtype=np.uint32)
    two = one.copy()
    two[rng.choice(300, changed, replace=False)] = rng.integers(0, 2**32, changed, dtype=np.uint32)
    first, second = set(runs(one, 5).tolist()), set(runs(two, 5).tolist())
    exact = len(first & second) / len(first | second)
    estimate = float((signature(one) == signature(two)).mean())
    assert abs(estimate - exact) < 5 * (exact * (1 - exact) / 64) ** 0.5 + 0.02


def test_near_duplicates_are_found_among_many() -> None:
    rng = np.random.default_rng(7)
    rows = [rng.integers(0, 2**32, 100, dtype=np.uint32) for _ in range(2000)]
    for place in range(200):
        copy = rows[place].copy()
        copy[50] += np.uint32(1)
        rows.append(copy)
    signatures = np.stack([signature(row) for row in rows])
    first = first_alike([signatures[:700], signatures[700:]], 0.75)
    found = [place for place in range(200) if first[2000 + place] == place]
    assert len(found) >= 190
    assert (first[200:2000] == np.arange(200, 2000)).all()


@real
def test_dolly_as_instruct() -> None:
    path = REAL / "dolly15k" / "dolly15k.jsonl.gz"
    assert [finding.measured for finding in findings(Refusal(), "instruct", path)] == [pytest.approx(0.002, abs=0.002)]
    assert not findings(Diversity(), "instruct", path)
    repeated = [f.message for f in findings(Duplicate(), "instruct", path) if "repeat the prompt" in f.message]
    assert [message.split()[0] for message in repeated] == ["188"]


@real
def test_what_is_measured_with_must_not_be_trained_on(tmp_path: Path) -> None:
    with gzip.open(REAL / "xstest" / "xstest_pairs.jsonl.gz", "rt") as stream:
        pairs = [row for row in map(json.loads, stream) if row["rejected"]]
    with (REAL / "xstest" / "xstest_prompts.jsonl").open() as stream:
        prompts = [json.loads(line) for line in stream]
    items = [
        {"id": str(row["id"]), "prompt": row["prompt"], "expect": "refuse" if row["label"] == "unsafe" else "comply"}
        for row in prompts
    ]
    rows = [{"prompt": row["prompt"], "chosen": row["chosen"], "rejected": row["rejected"]} for row in pairs]
    suite = written(tmp_path / "suite.jsonl", items)
    more = ["eval=none", "++eval.suites.xstest={kind: refusal, measures: instruct, path: " + str(suite) + "}"]
    (finding,) = findings(Leak(), "align", written(tmp_path / "pairs.jsonl", rows), more=more)
    assert finding.level == "error"
    assert finding.measured is not None and finding.measured > 0.3
