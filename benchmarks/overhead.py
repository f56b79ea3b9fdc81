"""What checkpoints and supervision cost: the share of a stage's training that is not spent in steps.

    python benchmarks/overhead.py [--minutes 1] [KEY=VALUE ...]

Runs ``train.py`` in a home of its own with a checkpoint every so many minutes, and prints, for every stage, its steps'
seconds beside those of the whole training phase. What lies between the steps is checkpoints, heartbeats, metrics and
waiting for the next batch. The driver watches from a process of its own: its processor time is printed as well, which
counts as overhead where it had no core to itself. Nothing else may run meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def processor_seconds(pid: int) -> float:
    """What a process itself has used so far, without its children; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", default="1", help="minutes between checkpoints (default: %(default)s)")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        settings = [f"engine.checkpoint_minutes={given.minutes}", "tracker=none", f"run_dir={folder / 'run'}"]
        environment = {**os.environ, "TRIPTYCH_HOME": os.environ.get("TRIPTYCH_HOME", str(folder / "home"))}
        command = [sys.executable, "train.py", *settings, *given.overrides]
        with open(folder / "output", "w+", encoding="utf-8") as output:
            began = time.perf_counter()
            driver = subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=output, stderr=output)
            used = 0.0
            while driver.poll() is None:
                used = max(used, processor_seconds(driver.pid))
                time.sleep(0.5)
            took = time.perf_counter() - began
            if driver.returncode:
                output.seek(0)
                sys.exit(output.read())
        events = [json.loads(line) for line in (folder / "run" / "events.jsonl").read_text().splitlines()]
        for file in sorted((folder / "run" / "stages").glob("*/stage.json")):
            stage = json.loads(file.read_text())
            steps = [json.loads(line) for line in file.with_name("metrics.jsonl").read_text().splitlines()]
            whole, inside = stage["seconds_by_phase"]["train"], sum(step["seconds"] for step in steps)
            print(f"{stage['name']}: {len(steps)} steps in {inside:.1f} s of {whole:.1f} s of training")
            print(f"   between the steps: {whole - inside:.2f} s, {1 - inside / whole:.2%}")
        print(f"checkpoints: {sum(event['event'] == 'checkpoint' for event in events)}")
        print(f"driver: {used:.1f} s of processor time in {took:.0f} s")


if __name__ == "__main__":
    main()
