"""The plan and the retention table in the terminal."""

from __future__ import annotations

import io
from types import ModuleType
from typing import Any, cast

import pytest
from rich.console import Console

from framework.files import read_json
from framework.plan import Plan
from framework.report.console import print_plan, print_retention


class _Planned:
    def __init__(self, content: dict[str, Any]) -> None:
        self._content = content

    def public(self) -> dict[str, Any]:
        return self._content


def _plan_text(content: dict[str, Any], width: int, terminal: bool = False) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=terminal, color_system="standard" if terminal else None)
    print_plan(cast("Plan", _Planned(content)), console)
    return stream.getvalue()


def _retention_text(summary: dict[str, Any], width: int) -> str:
    stream = io.StringIO()
    print_retention(summary, Console(file=stream, width=width))
    return stream.getvalue()


@pytest.mark.parametrize("width", [80, 100])
def test_plan_is_whole_at_usual_widths(made: ModuleType, width: int) -> None:
    text = _plan_text(made.plan_json(), width)
    content = made.plan_json()
    assert "\x1b" not in text
    for stage in content["stages"]:
        row = next(line for line in text.splitlines() if line.startswith(stage["name"]))
        assert ("lora x0.8" in row) == (stage["strength"] < 1)
        assert len(row) <= width and stage["key"][:8] in row and f"{stage['steps']}" in row
        for name, use in stage["sources"].items():
            assert any(line.startswith(name) and f"{use['tokens']:,}" in line for line in text.splitlines())
    assert (
        "reused" in text and "897 of 900" in text and "2 left out: not JSON; 1 left out: no text; 14 truncated" in text
    )
    for finding in content["findings"]:
        assert f"{finding['level']} {finding['code']}" in text
        assert " ".join(finding["message"].split()) in " ".join(text.split())


def test_findings_stand_errors_first(made: ModuleType) -> None:
    content = made.plan_json()
    content["findings"].reverse()
    text = _plan_text(content, 80)
    assert text.index("error LEAK") < text.index("warning REPEAT") < text.index("info FIT")


def test_no_findings(made: ModuleType) -> None:
    assert "Findings: none" in _plan_text(made.plan_json() | {"findings": []}, 80)


def test_colours_on_a_terminal_alone(made: ModuleType) -> None:
    assert "\x1b[" in _plan_text(made.plan_json(), 80, terminal=True)


def test_markup_in_names_is_text(made: ModuleType) -> None:
    content = made.plan_json()
    sources = content["stages"][0]["sources"]
    sources["[red]x[/red]"] = sources.pop("tasks")
    content["findings"][0]["message"] = "[/nonsense] [bold]"
    text = _plan_text(content, 100)
    assert "[red]x[/red]" in text and "[/nonsense] [bold]" in text


@pytest.mark.parametrize("width", [80, 100])
def test_retention_groups_and_verdicts(made: ModuleType, tmp_path: Any, width: int) -> None:
    summary = read_json(made.build(tmp_path) / "summary.json")
    text = _retention_text(summary, width)
    lines = [line.rstrip() for line in text.splitlines()]
    assert [line for line in lines if line in ("instruct", "domain", "align", "general")] == [
        "instruct",
        "domain",
        "align",
        "general",
    ]
    row = next(line.split() for line in lines if line.strip().startswith("general_text"))
    assert row == ["general_text", "21.36", "21.02", "22.44", "23.30", "+10.8%"]
    row = next(line.split() for line in lines if line.strip().startswith("preference "))
    assert row[-2:] == ["78.1%", "best"]
    assert max(map(len, lines)) <= width and "\x1b" not in text


def test_retention_without_measurements() -> None:
    assert "nothing was measured" in _retention_text({"retention": None}, 80)


def test_failed_gates_stand_below(made: ModuleType, tmp_path: Any) -> None:
    summary = read_json(made.build(tmp_path, "gate_failed") / "summary.json")
    assert "gate failed  general_text: perplexity is 23.3" in _retention_text(summary, 80)
