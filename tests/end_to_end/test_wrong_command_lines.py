"""Wrong command lines: each is refused before anything starts, and the message names the key and what to do."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from framework.cli import main

LEGAL = ["model=tiny", "eval=none", "tracker=none"]
"""The bundled data: whatever is wrong is found before it is read."""
NO_DATA = ["model=tiny", "eval=none", "tracker=none", "data=files", "stage=instruct"]
TALK = "data.instruct.sources.talk.path"


@dataclass(frozen=True)
class Wrong:
    """Arguments, and what the message must hold: the key first, then its fix."""

    arguments: list[str]
    says: list[str]
    code: int = 2
    base: list[str] = field(default_factory=lambda: LEGAL)


CONFIGURATION = {
    # typos at every depth
    "top": Wrong(["sead=1"], ["sead", "did you mean seed"]),
    "group": Wrong(["adaptor=lora"], ["adaptor", "did you mean adapter?"]),
    "verb": Wrong(["do=trian"], ["do", "'run'", "trian"]),
    "stage key": Wrong(["stage.domain.lrr=1e-4"], ["stage.domain.lrr", "did you mean lr?"]),
    "stage name": Wrong(["stage.domian.lr=1e-4"], ["stage.domian", "did you mean domain?"]),
    "batch": Wrong(["stage.domain.batch.token=2048"], ["stage.domain.batch.token", "did you mean tokens"]),
    "mix": Wrong(["data.domain.mix.wieghts.statutes=1"], ["data.domain.mix.wieghts", "did you mean weights?"]),
    "total": Wrong(["data.domain.mix.total={epoch: 2}"], ["data.domain.mix.total.epoch", "did you mean epochs?"]),
    "data section": Wrong(["data.instuct.sources.x.path=a.jsonl"], ["data.instuct", "did you mean instruct?"]),
    "sources": Wrong(["data.domain.source.x.path=a.jsonl"], ["data.domain.source", "did you mean sources?"]),
    "source key": Wrong(["data.domain.sources.qa.pth=a.jsonl"], ["data.domain.sources.qa.pth", "did you mean path"]),
    "label": Wrong(["data.domain.sources.qa.labels.topc=x"], ["data.domain.sources.qa.labels.topc", "'topic'"]),
    "adapter key": Wrong(["adapter.rank=8"], ["adapter.rank", "keys here can be", "targets"]),
    "objective key": Wrong(["align.betta=0.1"], ["align.betta", "did you mean beta?"]),
    "of another method": Wrong(
        ["align=ipo", "align.label_smoothing=0.1"],
        ["align.label_smoothing", "keys here can be: beta, kind, sft_weight", "command line"],
    ),
    "no reference": Wrong(["align=sft", "align.beta=0.1"], ["align.beta", "unknown key"]),
    "smoothing": Wrong(["align=cdpo", "align.label_smoothing=0.5"], ["align.label_smoothing", "less than 0.5"]),
    "engine key": Wrong(["engine.zeroo=1"], ["engine.zeroo", "did you mean zero?"]),
    "launch key": Wrong(["launch.process=2"], ["launch.process", "did you mean processes?"]),
    "of another launcher": Wrong(["launch.nodes=2"], ["launch.nodes", "unknown key"]),
    "launcher": Wrong(["launch=slrum"], ["launch", "did you mean slurm?"]),
    "no hostfile": Wrong(
        ["launch=hostfile", "launch.hostfile=no/hosts"], ["launch.hostfile", "cannot be read", "HOST slots=N"]
    ),
    "hostfile": Wrong(
        ["launch=hostfile", "launch.hostfile=README.md"], ["launch.hostfile", "README.md:1", "write HOST slots=N"]
    ),
    "no shell": Wrong(
        ["launch=hostfile", "launch.shell=[shh,'{host}','{command}']"], ["launch.shell", "no command shh", "install it"]
    ),
    "shell": Wrong(["launch=hostfile", "launch.shell=[ssh]"], ["launch.shell", "no place for {host} and {command}"]),
    "warning": Wrong(["launch=slurm", "launch.warning=30"], ["launch.warning", "launch.grace", "set launch.warning="]),
    "time": Wrong(["launch=slurm", "launch.time=tomorrow"], ["launch.time", "should match pattern"]),
    "tracker key": Wrong(["tracker.projct=x"], ["tracker.projct", "did you mean project?"]),
    "suite key": Wrong(
        ["eval=legal", "eval.suites.format.max_tokens=9"], ["eval.suites.format.max_tokens", "did you mean"]
    ),
    "check key": Wrong(["checks.alow=[ORDER]"], ["checks.alow", "did you mean allow?"]),
    "strength of rewards": Wrong(
        ["stage=reward", "stage.reward.strength=0.5"], ["stage.reward.strength", "has no start", "=1"]
    ),
    # wrong types and values
    "number": Wrong(["stage.instruct.lr=fast"], ["stage.instruct.lr", "valid number", "'fast'", "command line"]),
    "negative": Wrong(["stage.instruct.lr=-1"], ["stage.instruct.lr", "greater than 0", "correct stage.instruct.lr"]),
    "whole": Wrong(["stage.instruct.max_steps=1.5"], ["stage.instruct.max_steps", "valid integer"]),
    "truth": Wrong(["checks.strict=perhaps"], ["checks.strict", "valid boolean"]),
    "list": Wrong(["checks.allow=ORDER"], ["checks.allow", "valid list"]),
    "section": Wrong(["stage.instruct.batch=2048"], ["stage.instruct.batch", "valid dictionary"]),
    "bound": Wrong(["stage.instruct.warmup=1.0"], ["stage.instruct.warmup", "less than 1"]),
    "zero": Wrong(["engine.zero=4"], ["engine.zero", "0, 1, 2 or 3"]),
    "weight": Wrong(["data.domain.mix.temperature=0"], ["data.domain.mix.temperature", "greater than 0"]),
    "upper": Wrong(["adapter.upper=15"], ["adapter.upper", "less than or equal to 1"]),
    "rank": Wrong(["adapter.r=0"], ["adapter.r", "greater than 0"]),
    "beta": Wrong(["align.beta=0"], ["align.beta", "greater than 0"]),
    "seed": Wrong(["seed=-3"], ["seed", "greater than or equal to 0"]),
    "name": Wrong(["name='a b/c'"], ["name", "should match pattern"]),
    "order": Wrong(["stage.order=[instruct,finish]"], ["stage.order.1", "'domain', 'align' or 'reward'"]),
    "no order": Wrong(["stage.order=[]"], ["stage.order", "at least 1 item"]),
    # groups and choices
    "choice": Wrong(["adapter=loraa"], ["adapter", "did you mean lora"]),
    "far choice": Wrong(["engine=fast"], ["engine", "engine can be: zero0, zero1"]),
    "kind": Wrong(["align.kind=dppo"], ["align.kind", "did you mean dpo"]),
    "source kind": Wrong(
        ["data.domain.sources.qa.kind=jsonlines"], ["data.domain.sources.qa.kind", "did you mean json"]
    ),
    "package": Wrong(["stage@x=full"], ["stage", "there is no such group"]),
    "removed": Wrong(["~adapter"], ["adapter", "is required", "set adapter="]),
    # overrides that cannot be read
    "interpolation": Wrong(["name='${nope}'"], ["nope", "not found", "see --help"]),
    "malformed": Wrong(["seed"], ["cannot read 'seed'", "key=value"]),
    "brackets": Wrong(["stage.order=[instruct"], ["cannot read", "quote values"]),
    "option": Wrong(["--seed=1"], ["unknown option --seed=1", "key=value"]),
    "several": Wrong(["seed=1,2"], ["seed", "one value"]),
    "hydra": Wrong(["hydra.run.dir=x"], ["hydra.run.dir", "remove it"]),
    # data
    "missing file": Wrong([f"{TALK}=no/such.jsonl"], [TALK, "no/such.jsonl", "check the path"], base=NO_DATA),
    "near file": Wrong(
        ["data.domain.sources.qa.path=samples/legal/domain/qaa.jsonl"],
        ["data.domain.sources.qa.path", "did you mean 'qa.jsonl'"],
    ),
    "no match": Wrong([f"{TALK}='no/such/*.jsonl'"], [TALK, "no file matches", "check the pattern"], base=NO_DATA),
    "no kind": Wrong([f"{TALK}=file.docx"], ["data.instruct.sources.talk", "kind", "jsonl"], base=NO_DATA),
    "no path": Wrong(
        ["data.instruct.sources.talk.format=text"], ["data.instruct.sources.talk", "no path"], base=NO_DATA
    ),
    "no data": Wrong([], ["data.instruct.sources", "no data", "data.instruct.sources.NAME.path=FILE"], base=NO_DATA),
    "format": Wrong(["data.domain.sources.qa.format=instructions"], ["data.domain.sources.qa.format", "'instruction'"]),
    # mixes
    "undeclared": Wrong(
        ["data.align.mix.weights={law: 1, style: 1, safty: 1}"],
        ["data.align.mix.weights.safty", "did you mean 'safety'"],
    ),
    "no weight": Wrong(
        ["data.align.mix.weights.law=0.3"], ["data.align.mix.weights", "'style' has no weight", "set data"]
    ),
    "no mix": Wrong(
        ["data.align.mix.weights={law: 0, style: 0, safety: 0}"], ["data.align.mix.weights", "positive weight"]
    ),
    "schedule": Wrong(["data.align.mix.schedule.law=[1.0]"], ["data.align.mix.schedule.law", "two or more numbers"]),
    "cap": Wrong(["data.align.mix.max_epochs.lawe=2"], ["data.align.mix.max_epochs.lawe", "did you mean 'law'"]),
    "replay": Wrong(
        ["data.domain.mix.replay={instruct: 0.1}", "data.domain.sources.law.path=samples/legal/domain/qa.jsonl"],
        ["data.domain.mix.replay.instruct", "no sources to replay", "remove"],
        base=[*NO_DATA[:-1], "stage=domain"],
    ),
    "two totals": Wrong(
        ["data.align.mix.total={epochs: 1, tokens: 9}"], ["data.align.mix.total", "exactly one of epochs, tokens"]
    ),
    # settings that contradict, or that nothing reads
    "multiple": Wrong(
        ["stage.instruct.max_length=512", "stage.instruct.batch.tokens=1000"],
        ["stage.instruct.batch.tokens", "multiple of max_length 512", "set stage.instruct.batch.tokens=1024"],
    ),
    "unused stage": Wrong(["stage=domain", "stage.instruct.lr=1e-4"], ["stage.instruct.lr", "no effect"]),
    "unused data": Wrong(
        ["stage=domain", "data.align.mix.temperature=2"], ["data.align.mix.temperature", "no effect", "remove it"]
    ),
    "unused method": Wrong(["stage=domain", "align.beta=0.2"], ["align.beta", "no effect", "remove it"]),
    "no settings": Wrong(["stage=domain", "stage.order=[domain,align]"], ["stage.align", "no settings", "stage=align"]),
    "code": Wrong(["checks.allow=[ODER]"], ["checks.allow", "ODER", "did you mean ORDER?"]),
    "gate": Wrong(
        ["eval=legal", "eval.gates=[{suite: formt, max_drop: 0.1}]"], ["eval.gates.0.suite", "did you mean format?"]
    ),
    "half a gate": Wrong(["eval=legal", "eval.gates=[{suite: format}]"], ["eval.gates.0", "give max_drop", "max_rise"]),
    "no items": Wrong(
        ["eval=legal", "eval.suites.format.path=no/items.jsonl"], ["eval.suites.format", "does not exist", "correct"]
    ),
    # models and runs
    "no model": Wrong(["model=path", "model.path=./no/such/model"], ["model.path", "no directory", "correct the path"]),
    "empty model": Wrong(["model=path"], ["model.path", "is empty", "directory or hub id"]),
    "no weights": Wrong(["model=path", "model.path=conf"], ["model.path", "has no config.json", "*.safetensors"]),
    "no run": Wrong(["do=evaluate", "run=no/such/run"], ["run", "is not a run", "do=evaluate run="]),
    "which run": Wrong(["do=export", "to=x"], ["run", "name the directory"]),
}


def started(folder: Path) -> bool:
    return any(folder.rglob("stages")) or any(folder.rglob("events.jsonl"))


def refuse(wrong: Wrong, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Run it, see that it is refused, and return what it said."""
    code = main([*wrong.base, *wrong.arguments, f"run_dir={folder / 'run'}"])
    said = capsys.readouterr()
    assert code == wrong.code, said
    assert not started(folder)
    return said.out + said.err


