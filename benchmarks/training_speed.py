"""Training speed and memory against other trainers: same model, rows, adapter, precision, in turn, in one call.

    python benchmarks/training_speed.py sft ROWS.jsonl.gz 64 --model DIR --scripts FOLDER --trl PYTHON
        [--llamafactory PYTHON] [--max-length 1024] [--rounds 3] [--dtype float32]
    python benchmarks/training_speed.py dpo PAIRS.jsonl.gz 32 ...

``FOLDER`` holds ``trl_sft.py``, ``trl_dpo.py`` and ``llamafactory_run.py``, each of which trains on the rows and prints
``RESULT ... rows/s=N ... peak_rss=N GB``; ``PYTHON`` is the interpreter of a venv that has that trainer. Ours is
``train.py`` itself with ``data=files``, once without and once with activation checkpointing (TRL is measured without,
LLaMA-Factory always recomputes): seconds are those of training and its reference pass (``stage.json``), memory is the
worker's largest resident set. Rows (or pairs) that are longer than the limit are left out for all alike. ``--dtype`` is
ours, and has to be what the scripts use.

Prints every figure, then medians: the speed of our faster setting over that of the fastest other, and our memory over
that of every other at its checkpointing setting. Nothing else may run meanwhile.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

PROJECT = Path(__file__).resolve().parent.parent
DEFAULT_SYSTEM, TURN = 25, 6
"""Tokens that a chat template adds at most: a system turn of its own, and marks around each turn."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measurement."""

    per_second: float
    gigabytes: float


@dataclass(frozen=True, slots=True)
class Contender:
    """A trainer at one of its settings."""

    name: str
    recomputes: bool
    """Activations are recomputed in the backward pass."""
    run: Callable[[], Figure]


def sequences(row: dict[str, Any]) -> list[str]:
    """The texts that a row is trained on: one of an instruction, two of a pair."""
    if "messages" not in row:
        return [row["instruction"] + row["context"] + row["response"]]
    prompt = "".join(turn["content"] for turn in row["messages"])
    replies = [row["chosen"], row["rejected"]]
    return [prompt + (reply if isinstance(reply, str) else reply["content"]) for reply in replies]


def fitting(source: Path, count: int, model: Path, limit: int, target: Path) -> None:
    """Write the first ``count`` rows that no trainer has to cut."""
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    kept: list[str] = []
    with gzip.open(source, "rt", encoding="utf-8") as stream:
        for line in stream:
            row = json.loads(line)
            template = DEFAULT_SYSTEM + TURN * (len(row.get("messages", [])) + 2)
            if max(len(tokenizer.encode(text).ids) for text in sequences(row)) + template <= limit:
                kept.append(line)
            if len(kept) == count:
                break
    if len(kept) < count:
        sys.exit(f"{source} has only {len(kept)} rows of at most {limit} tokens")
    with gzip.open(target, "wt", encoding="utf-8") as stream:
        stream.writelines(kept)


def ours(given: argparse.Namespace, rows: Path, folder: Path, recomputes: bool) -> Contender:
    """One run of ``train.py`` in a home of its own, so that nothing is reused."""
    stage = {"sft": "instruct", "dpo": "align"}[given.work]
    settings = {
        "stage": stage,
        "model": "path",
        "model.path": given.model,
        "model.dtype": given.dtype,
        "model.checkpointing": str(recomputes).lower(),
        "data": "files",
        f"data.{stage}.sources.rows.path": rows,
        f"data.{stage}.sources.rows.format": {"sft": "instruction", "dpo": "preference"}[given.work],
        f"stage.{stage}.max_length": given.max_length,
        f"stage.{stage}.batch.tokens": given.max_length,
        f"stage.{stage}.epochs": 1,
        f"stage.{stage}.lr": "1e-4",
        "eval": "none",
        "tracker": "none",
        "checks.strict": "false",
    }

    def run() -> Figure:
        with tempfile.TemporaryDirectory(dir=folder) as home:
            command = [sys.executable, "train.py", f"run_dir={home}/run", *(f"{k}={v}" for k, v in settings.items())]
            environment = {**os.environ, "TRIPTYCH_HOME": f"{home}/home"}
            done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True)
            if done.returncode:
                sys.exit(done.stdout + done.stderr)
            (file,) = Path(home).glob("run/stages/*/stage.json")
            record = json.loads(file.read_text())
            return Figure(given.count / record["seconds"], record["peak_memory_bytes"] / 1e9)

    return Contender("triptych, recomputing" if recomputes else "triptych", recomputes, run)


