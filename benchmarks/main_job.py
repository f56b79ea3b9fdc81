"""The default run with several seeds: what it gains, keeps and costs. ``python benchmarks/main_job.py [SEED ...]``.

Prints one Markdown table: the mean over seeds at the start and after each stage, with the range at the end, and then
the wall time and peak memory of each run. ``--show RUN_DIR ...`` prints it for runs that are there already. The runs
have a home of their own, so that nothing is reused from earlier ones: the first fetches and converts the model and
measures the start.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def run(seed: str, folder: Path) -> Path:
    """One run in its own process; its directory."""
    environment = {**os.environ, "TRIPTYCH_HOME": str(folder / "home")}
    command = [sys.executable, "train.py", f"seed={seed}", f"run_dir={folder / seed}", "tracker=none"]
    subprocess.run(command, cwd=PROJECT, env=environment, check=True, stdout=subprocess.DEVNULL)
    return folder / seed


def table(summaries: list[dict]) -> list[str]:
    """The Markdown table of several runs of one configuration."""
    columns = summaries[0]["retention"]["columns"]
    lines = [f"| suite | measures | {' | '.join(columns)} | range at the end |", "|" + "---|" * (len(columns) + 3)]
    instruct: list[list[float]] = [[] for _ in columns]
    for place, row in enumerate(summaries[0]["retention"]["rows"]):
        cells = [[s["retention"]["rows"][place]["cells"][at]["value"] for s in summaries] for at in range(len(columns))]
        show = "{:.1f}".format if row["metric"] == "perplexity" else "{:.1%}".format
        means = [statistics.mean(values) for values in cells]
        if row["measures"] == "instruct":
            for at, mean in enumerate(means):
                instruct[at].append(mean)
        ends = f"{show(min(cells[-1]))} to {show(max(cells[-1]))}"
        shown = " | ".join(map(show, means))
        lines.append(f"| {row['suite']} ({row['metric']}) | {row['measures']} | {shown} | {ends} |")
    if instruct[0]:
        shown = " | ".join(f"{statistics.mean(values):.1%}" for values in instruct)
        lines.append(f"| mean of the instruct suites | instruct | {shown} | |")
    return lines


def main() -> None:
    """Run the seeds one after the other, or read finished runs, and print the table."""
    arguments = sys.argv[1:]
    with tempfile.TemporaryDirectory() as temporary:
        shown = arguments[:1] == ["--show"]
        folders = map(Path, arguments[1:]) if shown else (run(s, Path(temporary)) for s in arguments or ["0", "1", "2"])
        summaries = [json.loads((folder / "summary.json").read_text()) for folder in folders]
    print("\n".join(table(summaries)))
    for summary in summaries:
        peak = max(stage["peak_memory_bytes"] for stage in summary["stages"]) / 1e9
        wall, trained = summary["ended"] - summary["started"], summary["totals"]["seconds"]
        print(f"\nseed {summary['seed']}: {wall:.0f} s, of them {trained:.0f} s of training; peak {peak:.1f} GB")


if __name__ == "__main__":
    main()
