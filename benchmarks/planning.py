"""Planning speed and memory: rows in a file to a plan, cold and cached.

    python benchmarks/planning.py dolly15k.jsonl.gz [--model smollm2_135m] [--rows 1000000] [--seed 0] [--folder DIR]

Plans ``stage=instruct`` over the file as users do (``train.py do=plan``: read, profile, check, near duplicates, render,
tokenise, pack), first in a home that has the model and nothing else, then again in the same home. With ``--rows``, the
same is done for so many made-up rows whose prompts and replies have the lengths, in words, of the file's: words are
drawn by Zipf's law from an invented vocabulary, and one row in a hundred repeats an earlier one. They need about 1 GB
for a million rows in ``--folder`` (default: the system's folder for temporary files), caches five times as much.

Memory is the largest sum of the resident sets of the process and all its children, looked at five times a second in
/proc; pages that two of them share count twice. Seconds are wall time from start to end of the command, CPU seconds
those of all its processes together. The table says how many cores were busy with other work just before: figures taken
on a busy machine are too high.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from framework.paths import PROJECT, home

VOCABULARY = 30_000
REPEATED = 100
INTERVAL = 0.2
SYLLABLES = "ba co di fu ga he ji ko lu ma ne pi qua re so ta vu we xi zo ar en is on ur".split()  # noqa: SIM905


@dataclass(frozen=True, slots=True)
class Figure:
    """One command: wall and processor seconds, and the most memory of its processes together, in bytes."""

    seconds: float
    processor: float
    peak: int


def plan(rows: Path, folder: Path, model: str) -> Figure:
    """``do=plan`` over a file in this home."""
    command = [sys.executable, "train.py", "do=plan", "stage=instruct", "data=files", f"model={model}"]
    command += [f"data.instruct.sources.rows.path={rows}", f"run_dir={folder}/run"]
    environment = {**os.environ, "TRIPTYCH_HOME": str(folder)}
    began, spent = time.perf_counter(), used()
    with (folder / "output").open("w+") as output:
        process = subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=output, stderr=subprocess.STDOUT)
        peak = 0
        while process.poll() is None:
            peak = max(peak, resident(process.pid))
            time.sleep(INTERVAL)
        seconds = time.perf_counter() - began
        output.seek(0)
        if not (folder / "run" / "plan.json").is_file():
            sys.exit(f"no plan was made:\n{output.read()}")
    return Figure(seconds, used() - spent, peak)


def used() -> float:
    """Processor seconds of all processes that have ended below this one."""
    found = resource.getrusage(resource.RUSAGE_CHILDREN)
    return found.ru_utime + found.ru_stime


def resident(pid: int) -> int:
    """Bytes in memory of a process and all its descendants."""
    children: dict[int, list[int]] = {}
    sizes: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has just ended
            children.setdefault(int(fields[1]), []).append(int(entry.name))
            sizes[int(entry.name)] = int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
    whole, waiting = 0, [pid]
    while waiting:
        one = waiting.pop()
        whole += sizes.get(one, 0)
        waiting += children.get(one, [])
    return whole


def other_work(seconds: float = 1.0) -> float:
    """Cores that are busy while nothing of ours runs."""

    def busy() -> tuple[int, int]:
        fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        return sum(fields) - fields[3] - fields[4], sum(fields)

    before = busy()
    time.sleep(seconds)
    after = busy()
    return (after[0] - before[0]) / (after[1] - before[1]) * (os.cpu_count() or 1)


def read(file: Path) -> Iterator[dict[str, str]]:
    with gzip.open(file, "rt", encoding="utf-8") if file.suffix == ".gz" else file.open(encoding="utf-8") as stream:
        yield from map(json.loads, stream)


def make(source: Path, count: int, seed: int, target: Path) -> None:
    """Write made-up rows with the lengths of a file of instructions."""
    rng = random.Random(seed)
    lengths = [
        (len(f"{row['instruction']} {row.get('context', '')}".split()), len(row["response"].split()))
        for row in read(source)
    ]
    words = sorted({"".join(rng.choice(SYLLABLES) for _ in range(rng.randrange(1, 5))) for _ in range(2 * VOCABULARY)})
    rng.shuffle(words)
    words = words[:VOCABULARY]
    weights = list(accumulate(1.0 / (rank + 2.7) for rank in range(len(words))))
    earlier: list[str] = []
    with target.open("w", encoding="utf-8") as stream:
        for row in range(count):
            if earlier and row % REPEATED == 0:
                stream.write(rng.choice(earlier))
                continue
            asked, answered = rng.choice(lengths)
            text = rng.choices(words, cum_weights=weights, k=asked + answered)
            made = {"instruction": " ".join(text[:asked]) + "?", "response": " ".join(text[asked:]) + "."}
            line = json.dumps(made) + "\n"
            if len(earlier) < REPEATED:
                earlier.append(line)
            stream.write(line)


def measure(name: str, rows: Path, count: int, temporary: Path, model: str) -> None:
    """One line of the table."""
    folder = Path(tempfile.mkdtemp(dir=temporary))
    (folder / "models").symlink_to(home() / "models")
    others = other_work()
    cold = plan(rows, folder, model)
    cached = plan(rows, folder, model)
    line = f"{name:16}{count:>10,}{cold.seconds:>10.1f}{cold.processor:>10.1f}{cold.peak / 1e9:>10.2f}"
    line += f"{cached.seconds:>10.1f}{cold.seconds / count * 1000:>14.2f}{others:>14.1f}"
    print(line, flush=True)


def main() -> None:
    """Measure the file, then made-up rows where they are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=lambda text: Path(text).resolve(), help="JSON lines: instruction, response")
    parser.add_argument("--model", default="smollm2_135m")
    parser.add_argument("--rows", type=int, action="append", default=[], help="made-up rows; may be given repeatedly")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where made-up rows and caches are put meanwhile")
    given = parser.parse_args()
    if not (home() / "models").is_dir():
        sys.exit(f"{home()} holds no models; let `python train.py do=plan` fetch one first")
    print(f"{len(os.sched_getaffinity(0))} cores, Python {sys.version.split()[0]}, model {given.model}")
    widths = {"cold s": 10, "CPU s": 10, "peak GB": 10, "cached s": 10, "s/1,000 rows": 14, "other cores": 14}
    print(f"{'data':16}{'rows':>10}" + "".join(f"{title:>{width}}" for title, width in widths.items()))
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        temporary = Path(name)
        measure(given.file.name[:15], given.file, sum(1 for _ in read(given.file)), temporary, given.model)
        for count in given.rows:
            rows = temporary / f"{count}.jsonl"
            make(given.file, count, given.seed, rows)
            measure("made up", rows, count, temporary, given.model)


if __name__ == "__main__":
    main()
