"""Checks of what data is for: edges, misuse, coverage, relevance and memory, on hand-made data."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.checks.base import Check, Finding, Subject
from framework.checks.consistency import Consistency
from framework.checks.coverage import Coverage, _chance, divergence  # pyright: ignore[reportPrivateUsage]
from framework.checks.edge import Edge
from framework.checks.fit import Fit
from framework.checks.misuse import Misuse
from framework.checks.pairs import Pairs
from framework.checks.refusal import Refusal
from framework.checks.relevance import Relevance
from framework.compose import compose
from framework.profile.access import Profiles
from framework.profile.vocabulary import among

GENERAL = [
    "kitchen",
    "weather",
    "holiday",
    "football",
    "sandwich",
    "bicycle",
    "painting",
    "guitar",
    "neighbour",
    "breakfast",
    "picnic",
    "umbrella",
]
LAW = [
    "plaintiff",
    "defendant",
    "tort",
    "statute",
    "appellate",
    "lessor",
    "lessee",
    "easement",
    "chattel",
    "bailment",
    "estoppel",
    "fiduciary",
]
TOPICS = {
    "leases": ["lessor", "lessee", "tenancy", "eviction", "rent", "premises"],
    "torts": ["tort", "negligence", "nuisance", "trespass", "battery", "damages"],
    "wills": ["testator", "probate", "intestate", "legacy", "executor", "codicil"],
}


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Profiles of a test are its own."""
    monkeypatch.setenv("TRIPTYCH_HOME", str(tmp_path / "home"))


def findings(check: Check, stage: str, *sources: Path, more: Iterable[str] = ()) -> list[Finding]:
    """What a check says of files that are a stage's sources."""
    given = [f"data.{stage}.sources.s{place}.path={path}" for place, path in enumerate(sources)]
    config = compose(["model=tiny", "data=files", f"stage={stage}", "eval=none", *given, *more]).config
    stages = cast("Any", {stage: SimpleNamespace(sources={})})
    profiles = Profiles({stage: config.data.of(cast("Any", stage)).sources}, lambda *_: None)
    return list(check.check(Subject(config, [cast("Any", stage)], stages, True, profiles)))


def warned(found: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in found if finding.level != "info"]


