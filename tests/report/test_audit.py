"""The audit's page: its numbers are those of audit.json, and it is harmless whatever the data holds."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from framework.paths import PROJECT
from framework.report import audit_records, numbers
from framework.report.audit_html import headline, write_audit
from framework.report.audit_records import AuditFile
from framework.report.records import Record

SECTIONS = ("glance", "findings", "sources", "lengths", "tasks", "topics", "refusals", "duplicates", "leaks", "how")


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


def test_numbers_of_the_file_are_on_the_page(one_look: None, made: ModuleType, tmp_path: Path) -> None:
    value = made.audit()
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
    shown = set(re.findall(r"\d[\d,.]*\d|\d", page.text))
    edges = {f"{edge + 1:,}" for edge in value["stages"][0]["lengths"]["edges"]}
    missing = [number for number in counts if f"{number:,}" not in shown and f"{number + 1:,}" not in edges]
    assert not missing
    assert "417k tokens" in page.text and "417,203" in page.text
    assert all(numbers.share(part) in page.text for part in shares)
    assert "measured 0.0206" in page.text and "it is so" in page.text and "mend it" in page.text
    assert not re.search(r"\b(nan|NaN|inf|None|Undefined)\b", page.text)


def test_what_is_worst_comes_first(one_look: None, made: ModuleType, tmp_path: Path) -> None:
    audit = AuditFile.model_validate(made.audit())
    assert headline(audit).startswith("Not ready to train. First of all, LEAK in 1-instruct")
    text = _Page(written(tmp_path, made.audit())).text
    assert "1 error, 1 warning" in text and "Nothing to say: MASK" in text
    clean = {**made.audit(), "findings": []}
    assert "Nothing was found: every check passed." in _Page(written(tmp_path, clean)).text


def test_harmful_texts_are_withheld_and_counted(one_look: None, made: ModuleType, tmp_path: Path) -> None:
    text = _Page(written(tmp_path, made.audit())).text
    assert text.count("text withheld: the prompt seems harmful") == 2
    assert "2 texts on this page are withheld" in text


@pytest.mark.filterwarnings("error")
def test_hostile_text_stays_text(one_look: None, made: ModuleType, tmp_path: Path) -> None:
    html = written(tmp_path, made.audit(made.HOSTILE + " $\\frac{ _"))
    page = _Page(html)
    assert not [tag for tag, _ in page.tags if tag in ("script", "iframe", "object", "base", "form")]
    assert not [attrs for _, attrs in page.tags if any(name.startswith("on") for name in attrs)]
    assert "<script>" not in html and "onerror=alert(1)>" not in html
    assert "{{ 7 * 7 }}" in page.text
    for _, attrs in page.tags:
        for name in ("src", "href", "srcset"):
            if (target := attrs.get(name)) is not None:
                assert target.startswith(("data:", "#"))
    policy = next(attrs["content"] for tag, attrs in page.tags if attrs.get("http-equiv"))
    assert policy is not None and policy.startswith("default-src 'none'")


def test_a_thousand_findings_are_folded(one_look: None, made: ModuleType, tmp_path: Path) -> None:
    value = made.audit()
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
