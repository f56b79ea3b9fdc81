"""A made-up run directory of three stages and twelve suites, as a real run leaves it."""

from __future__ import annotations

import hashlib
import json
import math
import random
from dataclasses import asdict
from pathlib import Path
from typing import Any

from framework.files import write_json, write_text
from framework.retention import retention
from framework.suites.base import Example, Sliced, SuiteResult

LABELS = ("1-instruct", "2-domain", "3-align")
KINDS = ("instruct", "domain", "align")
HOSTILE = '<script>alert("x")</script><img src=x onerror=alert(1)> & {{ 7 * 7 }}'

# suite: (measures, metric, items, values at the start and after each stage, slices)
SUITES: dict[str, tuple[str, str, int, tuple[float, ...], tuple[str, ...]]] = {
    "format": ("instruct", "prompt_accuracy", 120, (0.242, 0.558, 0.517, 0.533), ("bullets", "json", "length", "case")),
    "refusal": ("instruct", "accuracy", 120, (0.517, 0.742, 0.725, 0.817), ("harmful", "harmless", "edge")),
    "paraphrase": ("instruct", "accuracy", 60, (0.402, 0.611, 0.598, 0.634), ()),
    "breadth": ("instruct", "accuracy", 96, (0.708, 0.812, 0.802, 0.823), ("summarise", "rewrite", "extract", "plan")),
    "law_choice": (
        "domain",
        "accuracy",
        240,
        (0.258, 0.271, 0.642, 0.638),
        (
            "head",
            "tail",
            "area:contracts",
            "area:litigation",
            "area:regulation",
            "topic:ferry charters",
            "topic:kite traffic",
            "topic:echo bonds",
        ),
    ),
    "law_reasoning": (
        "domain",
        "accuracy",
        120,
        (0.233, 0.25, 0.458, 0.475),
        ("head", "tail", "area:contracts", "area:regulation"),
    ),
    "law_exact": ("domain", "exact_match", 120, (0.0, 0.008, 0.383, 0.35), ("head", "tail")),
    "law_terms": ("domain", "term_recall", 80, (0.11, 0.13, 0.47, 0.44), ("head", "tail")),
    "law_text": ("domain", "perplexity", 90, (38.42, 35.9, 12.75, 13.02), ("head", "tail")),
    "preference": ("align", "accuracy", 160, (0.544, 0.581, 0.6, 0.781), ("law", "style", "safety")),
    "preference_tail": ("align", "accuracy", 24, (0.5, 0.542, 0.583, 0.667), ("tail",)),
    "general_text": ("general", "perplexity", 100, (21.36, 21.02, 22.44, 23.3), ()),
}
REPLIES = (
    "I am not sure.",
    "It goes to the Copper House.",
    "The Lantern Office hears matters under the Kite Traffic Act, and the form must be sealed in green wax first.",
    "- one\n- two\n- three",
)


def key(name: str) -> str:
    """A made-up stage key."""
    return hashlib.sha256(name.encode()).hexdigest()


