"""``audit.html`` and its pictures, from audit.json alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framework.files import read_json
from framework.report import numbers
from framework.report.audit_pictures import pictures
from framework.report.audit_records import AuditFile, AuditFinding, Values
from framework.report.page import Shown, draw, levels, write_page
from framework.report.records import Level

_LEVELS: tuple[Level, ...] = ("error", "warning", "info")
_FEW = 12
"""Findings that are shown open."""


@dataclass(frozen=True, slots=True)
class Findings:
    """The findings of one code and level."""

    level: Level
    code: str
    findings: list[AuditFinding]


def write_audit(path: Path) -> Path:
    """Write ``audit.html`` and its pictures beside an audit.json; returns the page's path.

    Raises ``OSError`` when the folder cannot be read or written, ``ValueError`` when the file is no audit.
    """
    audit = AuditFile.model_validate(read_json(path))
    notes: list[str] = []
    shown = draw(pictures(audit), path.parent, notes)
    page = path.with_name("audit.html")
    write_page(page, "audit.html", _context(audit, shown, notes))
    return page


def headline(audit: AuditFile) -> str:
    """What it comes to, in a sentence or two."""
    if not audit.findings:
        return "Nothing was found: every check passed."
    labels = {stage.kind: stage.name for stage in audit.stages}
    worst = min(audit.findings, key=lambda finding: _LEVELS.index(finding.level))
    where = f" in {labels.get(worst.stage, worst.stage)}" if worst.stage else ""
    first = f"{worst.code}{where}: {worst.message}."
    if worst.level == "error":
        return f"Not ready to train. First of all, {first}"
    if worst.level == "warning":
        return f"Nothing stops a run. What matters most, {first}"
    return "Nothing stops a run; there are notes to read."


def glance(audit: AuditFile) -> list[tuple[str, list[Level | None]]]:
    """Codes that found something, gravest first, with the gravest level for each stage."""
    rows: dict[str, list[Level | None]] = {}
    for finding in sorted(audit.findings, key=lambda finding: _LEVELS.index(finding.level)):
        row = rows.setdefault(finding.code, [None] * len(audit.stages))
        for place, stage in enumerate(audit.stages):
            if finding.stage in (stage.kind, "") and row[place] is None:
                row[place] = finding.level
    return list(rows.items())


def grouped(audit: AuditFile) -> list[Findings]:
    """Findings by level and code, gravest first."""
    found: dict[tuple[Level, str], list[AuditFinding]] = {}
    for finding in audit.findings:
        found.setdefault((finding.level, finding.code), []).append(finding)
    order = sorted(found, key=lambda key: _LEVELS.index(key[0]))
    return [Findings(level, code, found[level, code]) for level, code in order]


def _context(audit: AuditFile, shown: dict[str, Shown], notes: list[str]) -> dict[str, Any]:
    errors = sum(finding.level == "error" for finding in audit.findings)
    warnings = sum(finding.level == "warning" for finding in audit.findings)
    found = glance(audit)
    return {
        "audit": audit,
        "tone": "bad" if errors else "warn" if warnings else "good",
        "status": levels(audit.findings) or "nothing found",
        "headline": headline(audit),
        "glance": found,
        "passed": [code for code in audit.checks if code not in dict(found)],
        "groups": grouped(audit),
        "few": len(audit.findings) <= _FEW,
        "labels": {stage.kind: stage.name for stage in audit.stages},
        "pictures": shown,
        "notes": notes,
        "part": _part,
        "gap": _gap,
        "has_topics": any(stage.topics.values for stage in audit.stages),
        "withheld": _withheld(audit),
    }


def _part(some: int, whole: int) -> str:
    """A count with its share: ``12 (3.1%)``."""
    return f"{some:,} ({numbers.share(some / whole)})" if some and whole else f"{some:,}"


def _gap(values: Values) -> float | None:
    """Total variation distance of the shares from their targets: 0 the same, 1 nothing in common."""
    if not any(value.target is not None for value in values.values):
        return None
    gaps = sum(abs(value.share - (value.target or 0.0)) for value in values.values)
    listed = sum(value.share for value in values.values)
    return (gaps + max(0.0, 1 - listed)) / 2


def _withheld(audit: AuditFile) -> int:
    """Rows on the page whose text is not shown."""
    rows = [row for finding in audit.findings for row in finding.examples]
    for stage in audit.stages:
        rows += [row for group in stage.duplicates.largest for row in group.examples]
        rows += [example.row for leak in stage.leaks for example in leak.examples]
    return sum(row.text is None for row in rows)