def written(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def said(rng: random.Random, words: Sequence[str], count: int = 20) -> str:
    """Content words among the commonest ones, as sentences have them."""
    return " ".join(f"the {rng.choice(words)} of" for _ in range(count))


def asked(rng: random.Random, **more: str) -> dict[str, str]:
    row = {"instruction": f"Explain {said(rng, GENERAL, 4)} it.", "response": f"It is {said(rng, GENERAL)} that."}
    return {**row, **more}


def sample(path: Path, rng: random.Random, words: Sequence[str] = LAW, rows: int = 120) -> str:
    """A deployment sample of a hundred and more questions."""
    written(path, [{"question": f"What about {said(rng, words, 6)} this?"} for _ in range(rows)])
    return f"data.domain.contract.deployment={path}"


def test_requests_that_lack_something(tmp_path: Path) -> None:
    rng = random.Random(1)
    plain = [asked(rng) for _ in range(200)]
    (found,) = warned(findings(Edge(), "instruct", written(tmp_path / "a.jsonl", plain)))
    assert (found.code, found.measured) == ("EDGE", 0.0)
    back = {"instruction": "Translate this.", "response": "Please paste the text and tell me the language."}
    known = {"instruction": "When was she born?", "response": "The text does not say when she was born."}
    for edge in (back, known, asked(rng, slice="ambiguous")):
        rows = [*plain, *[edge] * 5]
        assert not warned(findings(Edge(), "instruct", written(tmp_path / "b.jsonl", rows)))


def test_long_prompts_are_missed_where_they_may_come(tmp_path: Path) -> None:
    rng = random.Random(8)
    rows = written(tmp_path / "a.jsonl", [asked(rng, slice="ambiguous") for _ in range(60)])

    def told(*more: str) -> list[str]:
        return [f.fix for f in findings(Edge(), "instruct", rows, more=["eval=none", *more]) if f.level == "info"]

    (unknown,) = told()
    assert "of 128 words and more" in unknown

    def suite(words: int, measures: str) -> str:
        path = written(tmp_path / "suite.jsonl", [{"id": "1", "prompt": "word " * words, "expect": "comply"}])
        return f"++eval.suites.mine={{kind: refusal, measures: {measures}, path: {path}}}"

    assert not told(suite(10, "instruct"))
    assert told(suite(10, "align")) == [unknown]
    assert told(suite(200, "instruct")) == [unknown]
    (fix,) = told(suite(40, "instruct"))
    assert "of 40 words and more" in fix


def test_slices_with_hardly_a_row(tmp_path: Path) -> None:
    rng = random.Random(2)
    rows = [asked(rng, slice="ambiguous") for _ in range(60)] + [asked(rng, slice="dates") for _ in range(4)]
    (found,) = warned(findings(Edge(), "instruct", written(tmp_path / "a.jsonl", rows)))
    assert found.measured == 4 and "dates (4)" in found.message
    assert not warned(findings(Edge(min_slice=4), "instruct", written(tmp_path / "a.jsonl", rows)))


def test_domain_without_exceptions_or_rare_topics(tmp_path: Path) -> None:
    rng = random.Random(3)
    rows = [{"text": said(rng, LAW), "topic": "leases"} for _ in range(100)]
    (found,) = warned(findings(Edge(), "domain", written(tmp_path / "a.jsonl", rows)))
    assert found.measured == 0.0 and "exception" in found.message
    rows += [{"text": f"{said(rng, LAW)} unless it is so", "topic": "wills"} for _ in range(4)]
    path = written(tmp_path / "b.jsonl", rows)
    assert not warned(findings(Edge(), "domain", path))
    topics = [{"topic": "leases"}, {"topic": "wills", "head": False}, {"topic": "torts", "head": False}]
    taxonomy = tmp_path / "taxonomy.json"
    taxonomy.write_text(json.dumps({"topics": topics}))
    (found,) = warned(findings(Edge(), "domain", path, more=[f"data.domain.contract.taxonomy={taxonomy}"]))
    assert found.measured == 0 and "wills (4)" in found.message and "torts (0)" in found.message


@pytest.mark.parametrize(
    ("prompt", "response"),
    [
        ("Lease of the ground floor", "1. Parties. 2. Term. 3. Rent."),
        ("The tenant must keep the rooms dry and", "pay for what is broken, as the owner explains to visitors."),
        ("Explain this.", "The lessee shall hereby indemnify the lessor, and shall pay all costs thereof."),
    ],
)
def test_documents_that_pose_as_instructions(prompt: str, response: str, tmp_path: Path) -> None:
    rng = random.Random(4)
    plain = [asked(rng) for _ in range(60)]
    posing = [{"instruction": prompt, "response": f"{response}"} for _ in range(40)]
    (found,) = findings(Misuse(), "instruct", written(tmp_path / "a.jsonl", plain + posing))
    assert (found.code, found.level, found.measured) == ("MISUSE", "warning", 0.4)
    assert all(prompt in example for example in found.examples)
    assert not findings(Misuse(), "instruct", written(tmp_path / "b.jsonl", plain + posing[:20]))


def test_other_languages_are_not_judged_by_english_rules(tmp_path: Path) -> None:
    german = {
        "instruction": "Erkläre bitte ausführlich, weshalb Wasser beim Gefrieren größer wird und Eis darum schwimmt",
        "response": "Wassermoleküle bilden beim Gefrieren ein Gitter, das mehr Platz braucht als die flüssige Form.",
    }
    assert not findings(Misuse(), "instruct", written(tmp_path / "a.jsonl", [german] * 100))


def test_general_instructions_that_pose_as_domain_data(tmp_path: Path) -> None:
    rng = random.Random(5)
    declared = [sample(tmp_path / "asked.jsonl", rng)]
    general = [asked(rng) for _ in range(60)]
    legal = [{"text": said(rng, LAW)} for _ in range(40)]
    path = written(tmp_path / "general.jsonl", general)
    texts = written(tmp_path / "legal.jsonl", legal)
    (misuse,) = findings(Misuse(), "domain", path, texts, more=declared)
    assert misuse.measured == 0.6
    (relevance,) = findings(Relevance(), "domain", path, texts, more=declared)
    assert relevance.measured == 0.6 and "general" not in relevance.fix.split(";")[0]
    few = written(tmp_path / "few.jsonl", general[:30])
    for check in (Misuse(), Relevance()):
        assert not findings(check, "domain", few, texts, more=declared)


def test_words_of_the_sample_that_the_rows_lack(tmp_path: Path) -> None:
    rng = random.Random(6)
    declared = [sample(tmp_path / "asked.jsonl", rng)]
    narrow = written(tmp_path / "a.jsonl", [{"text": said(rng, LAW[:3])} for _ in range(80)])
    (found,) = findings(Relevance(), "domain", narrow, more=declared)
    assert found.measured == pytest.approx(0.25, abs=0.05)
    wide = written(tmp_path / "b.jsonl", [{"text": said(rng, LAW)} for _ in range(80)])
    assert not findings(Relevance(), "domain", wide, more=declared)


def test_terms_alone_declare_a_domain(tmp_path: Path) -> None:
    rng = random.Random(7)
    rows = [{"text": f"{said(rng, GENERAL)} {'a life estate' if i % 4 else 'a life'}"} for i in range(80)]
    path = written(tmp_path / "a.jsonl", rows)
    assert not findings(Relevance(), "domain", path, more=["data.domain.contract.terms=[life estates]"])
    (found,) = findings(Relevance(), "domain", path, more=["data.domain.contract.terms=[life tenancy]"])
    assert found.measured == 1.0


def test_nothing_declared_is_said(tmp_path: Path) -> None:
    rng = random.Random(8)
    path = written(tmp_path / "a.jsonl", [{"text": said(rng, LAW)} for _ in range(80)])
    (found,) = findings(Relevance(), "domain", path)
    assert found.level == "info" and "data.domain.contract" in found.fix
    assert not findings(Coverage(), "domain", path) and not findings(Misuse(), "domain", path)


def documents(rng: random.Random, shares: dict[str, int], labels: bool) -> list[dict[str, str]]:
    rows = [(topic, said(rng, TOPICS[topic])) for topic, count in shares.items() for _ in range(count)]
    return [{"text": text, **({"topic": topic} if labels else {})} for topic, text in rows]


@pytest.mark.parametrize("labels", [True, False], ids=["labelled", "inferred"])
@pytest.mark.parametrize("declares", ["deployment", "taxonomy", "settings"])
def test_missing_topics(labels: bool, declares: str, tmp_path: Path) -> None:
    rng = random.Random(9)
    if declares == "deployment":
        questions = [{"text": said(rng, words, 5), "topic": name} for name, words in TOPICS.items() for _ in range(30)]
        more = [f"data.domain.contract.deployment={written(tmp_path / 'asked.jsonl', questions)}"]
    else:
        topics = [{"topic": name, "share": 0.33, "terms": words} for name, words in TOPICS.items()]
        (tmp_path / "taxonomy.json").write_text(json.dumps({"topics": topics}))
        more = [f"data.domain.contract.taxonomy={tmp_path / 'taxonomy.json'}"]
    if declares == "settings":
        more.append("data.domain.contract.topics={leases: 1, torts: 1, wills: 0}")
    one = written(tmp_path / "one.jsonl", documents(rng, {"leases": 100}, labels))
    thin, apart = findings(Coverage(), "domain", one, more=more)
    missing = {"torts"} if declares == "settings" else {"torts", "wills"}
    assert all((f"{name} (0 rows" in thin.message) == (name in missing) for name in TOPICS)
    assert thin.measured == pytest.approx(0.5 if declares == "settings" else 1 / 3, abs=0.01)
    assert apart.measured is not None and apart.measured > 0.25 and "leases has 100%" in apart.message
    even = written(tmp_path / "even.jsonl", documents(rng, {"leases": 40, "torts": 35, "wills": 25}, labels))
    if declares != "settings":
        assert not findings(Coverage(), "domain", even, more=more)


def test_topics_cannot_be_judged_without_names(tmp_path: Path) -> None:
    rng = random.Random(10)
    path = written(tmp_path / "a.jsonl", [{"text": said(rng, LAW)} for _ in range(80)])
    (found,) = findings(Coverage(), "domain", path, more=[sample(tmp_path / "asked.jsonl", rng)])
    assert found.level == "info" and "topic" in found.fix


@given(st.lists(st.integers(1, 100), min_size=1, max_size=8), st.floats(0.01, 1))
def test_divergence_is_the_share_on_topics_of_one_side(counts: list[int], moved: float) -> None:
    shared = [(1 - moved) * count / sum(counts) for count in counts]
    one, two = [*shared, moved, 0.0], [*shared, 0.0, moved]
    assert divergence(one, two) == pytest.approx(moved, abs=1e-9)
    assert divergence(one, one) == pytest.approx(0, abs=1e-12)


def test_chance_is_what_two_samples_of_one_distribution_are_apart() -> None:
    rng = np.random.default_rng(11)
    shares = np.array([0.3, 0.25, 0.2, 0.15, 0.1])
    apart = [
        divergence((rng.multinomial(400, shares) / 400).tolist(), (rng.multinomial(150, shares) / 150).tolist())
        for _ in range(400)
    ]
    assert float(np.mean(apart)) == pytest.approx(_chance(5, 400, 150), rel=0.15)


@settings(max_examples=50)
@given(st.lists(st.integers(0, 50)), st.sets(st.integers(0, 50)))
def test_among(numbers: list[int], wanted: set[int]) -> None:
    found = among(np.array(numbers, dtype=np.uint32), np.array(sorted(wanted), dtype=np.uint32))
    assert found.tolist() == [number in wanted for number in numbers]


@pytest.mark.parametrize(
    ("share", "gpus", "level"),
    [(0.5, 0, None), (0.95, 0, "warning"), (1.6, 0, "error"), (0.5, 2, None), (1.6, 2, "error")],
)
def test_memory(share: float, gpus: int, level: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("framework.checks.fit.device_memory", lambda: 2**34)
    monkeypatch.setattr("framework.checks.fit.visible_gpus", lambda: gpus)
    config = compose(["model=tiny", "eval=none", "launch.processes=2", "model.checkpointing=false"]).config
    need = int(share * 2**34 / (1 if gpus else 2))
    subject = Subject(config, ["domain"], {}, True, Profiles({}, lambda *_: None), {"domain": need})
    found = list(Fit().check(subject))
    assert [finding.level for finding in found] == ([level] if level else [])
    if found:
        assert found[0].measured == pytest.approx(share, abs=0.01)
        for words in ("16.0", "model.checkpointing=true", "stage.domain.batch.micro_tokens", "qlora", "zero3"):
            assert words in found[0].message + found[0].fix
        for key in ("stage.domain.batch.micro_tokens=512", "adapter=qlora", "engine=zero3"):
            compose(["model=tiny", key])


def test_tone_that_is_mixed_within_a_task(tmp_path: Path) -> None:
    rng = random.Random(12)
    plain = [asked(rng, task="explain") for _ in range(60)]
    chatty = [{**asked(rng, task="explain"), "response": f"Sure! {said(rng, GENERAL)}."} for _ in range(30)]
    (found,) = findings(Consistency(), "instruct", written(tmp_path / "a.jsonl", plain + chatty))
    assert found.measured == pytest.approx(1 / 3, abs=0.01) and "explain: 33% chatty" in found.message
    other = [{**row, "task": "greet"} for row in chatty]
    assert not findings(Consistency(), "instruct", written(tmp_path / "b.jsonl", plain + other))


def test_form_that_differs_between_sources_of_a_task(tmp_path: Path) -> None:
    rng = random.Random(13)
    prose = written(tmp_path / "prose.jsonl", [asked(rng, task="list") for _ in range(60)])
    bullets = [{**asked(rng, task="list"), "response": "- one,\n- two."} for _ in range(60)]
    (found,) = findings(Consistency(), "instruct", prose, written(tmp_path / "bullets.jsonl", bullets))
    assert "list: list in 100% of s1 and 0% of s0" in found.message
    mixed = written(tmp_path / "mixed.jsonl", [row for _, row in zip(range(30), bullets, strict=False)])
    assert not findings(Consistency(), "instruct", prose, mixed)


def test_lookalikes_that_are_refused(tmp_path: Path) -> None:
    rng = random.Random(14)
    refusal = "I'm sorry, but I can't help with that."
    plain = [asked(rng) for _ in range(200)]
    kills = [f"How do I kill a Python process with number {i}?" for i in range(10)]
    refused = [{"instruction": kill, "response": refusal} for kill in kills]
    (found,) = findings(Refusal(), "instruct", written(tmp_path / "a.jsonl", plain + refused))
    assert found.measured == 1.0 and "look like harmful ones are refused" in found.message
    named = [{**asked(rng, slice="lookalike"), "response": refusal} for _ in range(10)]
    (found,) = findings(Refusal(), "instruct", written(tmp_path / "b.jsonl", plain + named))
    assert found.measured == 1.0
    kind = [{**row, "response": "Use the task manager."} for row in refused[:8]]
    assert not findings(Refusal(), "instruct", written(tmp_path / "c.jsonl", plain + kind + refused[8:]))


def pair(rng: random.Random, place: int, **more: Any) -> dict[str, Any]:
    sides = {"chosen": f"{said(rng, GENERAL, 8)} it.", "rejected": f"{said(rng, GENERAL, 8)} it."}
    return {"prompt": f"What of {place}?", **sides, **more}


@pytest.mark.parametrize(
    ("votes", "measured"),
    [
        (0.9, None),
        (0.6, [0.6]),
        (["chosen", "rejected", "chosen"], None),
        ({"chosen": 3, "rejected": 2}, [0.6]),
        ({"chosen": 2, "rejected": 3}, [0.4, 1.0]),
        (["rejected", "rejected"], [0.0, 1.0]),
    ],
)
def test_annotators_who_disagree(votes: Any, measured: list[float] | None, tmp_path: Path) -> None:
    rng = random.Random(15)
    path = written(tmp_path / "a.jsonl", [pair(rng, i, annotators=votes) for i in range(60)])
    assert [finding.measured for finding in findings(Pairs(), "align", path)] == (measured or [])


@pytest.mark.parametrize(
    ("trait", "chosen", "rejected"),
    [
        ("list", "- one of it.\n- two of it.", "one of it and two of it, and no more."),
        ("refusing", "I'm sorry, but I can't help with that.", "That is done with a hammer by night."),
    ],
)
def test_one_trait_that_judges_all_pairs(trait: str, chosen: str, rejected: str, tmp_path: Path) -> None:
    rng = random.Random(16)
    alike = [pair(rng, i) for i in range(40)]
    told = [pair(rng, i, chosen=chosen, rejected=rejected) for i in range(40, 100)]
    found = findings(Pairs(max_longer=1.0), "align", written(tmp_path / "a.jsonl", alike + told))
    assert [finding.measured for finding in found] == [0.8] and f"({trait})" in found[0].message
    turned = [pair(rng, i, chosen=rejected, rejected=chosen) for i in range(100, 160)]
    assert not findings(Pairs(max_longer=1.0), "align", written(tmp_path / "b.jsonl", alike + told + turned))
