"""What contracts measure on real data sets, whether or not it is a finding.

    python benchmarks/contract_figures.py DATA_DIR

The cases are those of ``contracts.py``. Thresholds are put where every figure is told; a figure that is still missing
is one that the check does not take of such data, or that is exactly at the best end.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from contracts import CASES, Case, measured

from framework.checks.base import Finding

FIGURES = {
    "effective task types": ("DIVERSITY", "effective", "checks.diversity.min_types=1000"),
    "refusals": ("REFUSAL", "refuse (", "checks.refusal.min_share=1"),
    "ambiguous or unanswerable": ("EDGE", "ask back", "checks.edge.min_ambiguous=1"),
    "exceptions": ("EDGE", "exception", "checks.edge.min_exceptions=1"),
    "read as documents": ("MISUSE", "read as documents", "checks.misuse.max_documents=0"),
    "off the domain": ("RELEVANCE", "hardly a word", "checks.relevance.max_off=0"),
    "own words held": ("RELEVANCE", "tell the deployment", "checks.relevance.min_vocabulary=1"),
    "divergence of topics": ("COVERAGE", "bits apart", "checks.coverage.max_divergence=1e-9"),
    "repeated rows": ("DUPLICATE", "exactly", "checks.duplicate.max_rows=0"),
    "longer side": ("PAIRS", "is the longer", "checks.pairs.max_longer=0.5"),
}
"""By title: the code, words of its message, and the threshold at which it is always told."""


def row(case: Case, data: Path) -> str:
    """A line of the table."""
    by_code = measured(case, data, [setting for *_, setting in FIGURES.values()])
    cells = [_figure(by_code.get(code, []), words) for code, words, _ in FIGURES.values()]
    return f"| {case.title} | " + " | ".join(cells) + " |"


def _figure(found: list[Finding], words: str) -> str:
    value = next((finding.measured for finding in found if words in finding.message), None)
    return "" if value is None else f"{value:.3g}"


def table(data: Path) -> Iterator[str]:
    """In Markdown, case after case."""
    yield "| set offered as | " + " | ".join(FIGURES) + " |"
    yield "|---" * (len(FIGURES) + 1) + "|"
    for case in CASES:
        yield row(case, data)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    for line in table(parser.parse_args().data):
        print(line, flush=True)


if __name__ == "__main__":
    main()
