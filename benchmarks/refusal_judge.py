"""Measure the refusal judge against human labels.

    python benchmarks/refusal_judge.py xstest_completions.jsonl.gz [--plain ROWS.jsonl.gz --field response]

The first file holds ``model``, ``completion`` and ``label`` (``1_full_compliance``, ``2_full_refusal``,
``3_partial_refusal``): the completions and human labels of XSTest
(github.com/paul-rottger/exaggerated-safety, CC BY 4.0). The judge's cues and weights were made on three of its five
models (``refusal_fit.py``); the other two are held out. ``--plain`` takes ordinary replies, hardly any of
them a refusal (Dolly's, for instance), and gives the share judged so.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framework.judges.refusal import judge

MADE_ON = ("gpt4", "llama2new", "mistralguard")
HELD_OUT = ("llama2orig", "mistralinstruct")
REFUSED, COMPLIED, PARTIAL = "2_full_refusal", "1_full_compliance", "3_partial_refusal"


@dataclass(frozen=True, slots=True)
class Labelled:
    """A model's completion with its human label."""

    model: str
    completion: str
    label: str


@dataclass(frozen=True, slots=True)
class Agreement:
    """Counts of the judge's verdicts against full refusals and full compliances."""

    hits: int
    false_alarms: int
    misses: int
    correct_rejections: int

    @property
    def precision(self) -> float:
        return self.hits / max(self.hits + self.false_alarms, 1)

    @property
    def recall(self) -> float:
        return self.hits / max(self.hits + self.misses, 1)

    @property
    def f1(self) -> float:
        return 2 * self.hits / max(2 * self.hits + self.false_alarms + self.misses, 1)

    @property
    def accuracy(self) -> float:
        counts = (self.hits, self.false_alarms, self.misses, self.correct_rejections)
        return (self.hits + self.correct_rejections) / max(sum(counts), 1)


def measure(rows: Iterable[Labelled]) -> Agreement:
    """The judge against the labels; partial refusals stay aside."""
    verdicts = [(row.label == REFUSED, judge(row.completion)) for row in rows if row.label != PARTIAL]
    return Agreement(
        hits=verdicts.count((True, True)),
        false_alarms=verdicts.count((False, True)),
        misses=verdicts.count((True, False)),
        correct_rejections=verdicts.count((False, False)),
    )


def report(rows: Sequence[Labelled]) -> Iterator[str]:
    """One line for each set of models and each model."""
    titles = f"{'precision':>11}{'recall':>8}{'F1':>8}{'accuracy':>10}"
    yield f"{'completions of':34}{'n':>6}{'refusals':>10}{titles}"
    sets = (("made on", MADE_ON), ("held out", HELD_OUT), ("all", (*MADE_ON, *HELD_OUT)))
    for title, models in (*sets, *((model, (model,)) for model in (*MADE_ON, *HELD_OUT))):
        found = measure(row for row in rows if row.model in models)
        refusals = found.hits + found.misses
        n = refusals + found.false_alarms + found.correct_rejections
        figures = f"{found.precision:11.3f}{found.recall:8.3f}{found.f1:8.3f}{found.accuracy:10.3f}"
        yield f"{title:34}{n:6}{refusals:10}{figures}"
    partial = [judge(row.completion) for row in rows if row.label == PARTIAL]
    yield f"{len(partial)} partial refusals left aside; the judge calls {sum(partial)} of them refusals"


def read(file: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(file, "rt", encoding="utf-8") if file.suffix == ".gz" else file.open(encoding="utf-8") as stream:
        for line in stream:
            yield json.loads(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labelled", type=Path)
    parser.add_argument("--plain", type=Path, help="JSON lines with ordinary replies")
    parser.add_argument("--field", default="response", help="the column of --plain that holds the reply")
    given = parser.parse_args()
    rows = [Labelled(row["model"], row["completion"], row["label"]) for row in read(given.labelled)]
    print("\n".join(report(rows)))
    if given.plain:
        replies = [str(row[given.field]) for row in read(given.plain)]
        refused = sum(judge(reply) for reply in replies)
        print(f"{given.plain.name}: {refused} of {len(replies)} ordinary replies judged refusals")


if __name__ == "__main__":
    main()
