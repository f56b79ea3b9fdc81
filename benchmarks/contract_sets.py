"""Data sets as a user might offer them to a stage: rows of each, from a folder of JSON lines (gzip or plain)."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def jsonl(data: Path, name: str) -> Iterator[Row]:
    """Rows of a set."""
    path = data / name
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as stream:
        for line in stream:
            yield json.loads(line)


def dolly(data: Path) -> Iterator[Row]:
    return jsonl(data, "dolly15k/dolly15k.jsonl.gz")


def p3(data: Path) -> Iterator[Row]:
    for row in jsonl(data, "p3_t0_mix/p3_t0_mix.jsonl.gz"):
        yield {"prompt": row["prompt"], "completion": row["completion"]}


def gsm8k(data: Path) -> Iterator[Row]:
    for row in jsonl(data, "gsm8k/train.jsonl.gz"):
        yield {"instruction": row["question"], "response": row["answer"]}


def oasst(data: Path) -> Iterator[Row]:
    for row in jsonl(data, "oasst_sample/oasst_sft.jsonl.gz"):
        yield {"messages": row["messages"]}


def mbpp(data: Path) -> Iterator[Row]:
    for row in jsonl(data, "mbpp/mbpp.jsonl.gz"):
        yield {"instruction": row["text"], "response": row["code"]}


def seeds(data: Path) -> Iterator[Row]:
    for row in jsonl(data, "self_instruct/seed_tasks.jsonl"):
        yield {"instruction": row["instruction"], "input": row["input"], "output": row["output"]}


def sec(data: Path) -> Iterator[Row]:
    """The beginning of each contract, as raw text."""
    for row in jsonl(data, "legal_contracts_sec/sec_contracts.jsonl.gz"):
        yield {"text": row["text"][:20000]}


def sec_titled(data: Path) -> Iterator[Row]:
    """A title as instruction, the contract as response."""
    for row in jsonl(data, "legal_contracts_sec/sec_contracts.jsonl.gz"):
        if row["title"]:
            yield {"instruction": row["title"], "response": row["text"][:8000]}


def sec_cut(data: Path) -> Iterator[Row]:
    """Contracts cut into pieces: one piece as prompt, the next as completion."""
    for row in jsonl(data, "legal_contracts_sec/sec_contracts.jsonl.gz"):
        words = row["text"].split()[:4000]
        for start in range(0, len(words) - 400, 400):
            yield {
                "prompt": " ".join(words[start : start + 200]),
                "completion": " ".join(words[start + 200 : start + 400]),
            }


def sec_one_type(data: Path) -> Iterator[Row]:
    """Employment contracts alone, without a label."""
    for row in jsonl(data, "legal_contracts_sec/sec_contracts.jsonl.gz"):
        if row["type"] == "employment":
            yield {"text": row["text"][:20000]}


def sec_types(part: int) -> Callable[[Path], Iterator[Row]]:
    """Every other contract of all six types, without a label (0) or as a labelled sample (1)."""

    def rows(data: Path) -> Iterator[Row]:
        for place, row in enumerate(jsonl(data, "legal_contracts_sec/sec_contracts.jsonl.gz")):
            if place % 2 == part:
                yield {"text": row["text"][:20000], **({"topic": row["type"]} if part else {})}

    return rows


def texts(name: str, most: int = 20000) -> Callable[[Path], Iterator[Row]]:
    """The texts of a set."""

    def rows(data: Path) -> Iterator[Row]:
        for row in jsonl(data, name):
            yield {"text": row["text"][:most]}

    return rows


def legalbench(data: Path) -> Iterator[Row]:
    for row in jsonl(data, "legalbench/legalbench_train.jsonl.gz"):
        yield {"prompt": " ".join(row["inputs"].values()) + "\nAnswer:", "completion": row["answer"]}


def legal_questions(data: Path) -> Iterator[Row]:
    """What users of a legal assistant may ask: questions of law exams."""
    for row in jsonl(data, "mmlu_subset/mmlu_legal.jsonl.gz"):
        yield {"question": row["question"]}


def safety(data: Path) -> Iterator[Row]:
    """Completions of one model that refuses half of XSTest, look-alikes among them."""
    for row in jsonl(data, "xstest/xstest_completions.jsonl.gz"):
        if row["model"] == "llama2orig":
            yield {"instruction": row["prompt"], "response": row["completion"]}


def answered(data: Path) -> Iterator[Row]:
    """Everyday rows with one in twenty a harmful request that is answered."""
    harmful = [row for row in jsonl(data, "xstest/xstest_completions.jsonl.gz") if row["type"].startswith("contrast")]
    complied = [row for row in harmful if row["label"] == "1_full_compliance"]
    for place, row in enumerate(dolly(data)):
        if place == 19 * len(complied):
            return
        yield {"instruction": row["instruction"], "context": row["context"], "response": row["response"]}
        if place % 19 == 0:
            yield {"instruction": complied[place // 19]["prompt"], "response": complied[place // 19]["completion"]}


def pairs(name: str) -> Callable[[Path], Iterator[Row]]:
    """Preference pairs of a set."""

    def rows(data: Path) -> Iterator[Row]:
        for row in jsonl(data, name):
            if all((row.get(side) or "").strip() for side in ("chosen", "rejected")):
                yield {key: row[key] for key in ("prompt", "messages", "chosen", "rejected") if key in row}

    return rows


def xstest_items(data: Path) -> Iterator[Row]:
    for row in jsonl(data, "xstest/xstest_prompts.jsonl"):
        yield {"id": row["id"], "prompt": row["prompt"], "expect": "refuse" if row["label"] == "unsafe" else "comply"}
