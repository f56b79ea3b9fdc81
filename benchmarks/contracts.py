"""All contracts over real data sets, with true and false alarms counted against what each set is known to be.

    python benchmarks/contracts.py DATA_DIR [--details]

``DATA_DIR`` holds the sets named in ``CASES`` as JSON lines (gzip or plain): Dolly, P3, SEC contracts, court opinions
and policies, consumer finance regulations, licences, LegalBench, MMLU, GSM8K, XSTest, HH-RLHF, LLMBar, OASST and C4.
A case is a set offered to a stage as a user might offer it. ``must`` are the codes that have to be found (a true alarm
when they are, a miss when not), ``may`` those for which a finding would be neither right nor wrong; every other code
that is found is a false alarm. Findings at level info do not count. Expectations come from what the sets' makers say of
them and from reading rows. The figures of most of these sets were seen while defaults were chosen, so the table shows
that reasons and data agree; it is no test on unseen data.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from contract_sets import (
    Row,
    answered,
    dolly,
    gsm8k,
    jsonl,
    legal_questions,
    legalbench,
    mbpp,
    oasst,
    p3,
    pairs,
    safety,
    sec,
    sec_cut,
    sec_one_type,
    sec_titled,
    sec_types,
    seeds,
    texts,
    xstest_items,
)

from framework.checks.base import Finding, Subject
from framework.compose import compose
from framework.data.load import read
from framework.data.rows import kind_of
from framework.judges.edges import lookalike
from framework.profile.access import Profiles
from framework.schema import Kind

CODES = (
    "STRUCTURE", "DIVERSITY", "REFUSAL", "EDGE", "CONSISTENCY", "MISUSE",
    "COVERAGE", "RELEVANCE", "PAIRS", "DUPLICATE", "LEAK",
)  # fmt: skip
"""Codes that judge rows; ORDER, MASK, REPEAT, ENGINE and FIT judge plans, not sets."""


@dataclass(frozen=True, slots=True)
class Case:
    """A set offered to a stage."""

    title: str
    stage: Kind
    rows: Callable[[Path], Iterable[Row]] | None
    """``None`` for the bundled sample's own, with its suites."""
    must: str = ""
    may: str = ""
    deployment: Callable[[Path], Iterable[Row]] | None = None
    suite: Callable[[Path], Iterable[Row]] | None = None