@pytest.mark.parametrize("name", CONFIGURATION)
def test_a_wrong_configuration_is_refused(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refuse(CONFIGURATION[name], tmp_path, capsys)
    for words in CONFIGURATION[name].says:
        assert words in said, said
    assert "fix:" in said or "unknown option" in said


def test_everything_that_is_wrong_comes_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["adapter=loraa", "stage.domain.lrr=1", "align.beta=-1", "checks.strict=perhaps", "seed=[", "sead=2"]
    arguments += ["data.domain.mix.temperature=0", "data.domain.sources.mine.path=file.docx"]
    said = refuse(Wrong(arguments, []), tmp_path, capsys)
    assert said.startswith("8 problems with the configuration; nothing was started")
    keys = ["adapter", "stage.domain.lrr", "align.beta", "checks.strict", "'seed=['", "sead"]
    for key in [*keys, "data.domain.mix.temperature", "data.domain.sources.mine"]:
        assert f"  {key}" in said or f"cannot read {key}" in said, key
    arguments = ["stage.instruct.batch.tokens=1000", "stage.domain.batch.tokens=1000", "checks.allow=[X]"]
    arguments += ["data.align.mix.weights.law=1", "data.domain.sources.qa.path=nothing.jsonl"]
    said = refuse(Wrong([*arguments, "model=path", "model.path=./nothing"], []), tmp_path, capsys)
    for key in ("stage.instruct.batch.tokens", "stage.domain.batch.tokens", "checks.allow", "data.align.mix.weights"):
        assert f"  {key}: " in said
    assert "data.domain.sources.qa.path: " in said and "model.path: " in said


def test_problems_name_where_they_come_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refuse(Wrong(["stage.instruct.lr=fast"], []), tmp_path, capsys)
    assert "[from command line]" in said
    said = refuse(Wrong(["stage.instruct.max_length=100"], []), tmp_path, capsys)
    assert "stage.instruct.batch.tokens" in said and "[from conf/training/instruct.yaml]" in said


@pytest.fixture
def rows(tmp_path: Path) -> Any:
    def write(name: str, *rows: Any) -> str:
        file = tmp_path / name
        file.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
        return str(file)

    return write


GOOD = [{"instruction": f"Ask {n}", "response": f"Answer {n}"} for n in range(8)]
TEXT = [{"text": f"Section {n} of the act."} for n in range(8)]
JUDGED = [{"prompt": f"Ask {n}", "completion": "Yes, by rule.", "label": n % 2 == 0} for n in range(8)]
PAIR = [{"prompt": f"Ask {n}", "chosen": "Yes, by rule.", "rejected": "No."} for n in range(8)]
SHORT = ["stage.instruct.max_length=128", "stage.instruct.batch.tokens=256"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ([], ["data.instruct.sources.talk", "there are no rows", "check the file"]),
        (["not json"], ["data.instruct.sources.talk", "1 rows cannot be read", "max_bad_rows"]),
        (
            [{"frage": "a", "antwort": "b"}],
            ["data.instruct.sources.talk.format", "no format fits", "map: {theirs: ours}"],
        ),
        ([{"instruction": "a", "response": ""}], ["data.instruct.sources.talk", "empty response", "max_bad_rows"]),
    ],
    ids=["empty", "broken", "columns", "no answer"],
)
def test_bad_data_is_refused(
    rows: Any, content: list[Any], says: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = Wrong([*SHORT, f"{TALK}={rows('talk.jsonl', *content)}"], [], base=NO_DATA)
    said = refuse(wrong, tmp_path, capsys)
    for words in says:
        assert words in said


def test_rows_that_are_all_dropped_are_refused(rows: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = [{"instruction": "word " * 400, "response": "Yes."}]
    arguments = [*SHORT, f"{TALK}={rows('talk.jsonl', *long)}", "stage.instruct.long=drop"]
    said = refuse(Wrong(arguments, [], base=NO_DATA), tmp_path, capsys)
    assert "data.instruct.sources" in said and "longer than max_length" in said


@pytest.mark.parametrize(
    ("code", "arguments", "says"),
    [
        ("STRUCTURE", ["stage=instruct", f"{TALK}={{text}}"], ["plain text", "move talk to the stage"]),
        ("STRUCTURE", ["stage=align", "data.align.sources.a.path={talk}"], ["single responses", "comparison pairs"]),
        ("STRUCTURE", ["stage=domain", "data.domain.sources.a.path={pairs}"], ["comparison pairs", "convert it"]),
        (
            "STRUCTURE",
            ["stage=align", "align=simpo", "data.align.sources.a.path={judged}"],
            ["are judged responses", "comparison pairs", "align=bco, align=kto"],
        ),
        (
            "STRUCTURE",
            ["stage=align", "align=kto", "data.align.sources.a.path={talk}"],
            ["are single responses", "judged responses (prompt, completion, label) or comparison pairs"],
        ),
        (
            "ORDER",
            ["stage=full", "stage.order=[align,instruct]", f"{TALK}={{talk}}", "data.align.sources.a.path={pairs}"],
            ["align comes before instruct", "stage.order=[instruct,align]"],
        ),
        ("ORDER", ["stage=instruct", "stage.order=[instruct,instruct]", f"{TALK}={{talk}}"], ["stands 2 times"]),
        (
            "ORDER",
            ["stage=domain", "data.domain.sources.a.path={text}", "model.instruct=false"],
            ["put instruct first"],
        ),
        (
            "ENGINE",
            ["stage=instruct", f"{TALK}={{talk}}", "engine=zero0", "engine.offload=true"],
            ["engine.offload", "zero2_offload"],
        ),
        (
            "MASK",
            ["stage=instruct", f"{TALK}={{long}}", "stage.instruct.max_length=64", "stage.instruct.batch.tokens=256"],
            ["no token to learn from", "raise stage.instruct.max_length"],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_makes_no_sense_is_an_error_finding(
    code: str, arguments: list[str], says: list[str], rows: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = [{"instruction": "word " * 80, "response": "Yes."}]
    files = {"talk": GOOD, "text": TEXT, "pairs": PAIR, "judged": JUDGED, "long": [*GOOD, *long]}
    paths = {name: rows(f"{name}.jsonl", *found) for name, found in files.items()}
    given = [argument.format_map(paths) for argument in arguments]
    base = ["model=tiny", "eval=none", "tracker=none", "data=files"]
    said = refuse(Wrong(given, [], code=1, base=base), tmp_path, capsys)
    flat = " ".join(said.split())
    assert code in said and f"checks.allow=[{code}]" in said
    for words in says:
        assert words in flat, said


def test_nothing_is_trained_on_where_a_finding_is_allowed(
    rows: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [f"{TALK}={rows('talk.jsonl', *TEXT)}", "checks.allow=[STRUCTURE]"]
    said = refuse(Wrong(arguments, [], base=NO_DATA), tmp_path, capsys)
    assert "data.instruct.sources" in said and "8 x wrong kind: text" in said and "conversation" in said


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["stage.domain.lrr=1e-4", "adapter=loraa"], 2, ["stage.domain.lrr", "did you mean lr?", "adapter"]),
        (["do=plan", "stage.order=[instruct"], 2, ["cannot read", "fix:"]),
    ],
)
def test_as_a_user_sees_it(train: Any, arguments: list[str], code: int, says: list[str]) -> None:
    ran = train(*arguments)
    assert ran.code == code and ran.out == "" and "Traceback" not in ran.err
    for words in says:
        assert words in ran.err
