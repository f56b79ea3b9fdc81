"""Checks of rows over real data sets, as a user might offer them: what must be found is, and nothing else.

The sets and what each is known to be stand in ``benchmarks/contracts.py``; docs/contracts.md has the table.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from framework.paths import PROJECT

REAL = Path(os.environ.get("TRIPTYCH_TEST_DATA") or PROJECT.parent / "shared" / "data")
sys.path.insert(0, str(PROJECT / "benchmarks"))

from contracts import CASES, measured, verdicts  # noqa: E402

SLOW = (
    "P3 tasks as instruct",
    "GSM8K alone as instruct",
    "GSM8K as legal domain",
    "Dolly, one in twenty harm answered",
    "SEC contracts as instruct, cut in two",
    "Licences as legal domain",
)
CHOSEN = [pytest.param(case, marks=[pytest.mark.slow] if case.title in SLOW else []) for case in CASES]


@pytest.mark.skipif(not REAL.is_dir(), reason=f"the real data sets are not at {REAL}; set TRIPTYCH_TEST_DATA")
@pytest.mark.parametrize("case", CHOSEN, ids=[case.title for case in CASES])
def test_what_a_set_is_known_to_be_is_found(case, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    by_code = measured(case, REAL)
    said = verdicts(case, by_code)
    assert {code: verdict for code, verdict in said.items() if verdict in ("missed", "false")} == {}
    for found in by_code.values():
        assert all(finding.fix and finding.message for finding in found)
    if case.title == "Dolly as instruct":
        repeated = [finding for finding in by_code["DUPLICATE"] if "repeat the prompt" in finding.message]
        assert [finding.message.split()[0] for finding in repeated] == ["188"]
        assert "DIVERSITY" not in by_code
    if case.title == "One type of contract, six asked":
        assert any("credit" in finding.message for finding in by_code["COVERAGE"])
