"""The report: complete, honest about what is missing, and harmless whatever the data holds."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from framework.files import read_json, write_json
from framework.report import records
from framework.report.html import write_report

SECTIONS = ("retention", "findings", "plan", "curves", "evaluations", "time", "reproduce", "advice")
PICTURES = ("loss", "mix", "retention", "slices-1-instruct", "slices-2-domain", "slices-3-align", "time")


class _Page(HTMLParser):
    """Text, tags and attributes; fails on an element that is not closed."""

    VOID = ("meta", "link", "img", "source", "br", "wbr")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def _page(run: Path) -> _Page:
    return _Page((run / "report.html").read_text(encoding="utf-8"))


def test_every_section_and_the_headline(finished: Path) -> None:
    page = _page(finished)
    assert [attrs["id"] for tag, attrs in page.tags if tag == "section"] == list(SECTIONS)
    assert "took law_choice from 25.8% to 63.8%, the largest gain" in page.text
    assert "general_text at 23.30, +10.8% from its best, the largest loss" in page.text
    assert "python train.py data=legal adapter=lora align=dpo seed=7" in page.text
    assert f"do=reproduce run={finished}" in page.text
    assert "torch 2.13.0" in page.text and "2 processes on cpu" in page.text
    assert "not complete" not in page.text


def test_numbers_of_the_files_are_in_the_report(finished: Path) -> None:
    text = _page(finished).text
    for stage in read_json(finished / "plan.json")["stages"]:
        assert f"{stage['tokens']:,}" in text
    for words in ("LEAK", "2 not JSON; 1 no text", "1 error, 2 warnings, 1 note", "procedure 6.0% instead of 8.0%"):
        assert words in text


def test_a_share_that_is_taken_is_shown_and_explained(finished: Path) -> None:
    text = _page(finished).text
    assert text.count("lora ×") == text.count("lora ×0.8") == 1
    assert "× is the share of what a stage learns" in text


def test_no_not_a_number_anywhere(finished: Path) -> None:
    text = _page(finished).text
    assert not re.search(r"\b(nan|inf|None|Undefined)\b", text, re.IGNORECASE)


def test_headings_and_alternative_texts(finished: Path) -> None:
    page = _page(finished)
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    images = [attrs for tag, attrs in page.tags if tag == "img"]
    assert len(images) == len(PICTURES)
    assert all(len(image["alt"] or "") > 30 for image in images)


def test_self_contained(finished: Path) -> None:
    page = _page(finished)
    for tag, attrs in page.tags:
        assert tag not in ("script", "iframe", "object", "base", "form")
        for name in ("src", "href", "srcset"):
            if (target := attrs.get(name)) is not None:
                assert target.startswith(("data:", "#"))


def test_pictures_are_there_and_the_same_again(finished: Path, made: ModuleType, tmp_path: Path) -> None:
    again = made.build(tmp_path / "zz-again-zz")
    write_report(again)
    for name in PICTURES:
        first, second = (finished / f"{name}.png").read_bytes(), (again / f"{name}.png").read_bytes()
        assert first.startswith(b"\x89PNG")
        assert hashlib.sha256(first).digest() == hashlib.sha256(second).digest()
    pages = [_page(run).text.replace(str(run), "").replace(run.name, "") for run in (finished, again)]
    assert pages[0] == pages[1]


def _is_record(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, records.Record)


def _poison(value: Any, hostile: str) -> Any:
    if isinstance(value, dict):
        return {name if name in _FIELDS else hostile + name: _poison(inner, hostile) for name, inner in value.items()}
    if isinstance(value, list):
        return [_poison(inner, hostile) for inner in value]
    return hostile + value if isinstance(value, str) and value not in _WORDS else value


_WORDS = ("instruct", "domain", "align", "general", "trained", "reused", "finished", "error", "warning", "info")
_FIELDS = {name for record in vars(records).values() if _is_record(record) for name in record.model_fields} | {
    "fingerprint",
    "lineage",
}


@pytest.mark.filterwarnings("error")
def test_hostile_text_stays_text(one_look: None, made: ModuleType, tmp_path: Path) -> None:
    """Every string and every name in every file is hostile, pictures included."""
    run = made.build(tmp_path)
    hostile = made.HOSTILE + " $\\frac{ _"
    for file in [run / "plan.json", run / "summary.json", *run.glob("stages/*/*.json")]:
        write_json(file, _poison(read_json(file), hostile))
    html = write_report(run).read_text(encoding="utf-8")
    page = _Page(html)
    assert "cannot be" not in page.text
    assert not [tag for tag, _ in page.tags if tag in ("script", "iframe", "object")]
    assert not [attrs for _, attrs in page.tags if any(name.startswith("on") for name in attrs)]
    assert "<script>" not in html and "onerror=alert(1)>" not in html
    assert "{{ 7 * 7 }}" in page.text


@pytest.mark.parametrize(("status", "stages"), [("failed", 1), ("interrupted", 2), ("running", 0), ("failed", 0)])
def test_missing_later_stages(one_look: None, made: ModuleType, tmp_path: Path, status: str, stages: int) -> None:
    run = made.build(tmp_path, status, stages)
    write_report(run)
    text = _page(run).text
    assert {"failed": "Failed", "interrupted": "Interrupted, can be resumed", "running": "Running"}[status] in text
    assert "not reached" in text
    assert ("out of memory after 2 retries" in text) == (status == "failed")
    assert "not complete" not in text


def test_failed_gate(undrawn: None, made: ModuleType, tmp_path: Path) -> None:
    run = made.build(tmp_path, "gate_failed")
    write_report(run)
    text = _page(run).text
    assert "Stopped by a gate" in text and "the gate allows 0.05" in text


@pytest.mark.parametrize(
    "broken",
    ["", "{", "[]", "null", "NaN", '{"stages": 3}', "[" * 100_000, '{"before": {"x": {"value": 1e999}}}', "\ud800"],
)
@pytest.mark.parametrize(
    "file", ["plan.json", "summary.json", "stages/2-domain/evals.json", "stages/2-domain/stage.json"]
)
def test_broken_files_are_named(undrawn: None, made: ModuleType, tmp_path: Path, file: str, broken: str) -> None:
    run = made.build(tmp_path)
    (run / file).write_bytes(broken.encode("utf-8", "surrogatepass"))
    write_report(run)
    text = _page(run).text
    assert "This report is not complete" in text and f"{file} cannot be" in text


def test_broken_lines_of_metrics(one_look: None, made: ModuleType, tmp_path: Path) -> None:
    run = made.build(tmp_path, "failed", 1)
    path = run / "stages" / "1-instruct" / "metrics.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[4] = '{"step": 5, "loss": NaN}'
    path.write_text("\n".join(lines) + '\n{"step": 164, "lo', encoding="utf-8")
    write_report(run)
    assert "stages/1-instruct/metrics.jsonl: 2 lines cannot be used (first line 5)" in _page(run).text


def test_without_summary_the_table_comes_from_the_stages(undrawn: None, made: ModuleType, tmp_path: Path) -> None:
    run = made.build(tmp_path)
    (run / "summary.json").unlink()
    write_report(run)
    text = _page(run).text
    assert "Status unknown" in text and "summary.json is not there" in text
    assert "law_choice accuracy 25.8% 27.1% 64.2% 63.8%".replace("law_choice", "law_ choice") in text


def test_a_stage_cannot_lead_out_of_the_run(one_look: None, made: ModuleType, tmp_path: Path) -> None:
    run = made.build(tmp_path / "run")
    shutil.copytree(run / "stages" / "1-instruct", tmp_path / "outside")
    plan = read_json(run / "plan.json")
    plan["stages"][0]["name"] = "../../outside"
    write_json(run / "plan.json", plan)
    write_report(run)
    assert "'../../outside' has no folder name" in _page(run).text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outside", "run"]


def test_an_empty_directory(tmp_path: Path) -> None:
    write_report(tmp_path)
    text = _page(tmp_path).text
    assert "No stage was finished" in text and "plan.json is not there" in text


def test_without_evaluations(one_look: None, made: ModuleType, tmp_path: Path) -> None:
    run = made.build(tmp_path)
    for path in run.glob("stages/*/evals.json"):
        write_json(path, {"before": None, "after": None})
    write_json(run / "summary.json", read_json(run / "summary.json") | {"retention": None})
    write_report(run)
    assert "Nothing was measured" in _page(run).text


def test_reading_needs_neither_torch_nor_matplotlib_at_import() -> None:
    code = "import sys, framework.report.html, framework.report.console; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "matplotlib", "PIL", "rich", "jinja2"} & set(done.stdout.split())
