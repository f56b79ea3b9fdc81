"""``report.html`` and its pictures, from the files of a run directory alone."""

from __future__ import annotations

import base64
import os
import shlex
import tempfile
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from framework.files import write_text
from framework.report import examples, numbers, style
from framework.report.advice import advise, headline
from framework.report.pictures import Picture, pictures, slices_name
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
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""Nothing in the report may run or be fetched, whatever the data holds."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture in all looks, as data URIs."""

    caption: str
    alt: str
    plain: str
    """The light, wide one."""
    others: list[tuple[str, str]]
    """Media query and picture, the most particular first."""


def write_report(run_dir: Path) -> Path:
    """Write ``report.html`` and the pictures beside it; returns the report's path.

    Files that are missing or broken are named in the report. Raises ``OSError`` when the directory cannot be written.
    """
    run = read_run(run_dir)
    shown = _draw(run)
    text = _render(run, shown)
    path = run_dir / "report.html"
    write_text(path, text.encode("utf-8", "replace").decode("utf-8"))
    return path


def _draw(run: RunRecord) -> dict[str, Shown]:
    try:
        import matplotlib

        matplotlib.get_data_path()
    except ImportError as error:
        run.notes.append(f"pictures are left out: {error}")
        return {}
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "axes.unicode_minus": True}):
        return {picture.name: _show(picture, run.path) for picture in pictures(run)}


def _show(picture: Picture, folder: Path) -> Shown:
    drawn = {look: style.png(picture.draw(look)) for look in style.LOOKS}
    plain, *others = style.LOOKS
    _write_bytes(folder / f"{picture.name}.png", drawn[plain])
    media = sorted(others, key=lambda look: -(look.dark + look.narrow))
    return Shown(picture.caption, picture.alt, _uri(drawn[plain]), [(look.media, _uri(drawn[look])) for look in media])


def _uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _write_bytes(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    os.chmod(name, 0o644)
    os.replace(name, path)


def _render(run: RunRecord, shown: dict[str, Shown]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=numbers.count,
        compact=numbers.compact,
        share=numbers.share,
        size=numbers.size,
        duration=numbers.duration,
        rough=numbers.rough,
        epochs=numbers.epochs,
        clip=examples.clip,
        moment=_moment,
        breakable=_breakable,
    )
    return environment.get_template(_TEMPLATE).render(_context(run, shown))


def _breakable(name: str) -> str:
    """A name that a narrow column may break after an underscore. Safe: the name is escaped first."""
    from markupsafe import Markup, escape

    return Markup("_<wbr>").join(escape(part) for part in name.split("_"))


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _context(run: RunRecord, shown: dict[str, Shown]) -> dict[str, Any]:
    status, tone = _STATUS[run.status]
    summary, plan = run.summary, run.plan
    return {
        "run": run,
        "policy": _POLICY,
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
        "levels": _levels(run),
        "suite_pairs": examples.suite_pairs,
        "slice_rows": examples.slice_rows,
        "slices_name": slices_name,
        "advice": advise(run),
        "reproduce": f"python train.py do=reproduce run={shlex.quote(str(run.path))}",
        "environments": _environments(run.stages),
    }


def _levels(run: RunRecord) -> str:
    counts = Counter(finding.level for finding in run.findings)
    names = {"error": "error", "warning": "warning", "info": "note"}
    found = [(counts[level], name) for level, name in names.items() if counts[level]]
    return ", ".join(f"{count} {name}{'s' if count > 1 else ''}" for count, name in found)


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
