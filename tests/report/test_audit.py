"""The audit's page: its numbers are those of audit.json, and it is harmless whatever the data holds."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from framework.paths import PROJECT
from framework.report import audit_records, numbers
from framework.report.audit_html import headline, write_audit
from framework.report.audit_records import AuditFile
from framework.report.records import Record

HOSTILE = '<script>alert("x")</script><img src=x onerror=alert(1)> & {{ 7 * 7 }} $\\frac{ _'
SECTIONS = ("glance", "findings", "sources", "lengths", "tasks", "topics", "refusals", "duplicates", "leaks", "how")


def row(text: str | None = "An excerpt", extra: str = "") -> dict[str, Any]:
    return {"row": f"mine {extra}rows.jsonl:7", "text": text}


def made(extra: str = "") -> dict[str, Any]:
    """A whole audit.json; ``extra`` stands before every text that comes from data."""
    source = {
        "kind": "jsonl", "location": f"{extra}rows.jsonl", "format": "instruction", "records": 1317, "rows": 1311,
        "dropped": {f"{extra}not JSON": {"count": 6, "first": f"{extra}rows.jsonl:12"}}, "truncated": 23,
        "rows_used": 1288, "sequences": 2576, "tokens": 417203, "supervised_tokens": 203411, "epochs": 2.0,
        "planned": 0.61, "realised": 0.587, "lengths": {"median": 153, "p95": 409, "longest": 512},
    }  # fmt: skip
    values = {
        "rows": 1311, "without": 11, "effective": 3.21, "unlisted": 2, "unlisted_rows": 17,
        "values": [
            {"value": f"{extra}open_qa", "rows": 883, "share": 0.679, "target": 0.5},
            {"value": f"{extra}code", "rows": 400, "share": 0.308, "target": None},
        ],
    }  # fmt: skip
    duplicates = {
        "similarity": 0.8, "rows": 1311, "exact": 41, "near": 19, "across": 3, "prompts": 77, "groups": 31,
        "sources": {f"{extra}mine": {"rows": 1311, "exact": 41, "near": 19}},
        "largest": [{"rows": 9, "exact": True, "sources": {f"{extra}mine": 9}, "examples": [row(f"{extra}Again")]}],
    }  # fmt: skip
    leak = {"suite": f"{extra}choice", "items": 143, "leaked": 13, "rows": 14}
    stage = {
        "name": "1-instruct", "kind": "instruct", "steps": 204, "tokens": 417203, "supervised_tokens": 203411,
        "max_length": 512, "unit": "tokens", "sources": {f"{extra}mine": source},
        "lengths": {"edges": [0, 8, 512], "counts": [29, 2547], "at_limit": 46}, "tasks": values, "topics": values,
        "manners": {f"{extra}mine": {
            "rows": 1311, "spoken": 1309, "refuses": 27, "asks_back": 8, "harmful": 37, "answered": 21,
        }},
        "duplicates": duplicates,
        "leaks": [{**leak, "examples": [{"item": f"{extra}item-5", "row": row(None, extra)}]}],
    }  # fmt: skip
    finding = {"stage": "instruct", "message": f"{extra}it is so", "fix": f"{extra}mend it"}
    return {
        "version": 1, "name": f"{extra}mine", "model": f"{extra}tiny", "seed": 3, "plan_key": "abc", "created": 1.8e9,
        "command": f"python train.py do=audit {extra}", "shows_harmful": False, "checks": ["LEAK", "MASK", "REFUSAL"],
        "findings": [
            {**finding, "code": "REFUSAL", "level": "warning", "measured": 0.0206, "examples": [row(f"{extra}Harm?")]},
            {**finding, "code": "LEAK", "level": "error", "measured": 0.0909, "examples": [row(None, extra)]},
        ],
        "stages": [stage],
    }  # fmt: skip


def written(folder: Path, value: dict[str, Any]) -> str:
    (folder / "audit.json").write_text(json.dumps(value), encoding="utf-8")
    return write_audit(folder / "audit.json").read_text(encoding="utf-8")


class _Page(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.style = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.style = tag == "style"

    def handle_data(self, data: str) -> None:
        if not self.style:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_numbers_of_the_file_are_on_the_page(one_look: None, tmp_path: Path) -> None:
    value = made()
    page = _Page(written(tmp_path, value))
    assert [attrs["id"] for tag, attrs in page.tags if tag == "section"] == list(SECTIONS)
    counts: list[int] = []
    shares: list[float] = []

    def collect(inner: Any, name: str = "") -> None:
        if isinstance(inner, dict):
            for key, one in inner.items():
                collect(one, key)
        elif isinstance(inner, list):
            for one in inner:
                collect(one, name)
        elif isinstance(inner, int) and not isinstance(inner, bool):
            counts.append(inner)
        elif name in ("share", "target", "planned", "realised") and inner is not None:
            shares.append(inner)

    collect({**value["stages"][0], "steps": 0})
    shown = set(re.findall(r"[\d,.]+%?", page.text))
    edges = {f"{edge + 1:,}" for edge in value["stages"][0]["lengths"]["edges"]}
    missing = [number for number in counts if f"{number:,}" not in shown and f"{number + 1:,}" not in edges]
    assert [number for number in missing if number not in (417203, 203411)] == []
    assert "417k tokens" in page.text and "417,203" in page.text
    assert all(numbers.share(part) in page.text for part in shares)
    assert "measured 0.0206" in page.text and "it is so" in page.text and "mend it" in page.text
    assert not re.search(r"\b(nan|inf|None|Undefined)\b", page.text, re.IGNORECASE)


def test_what_is_worst_comes_first(one_look: None, tmp_path: Path) -> None:
    audit = AuditFile.model_validate(made())
    assert headline(audit).startswith("Not ready to train. First of all, LEAK in 1-instruct")
    text = _Page(written(tmp_path, made())).text
    assert "1 error, 1 warning" in text and "Nothing to say: MASK" in text
    clean = {**made(), "findings": []}
    assert "Nothing was found: every check passed." in _Page(written(tmp_path, clean)).text


def test_harmful_texts_are_withheld_and_counted(one_look: None, tmp_path: Path) -> None:
    text = _Page(written(tmp_path, made())).text
    assert text.count("text withheld: the prompt seems harmful") == 2
    assert "2 texts on this page are withheld" in text


@pytest.mark.filterwarnings("error")
def test_hostile_text_stays_text(one_look: None, tmp_path: Path) -> None:
    html = written(tmp_path, made(HOSTILE))
    page = _Page(html)
    assert not [tag for tag, _ in page.tags if tag in ("script", "iframe", "object", "base", "form")]
    assert not [attrs for _, attrs in page.tags if any(name.startswith("on") for name in attrs)]
    assert "<script>" not in html and "onerror=alert(1)>" not in html
    assert "{{ 7 * 7 }}" in page.text
    for _, attrs in page.tags:
        for name in ("src", "href", "srcset"):
            if (target := attrs.get(name)) is not None:
                assert target.startswith(("data:", "#"))
    assert "default-src 'none'" in html


def test_a_thousand_findings_are_folded(one_look: None, tmp_path: Path) -> None:
    value = made()
    value["findings"] = [{**value["findings"][0], "message": f"number {number}"} for number in range(1000)]
    page = _Page(written(tmp_path, value))
    folds = [attrs for tag, attrs in page.tags if tag == "details" and attrs.get("class") == "found"]
    assert len(folds) == 1 and "open" not in folds[0]
    assert "REFUSAL: 1,000 findings" in page.text and "number 999" in page.text


def test_every_field_is_documented() -> None:
    text = (PROJECT / "docs" / "audit.md").read_text(encoding="utf-8")
    records = [one for one in vars(audit_records).values() if isinstance(one, type) and issubclass(one, Record)]
    fields = {name for one in records if one.__module__ == audit_records.__name__ for name in one.model_fields}
    assert not [name for name in sorted(fields) if not re.search(rf"`{name}(?:\[[^`]*)?`", text)]
