"""Writes ``metrics.jsonl``: a line a step, without a gap or a repeat after a resume."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, cast

from framework.files import append_json, read_lines, write_text
from framework.train.loop import StepDone


class MetricsFile:
    """The steps of one stage, on rank 0."""

    def __init__(self, path: Path, start: int) -> None:
        self._path = path
        kept = [record for record in read_lines(path) if record["step"] <= start]
        write_text(path, "".join(json.dumps(record) + "\n" for record in kept))

    def on_step(self, done: StepDone) -> None:
        """Append the step."""
        record: dict[str, Any] = {
            "step": done.step,
            "loss": done.loss,
            "loss_by_source": done.loss_by_source,
            "lr": done.lr,
            "grad_norm": done.grad_norm,
            "tokens": done.tokens,
            "supervised_tokens": done.supervised_tokens,
            "tokens_by_source": done.tokens_by_source,
            "tokens_per_second": done.tokens / done.seconds,
            "seconds": done.seconds,
            **done.metrics,
        }
        if done.skipped:
            record["skipped"] = done.skipped
        append_json(self._path, _plain(record))


def _plain(value: Any) -> Any:
    """JSON has no NaN: what is not a number of a skipped step is null."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in cast("dict[str, Any]", value).items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