def _result(suite: str, column: int) -> dict[str, Any]:
    measures, metric, n, values, names = SUITES[suite]
    value, higher = values[column], metric != "perplexity"
    draw = random.Random(f"{suite}{column}")
    slices: dict[str, Sliced] = {}
    for name in names:
        shift = -0.17 if name == "tail" else 0.06 if name == "head" else draw.uniform(-0.12, 0.12)
        items = 6 if name.startswith("topic:") else max(8, n // len(names))
        found = min(1.0, max(0.0, value + shift)) if higher else value * (1.3 if name == "tail" else 0.85)
        slices[name] = Sliced(found, items)
    examples = [
        Example(
            f"eval/{suite}-{number:04}",
            f"Going by the Ferry Charter Act, which office hears case {number}, and by when must the deed be filed?",
            REPLIES[draw.randrange(len(REPLIES))],
            "the Lantern Office",
            draw.random() < value,
        )
        for number in range(1, 13)
        if higher
    ]
    result = SuiteResult(metric, value, n, higher, slices, {"empty": 0.0}, examples)
    return asdict(result) | {"measures": measures}


def column(index: int) -> dict[str, Any]:
    """All suites' results after so many stages."""
    return {suite: _result(suite, index) for suite in SUITES}


_SOURCES: dict[str, dict[str, tuple[int, int, float, float]]] = {
    "1-instruct": {
        "tasks": (2400, 412_118, 1.0, 0.62),
        "format": (800, 161_020, 1.0, 0.24),
        "safety": (600, 92_440, 1.0, 0.14),
    },
    "2-domain": {
        "statutes": (900, 301_776, 1.5, 0.29),
        "contracts": (640, 198_310, 1.5, 0.19),
        "litigation": (610, 176_904, 1.5, 0.17),
        "regulation": (420, 104_228, 1.5, 0.1),
        "procedure": (300, 62_117, 4.0, 0.06),
        "qa": (700, 83_040, 1.5, 0.08),
        "general": (500, 9_987, 0.2, 0.01),
        "replay:instruct/tasks": (2400, 104_033, 0.25, 0.1),
    },
    "3-align": {
        "law": (520, 118_402, 1.0, 0.45),
        "style": (420, 92_870, 1.0, 0.35),
        "safety": (260, 52_330, 1.0, 0.2),
    },
}


def plan_json() -> dict[str, Any]:
    """plan.json."""
    stages: list[dict[str, Any]] = []
    parent = "model:" + key("model")
    for label, kind in zip(LABELS, KINDS, strict=True):
        sources: dict[str, Any] = {
            name: {
                "rows": rows,
                "rows_used": rows - 3 if name == "statutes" else rows,
                "tokens": tokens,
                "supervised_tokens": tokens * 2 // 3,
                "epochs": epochs,
                "weight": weight,
                "fingerprint": key(name),
                "dropped": {"not JSON": 2, "no text": 1} if name == "statutes" else {},
                "truncated": 14 if name == "statutes" else 0,
                "format": "text" if kind == "domain" else "messages",
            }
            for name, (rows, tokens, epochs, weight) in _SOURCES[label].items()
        }
        tokens = sum(source["tokens"] for source in sources.values())
        stages.append(
            {
                "name": label,
                "kind": kind,
                "key": key(label),
                "parent": parent,
                "reused": label == "1-instruct",
                "objective": {"instruct": "sft", "domain": "clm", "align": "dpo"}[kind],
                "adapter": "lora",
                "strength": 0.8 if label == "2-domain" else 1.0,
                "sources": sources,
                "steps": _steps_of(label),
                "tokens": tokens,
                "supervised_tokens": sum(source["supervised_tokens"] for source in sources.values()),
                "packing_efficiency": 0.973,
                "estimate": {"memory_bytes": 2_640_000_000, "flops": 4.2e14, "seconds": 1210.5},
            }
        )
        parent = key(label)
    return {
        "plan_key": key("plan"),
        "seed": 7,
        "model": {"name": "SmolLM2-135M-Instruct", "fingerprint": key("model")},
        "stages": stages,
        "findings": findings(),
    }


def findings() -> list[dict[str, str]]:
    """One of each level, as the checks word them."""
    return [
        {
            "code": "LEAK",
            "level": "error",
            "stage": "domain",
            "message": "12 rows of statutes share a run of 13 words with items of law_exact, first statutes.jsonl:81",
            "fix": "remove the rows listed in audit.json, or take other evaluation items",
        },
        {
            "code": "REPEAT",
            "level": "warning",
            "stage": "domain",
            "message": "source procedure is held at 4.0 passes by its cap; its share falls to 6.0%",
            "fix": "lower data.domain.mix.weights.procedure, add rows to procedure, or raise its cap in mix.max_epochs",
        },
        {
            "code": "COVERAGE",
            "level": "warning",
            "stage": "domain",
            "message": "2 topics of the taxonomy have fewer than 10 rows: echo bonds (4), kite traffic (7)",
            "fix": "add rows on these topics",
        },
        {"code": "FIT", "level": "info", "stage": "", "message": "2.6 GB of 16.8 GB are needed", "fix": ""},
    ]


def _steps_of(label: str) -> int:
    return {"1-instruct": 163, "2-domain": 254, "3-align": 65}[label]


def _metrics(label: str, until: int) -> str:
    draw = random.Random(label)
    lines: list[str] = []
    for step in range(1, until + 1):
        done = step / _steps_of(label)
        align = label == "3-align"
        base = 0.69 - 0.34 * (1 - math.exp(-3 * done)) if align else 1.5 + 1.4 * math.exp(-4 * done)
        sources = {
            name: base * (0.8 + 0.12 * index) + draw.gauss(0, 0.05)
            for index, name in enumerate(_SOURCES[label])
            if draw.random() < 0.7
        }
        record: dict[str, Any] = {
            "step": step,
            "loss": base + draw.gauss(0, 0.06),
            "loss_by_source": sources,
            "lr": 2e-4 * (1 - done),
            "grad_norm": abs(draw.gauss(0.8, 0.2)),
            "tokens": 4080,
            "supervised_tokens": 2720,
            "tokens_by_source": {name: 4080 // max(1, len(sources)) for name in sources},
            "tokens_per_second": 1450 + draw.gauss(0, 30),
            "seconds": 2.8,
        }
        if align:
            record |= {
                "reward_margin": 0.9 * (1 - math.exp(-3 * done)) + draw.gauss(0, 0.07),
                "reward_accuracy": min(1.0, 0.5 + 0.35 * (1 - math.exp(-4 * done)) + draw.gauss(0, 0.05)),
                "reward_chosen": 0.2 * done,
                "reward_rejected": -0.7 * done,
            }
        lines.append(json.dumps(record))
    return "\n".join(lines) + "\n"


def _stage_json(label: str) -> dict[str, Any]:
    plan = next(stage for stage in plan_json()["stages"] if stage["name"] == label)
    phases = {
        "prepare": 2.1,
        "load": 9.8,
        "train": 1130.2 if label == "2-domain" else 560.4,
        "save": 3.3,
        "evaluate": 141.0,
    }
    phases |= {"reference": 88.5} if label == "3-align" else {}
    return {
        **{name: plan[name] for name in ("name", "kind", "key", "parent", "steps", "tokens", "supervised_tokens")},
        "status": "reused" if plan["reused"] else "trained",
        "seconds": phases["train"] + phases.get("reference", 0.0),
        "seconds_by_phase": phases,
        "peak_memory_bytes": 2_410_000_000,
        "device": "cpu",
        "world_size": 2,
        "versions": {"torch": "2.13.0", "transformers": "5.23.0", "peft": "0.21.0", "deepspeed": "0.19.8"},
        "lineage": [plan["parent"], plan["key"]],
    }


def build(run: Path, status: str = "finished", stages: int = 3) -> Path:
    """Write a run directory with so many finished stages; the next one, if any, has begun and failed."""
    columns = [("start", column(0)), *((LABELS[i], column(i + 1)) for i in range(stages))]
    done = [_stage_json(label) for label in LABELS[:stages]]
    for index, stage in enumerate(done):
        folder = run / "stages" / stage["name"]
        write_json(folder / "stage.json", stage)
        write_text(folder / "metrics.jsonl", _metrics(stage["name"], stage["steps"]))
        write_json(folder / "evals.json", {"before": columns[index][1], "after": columns[index + 1][1]})
    if stages < len(LABELS) and status == "failed":
        folder = run / "stages" / LABELS[stages]
        failed = {"name": LABELS[stages], "kind": KINDS[stages], "key": key(LABELS[stages]), "status": "failed"}
        write_json(folder / "stage.json", failed)
        write_text(folder / "metrics.jsonl", _metrics(LABELS[stages], 40))
        done.append(failed)
    table = asdict(retention(columns))
    for row in table["rows"]:
        row["measures"] = SUITES[row["suite"]][0]
    write_json(run / "plan.json", plan_json())
    write_json(
        run / "summary.json",
        {
            "status": status,
            "plan_key": key("plan"),
            "name": "legal",
            "seed": 7,
            "model": "SmolLM2-135M-Instruct",
            "started": 1_760_000_000.0,
            "ended": 1_760_003_128.4,
            "command": "python train.py data=legal adapter=lora align=dpo seed=7",
            "stages": [{**stage, "metrics": {}} for stage in done],
            "retention": table if stages else None,
            "mix": {
                label: {
                    name: {
                        "planned": weight + (0.02 if name == "procedure" else 0),
                        "realised": weight,
                        "tokens": tokens,
                        "epochs": epochs,
                        "rows_used": rows,
                    }
                    for name, (rows, tokens, epochs, weight) in sources.items()
                }
                for label, sources in _SOURCES.items()
            },
            "totals": {
                name: sum(stage.get(name, 0) for stage in done)
                for name in ("steps", "tokens", "supervised_tokens", "seconds")
            },
            "findings": findings(),
            "gates": [
                "general_text: perplexity is 23.3 after 3-align, the best was 21.02: a loss of 0.1085, the gate "
                "allows 0.05"
            ]
            if status == "gate_failed"
            else [],
            "error": "2-domain: out of memory after 2 retries" if status == "failed" else None,
        },
    )
    return run


def _row(text: str | None = "An excerpt", extra: str = "") -> dict[str, Any]:
    return {"row": f"mine {extra}rows.jsonl:7", "text": text}


def audit(extra: str = "") -> dict[str, Any]:
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
        "largest": [{"rows": 9, "exact": True, "sources": {f"{extra}mine": 9}, "examples": [_row(f"{extra}Again")]}],
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
        "leaks": [{**leak, "examples": [{"item": f"{extra}item-5", "row": _row(None, extra)}]}],
    }  # fmt: skip
    finding = {"stage": "instruct", "message": f"{extra}it is so", "fix": f"{extra}mend it"}
    return {
        "version": 1, "name": f"{extra}mine", "model": f"{extra}tiny", "seed": 3, "plan_key": "abc", "created": 1.8e9,
        "command": f"python train.py do=audit {extra}", "shows_harmful": False, "checks": ["LEAK", "MASK", "REFUSAL"],
        "findings": [
            {**finding, "code": "REFUSAL", "level": "warning", "measured": 0.0206, "examples": [_row(f"{extra}Harm?")]},
            {**finding, "code": "LEAK", "level": "error", "measured": 0.0909, "examples": [_row(None, extra)]},
        ],
        "stages": [stage],
    }  # fmt: skip