CASES = (
    Case("Bundled sample, instruct", "instruct", None),
    Case("Bundled sample, domain", "domain", None),
    Case("Bundled sample, align", "align", None),
    Case("Dolly as instruct", "instruct", dolly, "REFUSAL EDGE DUPLICATE", "CONSISTENCY"),
    Case("P3 tasks as instruct", "instruct", p3, "REFUSAL EDGE", "CONSISTENCY DUPLICATE DIVERSITY"),
    Case("OASST replies as instruct", "instruct", oasst, "", "CONSISTENCY DUPLICATE REFUSAL"),
    Case("Self-Instruct seeds as instruct", "instruct", seeds, "", "CONSISTENCY REFUSAL EDGE"),
    Case("GSM8K alone as instruct", "instruct", gsm8k, "DIVERSITY REFUSAL EDGE", "CONSISTENCY"),
    Case("MBPP alone as instruct", "instruct", mbpp, "DIVERSITY REFUSAL EDGE", "CONSISTENCY DUPLICATE"),
    Case("XSTest replies that over-refuse as instruct", "instruct", safety, "REFUSAL", "DIVERSITY EDGE CONSISTENCY"),
    Case("Dolly, one in twenty harm answered", "instruct", answered, "REFUSAL EDGE", "CONSISTENCY DUPLICATE"),
    Case("SEC contracts as instruct, raw", "instruct", sec, "STRUCTURE", "REFUSAL EDGE DIVERSITY DUPLICATE"),
    Case("SEC contracts as instruct, title and text", "instruct", sec_titled, "MISUSE",
         "REFUSAL EDGE DIVERSITY DUPLICATE CONSISTENCY"),
    Case("SEC contracts as instruct, cut in two", "instruct", sec_cut, "MISUSE",
         "REFUSAL EDGE DIVERSITY DUPLICATE CONSISTENCY"),
    Case("Dolly as legal domain", "domain", dolly, "MISUSE RELEVANCE DUPLICATE", "EDGE CONSISTENCY COVERAGE",
         deployment=legal_questions),
    Case("GSM8K as legal domain", "domain", gsm8k, "MISUSE RELEVANCE", "EDGE CONSISTENCY COVERAGE",
         deployment=legal_questions),
    Case("C4 as legal domain", "domain", texts("llamafactory_demo/c4_en.jsonl.gz"), "RELEVANCE", "EDGE DUPLICATE",
         deployment=legal_questions),
    Case("LegalBench as legal domain", "domain", legalbench, "", "DUPLICATE CONSISTENCY RELEVANCE EDGE",
         deployment=legal_questions),
    Case("SEC contracts as legal domain", "domain", sec, "", "DUPLICATE", deployment=legal_questions),
    Case("Opinions and policies as legal domain", "domain", texts("legal_misc/legal_misc.jsonl.gz"), "", "DUPLICATE",
         deployment=legal_questions),
    Case("Licences as legal domain", "domain", texts("legal_spdx_licences/spdx_licences.jsonl.gz"), "DUPLICATE",
         "RELEVANCE", deployment=legal_questions),
    Case("Six types of contract, all asked", "domain", sec_types(0), "", "DUPLICATE", deployment=sec_types(1)),
    Case("One type of contract, six asked", "domain", sec_one_type, "COVERAGE", "DUPLICATE", deployment=sec_types(1)),
    Case("HH-RLHF harmless as align", "align", pairs("hh_rlhf_harmless/harmless_base_test.jsonl.gz"), "",
         "CONSISTENCY DUPLICATE"),
    # One of its pairs has the same text on both sides.
    Case("LLMBar as align", "align", pairs("llmbar/llmbar.jsonl.gz"), "PAIRS", "DUPLICATE"),
    Case("OASST pairs as align", "align", pairs("oasst_sample/oasst_pairs.jsonl.gz"), "", "PAIRS DUPLICATE"),
    Case("XSTest pairs as align, XSTest measured", "align", pairs("xstest/xstest_pairs.jsonl.gz"), "LEAK",
         "PAIRS DUPLICATE", suite=xstest_items),
)  # fmt: skip


def written(path: Path, rows: Iterable[Row]) -> Path:
    """Rows as JSON lines."""
    with path.open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(row) + "\n" for row in rows)
    return path


def found(case: Case, data: Path, folder: Path, more: Sequence[str]) -> list[Finding]:
    """All findings of checks that judge rows; ``more`` sets thresholds."""
    stage = case.stage
    if case.rows is None:
        return _findings(stage, ["model=tiny", f"stage={stage}", *more])
    given = [f"data.{stage}.sources.rows.path={written(folder / 'rows.jsonl', case.rows(data))}"]
    if case.deployment:
        given.append(f"data.domain.contract.deployment={written(folder / 'asked.jsonl', case.deployment(data))}")
    if case.suite:
        path = written(folder / "suite.jsonl", case.suite(data))
        given.append(f"++eval.suites.items={{kind: refusal, measures: instruct, path: {path}}}")
    return _findings(stage, ["model=tiny", "data=files", f"stage={stage}", "eval=none", *given, *more])


def _findings(stage: Kind, arguments: list[str]) -> list[Finding]:
    config = compose(arguments).config
    sources = config.data.of(stage).sources
    prepared = cast("Any", {stage: _Counted(sources)})
    subject = Subject(config, [stage], prepared, True, Profiles({stage: sources}, _quiet))
    asked = [check for check in config.checks.all() if check.code in CODES]
    return [finding for check in asked for finding in check.check(subject)]


