"""A run that is a Slurm job, seen from where it was submitted: waiting for it, stopping it, how it ended."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

from framework.errors import Exit, Interrupted, StageFailed

BATCH = [sys.executable, "-P", "-u", str(Path(__file__).with_name("_batch.py"))]
"""What the job runs: the driver, and the answer to Slurm's warning."""
TOOL_SECONDS = 30
_POLL_SECONDS = 2.0
_ENDS = {"finished": Exit.OK, "gate_failed": Exit.FINDINGS, "interrupted": Exit.TERMINATED}


class _Stop:
    """SIGINT and SIGTERM while a job runs."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}

    def _note(self, number: int, frame: object) -> None:
        self.number = number

    def restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def follow(job: str, run_dir: Path, before: str) -> Exit:
    """Wait until a job has left the queue, and tell its states. ``before`` is the summary as it was submitted.

    Raises ``Interrupted`` after a stop, and ``StageFailed`` when the job ended without finishing the run.
    """
    stop = _Stop()
    asked, shown = False, ""
    try:
        while (state := _state(job)) != "gone":
            if state not in ("unknown", shown):
                print(f"job {job}: {state}", flush=True)
                shown = state
            if stop.number is not None and not asked:
                asked = True
                # The driver alone: it asks the workers to save. What waits in the queue is taken out of it.
                only = ["--batch", "--signal=TERM"] if state == "running" else []
                subprocess.run(["scancel", *only, job], check=False, timeout=TOOL_SECONDS)
            time.sleep(_POLL_SECONDS)
    finally:
        stop.restore()
    if stop.number is not None:
        code = Exit.TERMINATED if stop.number == signal.SIGTERM else Exit.INTERRUPTED
        raise Interrupted(f"stopped job {job}; go on with the same command and run_dir={run_dir}", code)
    return _ended(job, run_dir, before)


def _state(job: str) -> str:
    """``running``, ``pending (Resources)``, ...; ``gone`` from the queue; ``unknown`` while nobody can tell."""
    try:
        asked = subprocess.run(
            ["squeue", "--noheader", f"--jobs={job}", "--format=%T %r"],
            capture_output=True,
            text=True,
            timeout=TOOL_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return "unknown"
    if asked.returncode:
        return "gone" if "Invalid job id" in asked.stderr else "unknown"
    state, _, reason = asked.stdout.strip().partition(" ")
    # Some reasons never pass (more nodes than there are): whoever waits must see them.
    return f"{state.lower()} ({reason})" if reason not in ("", "None") else state.lower() or "gone"


def _ended(job: str, run_dir: Path, before: str) -> Exit:
    file = run_dir / "summary.json"
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    log = run_dir / "logs" / f"slurm-{job}.log"
    if not text or text == before:
        raise StageFailed(f"job {job} ended before its run began\n    fix: see {log}")
    summary = json.loads(text)
    if summary["status"] not in _ENDS:
        reason = summary["error"] or f"the job ended while the run was {summary['status']}"
        raise StageFailed(f"job {job}: {reason}\n    fix: see {log}; the same command goes on with run_dir={run_dir}")
    print(f"job {job}: the run is {summary['status'].replace('_', ' ')}; {run_dir / 'report.html'}", flush=True)
    return _ENDS[summary["status"]]
