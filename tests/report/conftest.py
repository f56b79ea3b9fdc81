"""One rendered report for all tests that only read it: drawing takes seconds."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from framework.files import write_json
from framework.report import style
from framework.report.audit_html import write_audit
from framework.report.html import write_report
from framework.report.read import RunRecord
from framework.report.style import Picture


@pytest.fixture(scope="session")
def made() -> ModuleType:
    """The module that makes run directories."""
    spec = importlib.util.spec_from_file_location("report_fixtures", Path(__file__).with_name("fixtures.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def finished(made: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with its report and an audit; not to be changed."""
    run: Path = made.build(tmp_path_factory.mktemp("finished"))
    write_report(run)
    write_json(run / "audit.json", made.audit())
    write_audit(run / "audit.json")
    return run


@pytest.fixture
def one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports with the light, wide pictures alone."""
    monkeypatch.setattr("framework.report.style.LOOKS", style.LOOKS[:1])


def _none(run: RunRecord) -> Iterator[Picture]:
    return iter(())


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports without pictures, for tests of the text."""
    monkeypatch.setattr("framework.report.html.pictures", _none)
