"""The checks on hand-made subjects: what they find, what they let pass, and how findings are softened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from framework.checks.base import Finding, Subject
from framework.checks.engine import Engine
from framework.checks.mask import Mask
from framework.checks.order import Order
from framework.checks.repeat import Repeat
from framework.checks.structure import Structure
from framework.compose import compose
from framework.data.prepared import Prepared, SourceUse
from framework.findings import codes, judge
from framework.models import ModelFiles
from framework.profile.access import Profiles
from framework.schema import Kind


def use(**changes: Any) -> SourceUse:
    """A source of a hundred good conversations."""
    fields: dict[str, Any] = {
        "rows": 100,
        "rows_used": 100,
        "units": 100,
        "tokens": 5000,
        "supervised_tokens": 2000,
        "epochs": 1.0,
        "planned": 1.0,
        "weight": 1.0,
        "fingerprint": "f",
        "dropped": {},
        "unreadable": {},
        "truncated": 0,
        "format": "instruction",
        "capped": False,
        "kinds": {"conversation": 100},
        "no_target_rows": 0,
    }
    return SourceUse(**{**fields, **changes})


def prepared(unproved: dict[str, dict[str, list[str]]] | None = None, **sources: SourceUse) -> Prepared:
    return Prepared(
        directory=Path("packs"),
        fingerprint="f",
        sources=sources,
        steps=10,
        packs=20,
        packs_per_step=2,
        capacity=512,
        tokens=5000,
        supervised_tokens=2000,
        packing_efficiency=0.9,
        units=100,
        units_per_step=10.0,
        unproved=unproved or {},
    )


def subject(*arguments: str, stages: list[Kind] | None = None, follows: bool = True, **found: Prepared) -> Subject:
    config = compose(["model=tiny", "eval=none", *arguments]).config
    chosen: list[Kind] = stages or ["instruct", "domain", "align"]
    return Subject(config, chosen, found, follows, Profiles({}, lambda *_: None))  # type: ignore[arg-type]


def levels(found: Any) -> list[tuple[str, str, str]]:
    return [(finding.code, finding.level, finding.stage) for finding in found]


RIGHT: list[list[Kind]] = [
    ["instruct"],
    ["domain"],
    ["align"],
    ["instruct", "domain"],
    ["domain", "align"],
    ["instruct", "align"],
    ["instruct", "domain", "align"],
]
WRONG: list[tuple[list[Kind], list[str]]] = [
    (["domain", "instruct"], ["domain"]),
    (["domain", "instruct", "align"], ["domain"]),
    (["align", "domain"], ["align"]),
    (["align", "instruct"], ["align"]),
    (["align", "domain", "instruct"], ["domain", "align", "align"]),
    (["instruct", "domain", "instruct"], ["instruct"]),
    (["align", "align"], ["align"]),
]


@pytest.mark.parametrize("stages", RIGHT, ids="-".join)
def test_right_orders_pass(stages: list[Kind]) -> None:
    assert not list(Order().check(subject(stages=stages)))
    base = list(Order().check(subject(stages=stages, follows=False)))
    assert bool(base) == (stages[0] != "instruct")


@pytest.mark.parametrize(("stages", "blamed"), WRONG, ids=lambda value: "-".join(value))
def test_wrong_orders_are_errors(stages: list[Kind], blamed: list[str]) -> None:
    found = list(Order().check(subject(stages=stages)))
    assert levels(found) == [("ORDER", "error", stage) for stage in blamed]
    assert all(finding.fix for finding in found)


def test_what_comes_later_is_not_replayed() -> None:
    given = subject("data=legal", "stage=domain_first", "eval=none", stages=["domain", "instruct", "align"])
    assert given.config.replayed("domain") == {}
    notes = [finding for finding in Order().check(given) if finding.level == "info"]
    assert [(finding.stage, "replays nothing of instruct" in finding.message) for finding in notes] == [
        ("domain", True)
    ]
    for stage in ("full", "domain", "domain_align"):
        config = compose(["model=tiny", "eval=none", f"stage={stage}"]).config
        assert list(config.data.domain.mix.replay) == ["instruct"]
        assert config.replayed("domain") == config.data.domain.mix.replay


def test_the_order_that_a_fix_names_is_right() -> None:
    for stages, _ in WRONG:
        for finding in Order().check(subject(stages=stages)):
            config = compose(["model=tiny", "eval=none", finding.fix.removeprefix("put them in order: ")]).config
            assert config.stage.order in RIGHT and set(config.stage.order) == set(stages)


@pytest.mark.parametrize(
    ("stage", "kinds", "wrong"),
    [
        ("instruct", {"conversation": 9}, []),
        ("instruct", {"text": 9}, ["plain text"]),
        ("instruct", {"conversation": 9, "pair": 1, "text": 2}, ["comparison pairs", "plain text"]),
        ("domain", {"text": 5, "conversation": 4}, []),
        ("domain", {"pair": 9}, ["comparison pairs"]),
        ("align", {"pair": 9}, []),
        ("align", {"conversation": 9}, ["single responses"]),
    ],
)
def test_rows_of_the_wrong_kind(stage: Kind, kinds: dict[Any, int], wrong: list[str]) -> None:
    found = list(Structure().check(subject(stages=[stage], **{stage: prepared(own=use(kinds=kinds, rows=12))})))
    assert levels(found) == [("STRUCTURE", "error", stage)] * len(wrong)
    for words in wrong:
        assert any(words in finding.message and "own" in finding.message for finding in found)


def test_masks() -> None:
    assert not list(Mask().check(subject(instruct=prepared(own=use()))))
    unproved = {"own": {"the template drops a message": ["a.jsonl:3", "a.jsonl:7"]}}
    (found,) = Mask().check(subject(instruct=prepared(unproved, own=use())))
    assert found.level == "error" and "a.jsonl:3" in found.message and "drops a message" in found.message
    (found,) = Mask().check(subject(domain=prepared(own=use(no_target_rows=1200))))
    assert found.level == "error" and "1,200 rows" in found.message and "stage.domain.max_length" in found.fix
    for truncated, level in ((1, "info"), (2, "info"), (3, "warning")):
        (found,) = Mask().check(subject(instruct=prepared(own=use(truncated=truncated))))
        assert found.level == level and f"{truncated} rows" in found.message


def test_repetition() -> None:
    assert not list(Repeat().check(subject(domain=prepared(own=use(epochs=4.0)))))
    (found,) = Repeat().check(subject(domain=prepared(own=use(epochs=4.5))))
    assert found.level == "warning" and "4.5 times" in found.message
    (found,) = Repeat().check(subject(domain=prepared(own=use(epochs=4.0, capped=True))))
    assert found.level == "warning" and "its cap" in found.message and "data.domain.mix.weights.own" in found.fix


@pytest.mark.parametrize(
    ("arguments", "level", "names"),
    [
        (["adapter=qlora", "engine=zero3"], None, []),
        (["adapter=qlora", "engine=zero2"], None, []),
        (["adapter=lora", "engine=zero3"], None, []),
        (["engine=zero0", "engine.offload=true"], "error", ["engine.offload", "zero2_offload"]),
        (["engine=zero2_offload"], "info", ["engine.offload", "engine=zero2"]),
    ],
)
def test_engines(arguments: list[str], level: str | None, names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("framework.checks.engine.visible_gpus", lambda: 0)
    found = list(Engine().check(subject(*arguments)))
    assert [finding.level for finding in found] == ([level] if level else [])
    for name in names:
        assert name in found[0].message + found[0].fix


@pytest.mark.parametrize(
    ("argument", "said"), [("adapter=lora", 0), ("adapter=qlora", 1), ("engine=zero3", 1), ("model.compile=true", 1)]
)
def test_bf16_is_named_slow_where_its_products_cannot_be_taken_in_fp32(
    argument: str, said: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("framework.checks.engine.visible_gpus", lambda: 0)
    monkeypatch.setattr("framework.checks.engine.fast_dtype", lambda: "float32")
    found = list(Engine().check(subject(argument, "model.dtype=bfloat16")))
    assert [(finding.level, "model.dtype=float32" in finding.fix) for finding in found] == said * [("warning", True)]
    assert not list(Engine().check(subject(argument, "model.dtype=float32")))


def test_4_bits_in_parts_are_refused_where_nobody_has_proved_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("framework.checks.engine.visible_gpus", lambda: 1)
    (found,) = Engine().check(subject("adapter=qlora", "engine=zero3"))
    assert found.level == "error" and "qlora" in found.message and "engine=zero2" in found.fix
    assert not list(Engine().check(subject("adapter=qlora", "engine=zero2")))


def test_workers_without_work_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("framework.checks.engine.visible_gpus", lambda: 0)
    data = {"domain": prepared(own=use())}  # two packs a step
    assert not list(Engine().check(subject("launch.processes=2", **data)))
    (found,) = Engine().check(subject("launch.processes=5", **data))
    assert (found.level, found.stage, found.measured) == ("warning", "domain", 2.0)
    assert "3 of them only keep pace" in found.message and "stage.domain.batch.tokens" in found.fix


def test_offload_is_meant_for_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("framework.checks.engine.visible_gpus", lambda: 1)
    assert not list(Engine().check(subject("engine=zero2_offload")))


def judged(*arguments: str) -> list[Finding]:
    config = compose(["model=tiny", "eval=none", *arguments]).config
    data = {"domain": prepared(own=use(epochs=9.0)), "instruct": prepared(own=use(kinds={"text": 5}))}
    stages: list[Kind] = ["domain", "instruct"]
    return judge(config, ModelFiles(Path("model"), "f"), data, stages)  # type: ignore[arg-type]


def test_findings_come_sorted_and_can_be_allowed() -> None:
    found = judged()
    assert [(finding.code, finding.level) for finding in found] == [
        ("ORDER", "error"),
        ("STRUCTURE", "error"),
        ("REPEAT", "warning"),
        ("EDGE", "info"),
    ]
    allowed = {finding.code: finding.level for finding in judged("checks.allow=[ORDER]")}
    assert allowed == {"STRUCTURE": "error", "ORDER": "warning", "REPEAT": "warning", "EDGE": "info"}
    assert all(finding.level != "error" for finding in judged("checks.strict=false"))


def test_the_codes() -> None:
    assert {"ENGINE", "MASK", "ORDER", "REPEAT", "STRUCTURE"} <= set(codes())
