"""MASK: rows without a supervised token, answers that were cut, and templates whose mask cannot be proved."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from framework.checks._rows import SHOWN
from framework.checks.base import Check, Finding, Subject


class Mask(Check):
    """Rows without a supervised token, answers that were cut, and templates whose mask cannot be proved."""

    kind: Literal["mask"] = "mask"
    max_cut: float = Field(default=0.02, ge=0, le=1)
    """Share of rows that may be cut before it is more than a note: above it the model learns to stop in the middle."""

    def check(self, subject: Subject) -> Iterator[Finding]:
        """By source: unproved masks (error), rows with no target (error), cut rows (warning or info)."""
        for stage, prepared in subject.prepared.items():
            for name, reasons in prepared.unproved.items():
                for reason, rows in reasons.items():
                    message = f"source {name}: the loss mask of row {rows[0]} cannot be proved: {reason}"
                    fix = "correct the row, or use a chat template that keeps every message as it is"
                    yield Finding(self.code, "error", stage, message, fix, float(len(rows)), tuple(rows[:SHOWN]))
            for name, use in prepared.sources.items():
                if use.no_target_rows:
                    message = f"source {name}: {use.no_target_rows:,} rows have no token to learn from"
                    fix = f"raise stage.{stage}.max_length, or remove these rows"
                    share = use.no_target_rows / max(1, use.rows)
                    yield Finding(self.code, "error", stage, message, fix, round(share, 4))
                if use.truncated:
                    share = use.truncated / max(1, use.rows)
                    message = f"source {name}: {use.truncated:,} rows ({share:.1%}) are cut at max_length"
                    fix = f"raise stage.{stage}.max_length, or set stage.{stage}.long=split (texts) or drop"
                    level = "warning" if share > self.max_cut else "info"
                    yield Finding(self.code, level, stage, message, fix, round(share, 4))


COMPONENT = Mask
