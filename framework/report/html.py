"""``report.html`` and its pictures, from the files of a run directory alone."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from framework.report import examples, numbers
from framework.report.advice import advise, headline
from framework.report.page import Shown, draw, levels, write_page
from framework.report.pictures import pictures, slices_name
from framework.report.read import RunRecord, StageRecord, read_run
from framework.report.verdict import WORDS, verdict

_TEMPLATE = "template.html"
_STATUS = {
    "finished": ("Finished", "good"),
    "gate_failed": ("Stopped by a gate", "bad"),
    "failed": ("Failed", "bad"),
    "interrupted": ("Interrupted, can be resumed", "warn"),
    "running": ("Running", "warn"),
    "unknown": ("Status unknown", "warn"),
}


def write_report(run_dir: Path) -> Path:
    """Write ``report.html`` and the pictures beside it; returns the report's path.

    Files that are missing or broken are named in the report. Raises ``OSError`` when the directory cannot be written.
    """
    run = read_run(run_dir)
    shown = draw(pictures(run), run.path, run.notes)
    path = run_dir / "report.html"
    write_page(path, _TEMPLATE, _context(run, shown))
    return path


def _context(run: RunRecord, shown: dict[str, Shown]) -> dict[str, Any]:
    status, tone = _STATUS[run.status]
    summary, plan = run.summary, run.plan
    return {
        "run": run,
        "status": status,
        "tone": tone,
        "title": (summary.name if summary else "") or run.path.name,
        "model": (summary.model if summary else "") or (plan.model.name if plan else "") or "not named",
        "headline": headline(run),
        "pictures": shown,
        "groups": run.retention.grouped() if run.retention else [],
        "verdict": verdict,
        "words": WORDS,
        "value": numbers.value,
        "change": numbers.change,
        "levels": levels(run.findings),
        "suite_pairs": examples.suite_pairs,
        "slice_rows": examples.slice_rows,
        "slices_name": slices_name,
        "advice": advise(run),
        "reproduce": f"python train.py do=reproduce run={shlex.quote(str(run.path))}",
        "environments": _environments(run.stages),
    }


def _environments(stages: list[StageRecord]) -> list[tuple[str, str]]:
    """Where the stages were trained, each environment once: stages, and versions with devices."""
    found: dict[str, list[str]] = {}
    for stage in stages:
        if stage.done is None or not stage.done.versions:
            continue
        parts = [f"{name} {version}" for name, version in stage.done.versions.items()]
        plural = "es" if stage.done.world_size != 1 else ""
        parts.append(f"{stage.done.world_size} process{plural} on {stage.done.device or 'an unknown device'}")
        found.setdefault(", ".join(parts), []).append(stage.label)
    return [(", ".join(labels), words) for words, labels in found.items()]