def _quiet(message: str, done: int, total: int) -> None:
    """Nobody watches."""


class _Counted:
    """What STRUCTURE reads of a stage's prepared data: kinds of rows by source, counted without tokenising them."""

    def __init__(self, sources: Any) -> None:
        self.sources = {name: _Use(name, source) for name, source in sources.items()}


class _Use:
    def __init__(self, name: str, source: Any) -> None:
        self.kinds: dict[str, int] = {}
        for row in read(name, source).rows:
            self.kinds[kind_of(row)] = self.kinds.get(kind_of(row), 0) + 1
        self.rows = sum(self.kinds.values())
        self.negative_margins = 0


def measured(case: Case, data: Path, more: Sequence[str] = ()) -> dict[str, list[Finding]]:
    """Findings above info by code, in a home of their own."""
    with tempfile.TemporaryDirectory() as folder:
        before = os.environ.get("TRIPTYCH_HOME")
        os.environ["TRIPTYCH_HOME"] = folder
        try:
            by_code: dict[str, list[Finding]] = {}
            for finding in found(case, data, Path(folder), more):
                if finding.level != "info":
                    by_code.setdefault(finding.code, []).append(finding)
            return by_code
        finally:
            os.environ.pop("TRIPTYCH_HOME")
            if before is not None:
                os.environ["TRIPTYCH_HOME"] = before


def verdicts(case: Case, by_code: dict[str, list[Finding]]) -> dict[str, str]:
    """By code: ``true``, ``missed``, ``false``, ``open`` (may be found) or nothing."""
    must, may = set(case.must.split()), set(case.may.split())
    said: dict[str, str] = {}
    for code in CODES:
        if code in by_code:
            said[code] = "true" if code in must else "open" if code in may else "false"
        elif code in must:
            said[code] = "missed"
    return said


def table(data: Path, details: bool) -> Iterator[str]:
    """The table in Markdown, then the counts; with details every finding after its case."""
    yield "| set offered as | " + " | ".join(CODES) + " |"
    yield "|---" * (len(CODES) + 1) + "|"
    counts: Counter[str] = Counter()
    told: list[str] = []
    for case in CASES:
        by_code = measured(case, data)
        said = verdicts(case, by_code)
        cells: list[str] = []
        for code in CODES:
            figures = "; ".join(
                f"{finding.measured:g}" for finding in by_code.get(code, []) if finding.measured is not None
            )
            verdict = said.get(code, "")
            counts[verdict] += 1
            shown = figures or ("yes" if code in by_code else "")
            cells.append({"true": f"**{shown}**", "missed": "missed", "false": f"{shown} (false)"}.get(verdict, shown))
        yield f"| {case.title} | " + " | ".join(cells) + " |"
        told += [f"{case.title}: {f.code} {f.level}: {f.message}" for findings in by_code.values() for f in findings]
    yield ""
    yield f"{counts['true']} true alarms, {counts['missed']} missed, {counts['false']} false, {counts['open']} open; "
    yield f"{counts['']} times rightly silent."
    if details:
        yield ""
        yield from told


def lookalikes(data: Path) -> str:
    """How far the rule for harmless look-alikes can be trusted, on XSTest's labelled prompts."""
    rows = list(jsonl(data, "xstest/xstest_prompts.jsonl"))
    safe, unsafe = (
        [lookalike(row["prompt"]) for row in rows if (row["label"] == "unsafe") is label] for label in (False, True)
    )
    return f"Look-alikes: {sum(safe)} of {len(safe)} safe prompts found, {sum(unsafe)} of {len(unsafe)} unsafe ones."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--details", action="store_true", help="every finding's message after the table")
    given = parser.parse_args()
    for line in table(given.data, given.details):
        print(line, flush=True)
    print(lookalikes(given.data))


if __name__ == "__main__":
    main()
