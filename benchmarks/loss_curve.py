"""Loss by step, ours and TRL's, from one adapter over the same rows in the same order, in fp32.

    python benchmarks/loss_curve.py ROWS.jsonl.gz 64 --model DIR --trl PYTHON

``ROWS`` have an ``id``; ``PYTHON`` is the interpreter of a venv that has TRL. Ours trains packed through ``train.py``;
TRL pads the rows that we packed into a step to one batch. Both tokenise and mask on their own. Prints both curves and
the largest difference.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from framework.adapters.lora import LoRA
from framework.data.packs import Field, Packs
from framework.train.lm import materialise

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from benchmarks.training_speed import fitting  # noqa: E402 - a script of this folder

LENGTH, RATE = 1024, "1e-4"


def ours(rows: Path, model: Path, folder: Path) -> tuple[list[float], list[list[int]]]:
    """Our losses, and the rows of each step by their place in the file."""
    settings = {
        "stage": "instruct",
        "model": "path",
        "model.path": model,
        "model.dtype": "float32",
        "data": "files",
        "data.instruct.sources.rows.path": rows,
        "data.instruct.sources.rows.format": "instruction",
        "stage.instruct.max_length": LENGTH,
        "stage.instruct.batch.tokens": 2 * LENGTH,
        "stage.instruct.epochs": 1,
        "stage.instruct.lr": RATE,
        "stage.instruct.schedule": "constant",
        "stage.instruct.warmup": 0,
        "eval": "none",
        "tracker": "none",
        "checks.strict": "false",
        "run_dir": folder / "run",
    }
    command = [sys.executable, "train.py", *(f"{key}={value}" for key, value in settings.items())]
    environment = {**os.environ, "TRIPTYCH_HOME": str(folder / "home")}
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    (file,) = folder.glob("run/stages/*/metrics.jsonl")
    losses = [json.loads(line)["loss"] for line in file.read_text().splitlines()]
    (meta,) = folder.glob("home/cache/packs/*/meta.json")
    packs = Packs.open(meta.parent)
    with gzip.open(rows, "rt", encoding="utf-8") as stream:
        places = {str(json.loads(line)["id"]): place for place, line in enumerate(stream)}
    ids = [places[id] for id in packs.ids()]
    steps = [
        [ids[unit] for pack in packs.step_packs(step) for unit in packs.pack_segments(pack)[:, Field.UNIT].tolist()]
        for step in range(len(packs.steps) - 1)
    ]
    return losses, steps


def main() -> None:
    """Train both and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path)
    parser.add_argument("count", type=int)
    parser.add_argument("--model", type=lambda text: Path(text).resolve(), required=True)
    parser.add_argument("--trl", required=True, help="interpreter of a venv with TRL")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        rows = folder / "rows.jsonl.gz"
        fitting(given.rows, given.count, given.model, LENGTH, rows)
        found, steps = ours(rows, given.model, folder)
        LoRA(kind="lora").apply(materialise(given.model, [], "float32"), seed=0).save_pretrained(folder / "start")
        (folder / "steps.json").write_text(json.dumps(steps))
        script = [given.trl, str(PROJECT / "benchmarks" / "trl_curve.py"), str(given.model)]
        command = [*script, str(folder / "start"), str(rows), str(folder / "steps.json"), RATE]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
        theirs = json.loads(done.stdout.splitlines()[-1])
    print("step  rows     ours      trl  difference")
    for step, (own, other) in enumerate(zip(found, theirs, strict=True), start=1):
        print(f"{step:4}  {len(steps[step - 1]):4}  {own:7.4f}  {other:7.4f}  {abs(own / other - 1):9.2%}")
    print(f"largest difference: {max(abs(a / b - 1) for a, b in zip(found, theirs, strict=True)):.2%}")


if __name__ == "__main__":
    main()
