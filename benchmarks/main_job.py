"""The default run with several seeds: what it gains, keeps and costs. ``python benchmarks/main_job.py [SEED ...]``.

Prints one Markdown table: the start, then the mean over seeds after each stage with the range of the last column, and
the wall time and peak memory of each run. They have a home of their own, so that nothing is reused from
earlier runs: the first one fetches and converts the model and measures the start.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def run(seed: str, folder: Path) -> tuple[dict, float]:
    """One run in its own process; its summary and its wall time in seconds."""
    environment = {**os.environ, "TRIPTYCH_HOME": str(folder / "home")}
    command = [sys.executable, "train.py", f"seed={seed}", f"run_dir={folder / seed}", "tracker=none"]
    began = time.monotonic()
    subprocess.run(command, cwd=PROJECT, env=environment, check=True, stdout=subprocess.DEVNULL)
    return json.loads((folder / seed / "summary.json").read_text()), time.monotonic() - began


def main() -> None:
    """Run the seeds one after the other and print the table."""
    seeds = sys.argv[1:] or ["0", "1", "2"]
    with tempfile.TemporaryDirectory() as temporary:
        runs = [run(seed, Path(temporary)) for seed in seeds]
    summaries = [summary for summary, _ in runs]
    columns = summaries[0]["retention"]["columns"]
    print(f"| suite | measures | {' | '.join(columns)} | range at the end |")
    print("|" + "---|" * (len(columns) + 3))
    for place, row in enumerate(summaries[0]["retention"]["rows"]):
        values = [
            [s["retention"]["rows"][place]["cells"][at]["value"] for s in summaries] for at in range(len(columns))
        ]
        shown = [
            f"{statistics.mean(v):.1f}" if row["metric"] == "perplexity" else f"{statistics.mean(v):.1%}"
            for v in values
        ]
        last = values[-1]
        spread = (
            f"{min(last):.1f} to {max(last):.1f}"
            if row["metric"] == "perplexity"
            else f"{min(last):.1%} to {max(last):.1%}"
        )
        print(f"| {row['suite']} ({row['metric']}) | {row['measures']} | {' | '.join(shown)} | {spread} |")
    for seed, (summary, seconds) in zip(seeds, runs, strict=True):
        peak = max(stage["peak_memory_bytes"] for stage in summary["stages"]) / 1e9
        trained = summary["totals"]["seconds"]
        print(f"\nseed {seed}: {seconds:.0f} s in all, {trained:.0f} s of training, peak {peak:.1f} GB")


if __name__ == "__main__":
    main()