def peer(name: str, recomputes: bool, command: list[str]) -> Contender:
    """One run of another trainer's script."""

    def run() -> Figure:
        done = subprocess.run(command, capture_output=True, text=True)
        found = re.search(r"^RESULT .*?(?:rows|pairs)/s=([\d.]+).*?peak_rss=([\d.]+)GB", done.stdout, re.MULTILINE)
        if not found:
            sys.exit(f"{' '.join(command)} gave no result:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return Figure(float(found[1]), float(found[2]))

    return Contender(name, recomputes, run)


def contenders(given: argparse.Namespace, rows: Path, folder: Path) -> list[Contender]:
    """Ours, and every other trainer at the settings that suit it best on such work."""
    model, count, length = str(given.model), str(given.count), str(given.max_length)
    found = [ours(given, rows, folder, recomputes) for recomputes in (False, True)]
    if given.trl and given.work == "sft":
        script = [given.trl, str(given.scripts / "trl_sft.py"), model, str(rows), count]
        found.append(peer("trl packed", False, [*script, "pack", "1", length]))
        found.append(peer("trl batch 1", False, [*script, "pad", "1", length]))
    elif given.trl:
        script = [given.trl, str(given.scripts / "trl_dpo.py"), model, str(rows), count, "1", length]
        found.append(peer("trl", False, [*script, "live"]))
    if given.llamafactory:
        mode = {"sft": "sft-pack", "dpo": "dpo"}[given.work]
        cli = str(Path(given.llamafactory).with_name("llamafactory-cli"))
        script = [given.llamafactory, str(given.scripts / "llamafactory_run.py"), model, str(rows), count]
        found.append(peer("llama-factory", True, [*script, mode, length, cli]))
    return found


def main() -> None:
    """Measure in turn, print every figure and the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", choices=("sft", "dpo"))
    parser.add_argument("rows", type=Path)
    parser.add_argument("count", type=int)
    parser.add_argument("--model", type=lambda text: Path(text).resolve(), required=True)
    parser.add_argument("--scripts", type=Path, default=PROJECT.parent / "shared" / "bench")
    parser.add_argument("--trl", help="interpreter of a venv with TRL")
    parser.add_argument("--llamafactory", help="interpreter of a venv with LLaMA-Factory")
    parser.add_argument("--max-length", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        rows = folder / "rows.jsonl.gz"
        fitting(given.rows, given.count, given.model, given.max_length, rows)
        entered = contenders(given, rows, folder)
        figures: dict[str, list[Figure]] = {one.name: [] for one in entered}
        for turn in range(given.rounds):
            for one in entered:
                figure = one.run()
                figures[one.name].append(figure)
                print(f"{turn + 1}  {one.name:22}{figure.per_second:8.3f} /s  {figure.gigabytes:6.2f} GB", flush=True)
    report(entered, figures)


def report(entered: list[Contender], figures: dict[str, list[Figure]]) -> None:
    """Print medians and ratios."""
    speed = {name: statistics.median(one.per_second for one in found) for name, found in figures.items()}
    memory = {name: statistics.median(one.gigabytes for one in found) for name, found in figures.items()}
    print("\nmedians")
    for name in figures:
        print(f"   {name:22}{speed[name]:8.3f} /s  {memory[name]:6.2f} GB")
    mine = {one.recomputes: one.name for one in entered[:2]}
    others = entered[2:]
    if others:
        fastest = max((one.name for one in others), key=lambda name: speed[name])
        best = max(mine.values(), key=lambda name: speed[name])
        print(f"\n{speed[best] / speed[fastest]:.2f} times the speed of {fastest}")
    for one in others:
        print(f"{memory[mine[one.recomputes]] / memory[one.name]:.2f} of the memory of {one.name}")


if __name__ == "__main__":
    main()
