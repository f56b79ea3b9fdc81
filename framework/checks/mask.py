"""MASK: rows without a supervised token, answers that were cut, and templates whose mask cannot be proved."""

from __future__ import annotations

from collections.abc import Iterator

from framework.findings import Finding, Subject

_CUT_SHARE = 0.02
"""Above this share of truncated rows the model is taught to stop in the middle, so it is more than a note."""


def check(subject: Subject) -> Iterator[Finding]:
    """By source: unproved masks (error), rows with no target (error), cut rows (warning or info)."""
    for stage, prepared in subject.prepared.items():
        for name, reasons in prepared.unproved.items():
            for reason, rows in reasons.items():
                message = f"source {name}: the loss mask of row {rows[0]} cannot be proved: {reason}"
                fix = "correct the row, or use a chat template that keeps every message as it is"
                yield Finding("MASK", "error", stage, message, fix)
        for name, use in prepared.sources.items():
            if use.no_target_rows:
                message = f"source {name}: {use.no_target_rows:,} rows have no token to learn from"
                yield Finding("MASK", "error", stage, message, f"raise stage.{stage}.max_length, or remove these rows")
            if use.truncated:
                share = use.truncated / max(1, use.rows)
                message = f"source {name}: {use.truncated:,} rows ({share:.1%}) are cut at max_length"
                fix = f"raise stage.{stage}.max_length, or set stage.{stage}.long=split (texts) or drop"
                yield Finding("MASK", "warning" if share > _CUT_SHARE else "info", stage, message, fix)
