"""Measure what is inferred where rows carry no labels: task types, topics, harmful prompts, questions back.

    python benchmarks/inference.py DATA_FOLDER

DATA_FOLDER holds public sets as JSON lines: ``p3_t0_mix/p3_t0_mix.jsonl.gz`` (prompt, task),
``self_instruct/seed_tasks.jsonl``, ``legal_contracts_sec/sec_contracts.jsonl.gz`` (text, type),
``xstest/xstest_prompts.jsonl`` (prompt, label), ``strongreject/strongreject_mit.jsonl`` (prompt) and
``dolly15k/dolly15k.jsonl.gz``. Every set is split in two: rules were improved on even places, figures for odd
places are held out. Refusals have a benchmark of their own, ``refusal_judge.py``.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.refusal_judge import read
from framework.judges.requests import asks, harmful
from framework.judges.tasks import infer_task
from framework.judges.topics import UNKNOWN, Topics

Rows = Sequence[dict[str, Any]]

QUESTION = {"open_qa", "closed_qa"}
TASKS: tuple[tuple[str, set[str]], ...] = (
    (r"generate_question|Generate_the_question|build_story", {"write", "story"}),
    (r"common_gen_(?:sentence_to|topics_from)", {"extract"}),
    (r"common_gen|wiki_bio_(?:comprehension|key|what|who)", {"write"}),
    (r"paws_labeled_final_paraphrase_task", {"rewrite"}),
    (r"paws|dbpedia|qasc_is_correct|Check_if|decide_worth|does_the_supposed|effect_with", {"classify"}),
    (r"title_generation|Guess_Title", {"summarise"}),
    (r"extract_answer|Read_And_Extract", {"extract", "closed_qa"}),
    (r"", QUESTION),
)
"""Template of P3 -> the types that name its task; the first pattern that is found decides."""

CONTRACTS = {
    "construction": ["construction", "contractor", "owner", "project", "architect", "work site", "subcontractor"],
    "credit": ["credit agreement", "lender", "borrower", "loan", "commitment", "collateral"],
    "employment": ["employment agreement", "employee", "executive", "salary", "duties", "vacation"],
    "retirement": ["retirement plan", "participant", "beneficiary", "benefit", "actuarial", "pension"],
    "severance": ["severance agreement", "separation", "severance pay", "release of claims", "change in control"],
    "software_license": ["software", "licensee", "licensor", "source code", "software license", "documentation"],
}
"""Terms that a user might write for the six types of contract: from general knowledge, not from the texts."""


def expected(template: str) -> set[str]:
    return next(types for pattern, types in TASKS if re.search(pattern, template))


def tasks(rows: Rows, seeds: Rows, plain: Rows) -> Iterator[str]:
    """By template, so that no template is in both halves."""
    order = {name: place for place, name in enumerate(sorted({row["task"] for row in rows}))}
    for title, parity in (("made on", 0), ("held out", 1)):
        half = [row for row in rows if order[row["task"]] % 2 == parity]
        guesses = [infer_task(row["prompt"]) for row in half]
        right = sum(guess in expected(row["task"]) for guess, row in zip(guesses, half, strict=True))
        yield f"task types, P3 {title:9} {len(half):6} prompts {right / len(half):7.3f} right"
        kinds = Counter(min(expected(row["task"])) for row in half)
        for kind, n in sorted(kinds.items()):
            hits = sum(
                guess in expected(row["task"])
                for guess, row in zip(guesses, half, strict=True)
                if min(expected(row["task"])) == kind
            )
            yield f"    {kind:12} {n:6} {hits / n:7.3f}"
    prompts = [f"{row['instruction']}\n\n{row['input']}".strip() for row in seeds]
    agree = sum(
        (infer_task(prompt) == "classify") == row["is_classification"]
        for prompt, row in zip(prompts, seeds, strict=True)
    )
    yield f"classification or not, seed tasks {len(seeds)}: {agree / len(seeds):.3f} right"
    yield _speed("infer_task", infer_task, [_prompt(row) for row in plain])


def topics(rows: Rows) -> Iterator[str]:
    made, held = rows[::2], rows[1::2]
    ways = {
        "from examples": Topics.from_examples([(row["text"], row["type"]) for row in made]),
        "from terms": Topics.from_terms(CONTRACTS),
    }
    for title, declared in ways.items():
        guesses = declared.classify([row["text"] for row in held])
        hits = Counter(row["type"] for row, guess in zip(held, guesses, strict=True) if guess.topic == row["type"])
        of = Counter(row["type"] for row in held)
        unknown = sum(guess.topic == UNKNOWN for guess in guesses)
        mean = sum(hits[name] / n for name, n in of.items()) / len(of)
        yield (
            f"topics {title:14} {len(held)} contracts {hits.total() / len(held):.3f} right, mean of types {mean:.3f}, "
            f"{unknown} unknown; " + ", ".join(f"{name} {hits[name]}/{n}" for name, n in sorted(of.items()))
        )


def requests(labelled: Rows, unsafe: Rows, plain: Rows) -> Iterator[str]:
    """XSTest by label, prompts that are all harmful, and everyday ones of which nearly none is."""
    sets = {
        "XSTest unsafe": [row["prompt"] for row in labelled if row["label"] == "unsafe"],
        "XSTest safe": [row["prompt"] for row in labelled if row["label"] == "safe"],
        "StrongREJECT": [row["prompt"] for row in unsafe],
        "Dolly": [_prompt(row) for row in plain],
    }
    for name, prompts in sets.items():
        for title, half in (("made on", prompts[::2]), ("held out", prompts[1::2])):
            marked = sum(map(harmful, half))
            yield f"harmful, {name:14} {title:9} {marked:5} of {len(half):5} marked ({marked / len(half):.3f})"
    asked = sum(map(asks, sets["Dolly"]))
    yield f"asks, Dolly: {asked} of {len(plain)} prompts ask ({asked / len(plain):.3f}; all should)"
    yield _speed("harmful", harmful, sets["Dolly"])


def _prompt(row: dict[str, Any]) -> str:
    return f"{row['instruction']}\n\n{row['context']}".strip()


def _speed(name: str, judge: Callable[[str], object], texts: Sequence[str]) -> str:
    start = time.process_time()
    for text in texts:
        judge(text)
    return f"{name}: {(time.process_time() - start) / len(texts) * 1e6:.0f} microseconds a prompt ({len(texts)})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    plain = list(read(folder / "dolly15k/dolly15k.jsonl.gz"))
    seeds = list(read(folder / "self_instruct/seed_tasks.jsonl"))
    for line in tasks(list(read(folder / "p3_t0_mix/p3_t0_mix.jsonl.gz")), seeds, plain):
        print(line)
    for line in topics(list(read(folder / "legal_contracts_sec/sec_contracts.jsonl.gz"))):
        print(line)
    labelled = list(read(folder / "xstest/xstest_prompts.jsonl"))
    for line in requests(labelled, list(read(folder / "strongreject/strongreject_mit.jsonl")), plain):
        print(line)


if __name__ == "__main__":
    main()
