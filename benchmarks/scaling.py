"""Time and memory of training steps against sequence length and vocabulary: should be linear, attention apart.

    python benchmarks/scaling.py TEXT.jsonl.gz [--lengths 512 1024 2048 4096 8192] [--steps 4] [--picture FILE.png]

``TEXT`` holds long documents (rows with ``text``). For every length, steps of one row of that many tokens are trained
with LoRA on SmolLM2-135M, each length in a process of its own; then steps of 1,024 tokens with random models of the
same blocks and other vocabularies, whose token ids are the same. Prints seconds a step and peak memory (of the
whole process), and draws both. Nothing else may run meanwhile.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from framework.paths import home

VOCABULARIES = (49_152, 98_304, 196_608)
LENGTH = 1024


def measure(text: Path, length: int, steps: int, model: str) -> tuple[float, float]:
    """Seconds a step of ``length`` tokens, and the peak memory in GB."""
    overrides = [
        "stage=domain",
        "data=files",
        "model=path",
        f"model.path={model}",
        f"data.domain.sources.text.path={text}",
        f"stage.domain.max_length={length}",
        f"stage.domain.batch.tokens={length}",
        f"stage.domain.max_steps={steps}",
        "model.checkpointing=false",
        "eval=none",
        "checks.strict=false",
    ]
    script = str(Path(__file__).with_name("step_profile.py"))
    done = subprocess.run(
        [sys.executable, script, "--plain", "--steps", str(steps), *overrides], capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    found = json.loads(done.stdout.splitlines()[-1])
    return found["seconds"] / (steps - 2), found["peak_memory_bytes"] / 1e9


def widened(model: Path, vocabulary: int, folder: Path) -> Path:
    """The model with random weights and a larger vocabulary."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer  # noqa: TID251 - makes weights, loads none

    config = AutoConfig.from_pretrained(model)
    config.vocab_size = vocabulary
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(folder)
    AutoTokenizer.from_pretrained(model).save_pretrained(folder)
    return folder


def draw(lengths: dict[int, tuple[float, float]], words: dict[int, tuple[float, float]], picture: Path) -> None:
    """Two columns (length, vocabulary) of two charts (seconds, gigabytes), and the line of the first two points."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, charts = pyplot.subplots(2, 2, figsize=(9, 6), layout="constrained")
    for column, (name, found) in enumerate((("tokens in a step", lengths), ("vocabulary", words))):
        for row, unit in enumerate(("seconds a step", "peak memory, GB")):
            chart = charts[row][column]
            measured = [figures[row] for figures in found.values()]
            places = list(found)
            slope = (measured[1] - measured[0]) / (places[1] - places[0])
            line = [measured[0] + slope * (place - places[0]) for place in (0, places[-1])]
            chart.plot((0, places[-1]), line, linestyle="--", color="0.6", label="line through the first two")
            chart.plot(places, measured, marker="o", label="measured")
            chart.set(xlabel=name, ylabel=unit, ylim=(0, None), xlim=(0, None))
            chart.legend(loc="upper left", frameon=False)
            chart.grid(alpha=0.3)
    figure.savefig(picture, dpi=110)


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=lambda text: Path(text).resolve())
    parser.add_argument("--lengths", type=int, nargs="+", default=[512, 1024, 2048, 4096, 8192])
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args()
    model = next(iter(sorted(home().glob("models/smollm2-135m-*"))), None)
    if model is None:
        sys.exit("SmolLM2 is not in the home: run `python train.py do=plan` once")
    by_length: dict[int, tuple[float, float]] = {}
    for length in given.lengths:
        seconds, gigabytes = by_length[length] = measure(given.text, length, given.steps, str(model))
        print(f"{length:7,} tokens      {seconds:7.2f} s a step  {length / seconds:6.0f} tokens/s  {gigabytes:5.2f} GB")
    by_vocabulary: dict[int, tuple[float, float]] = {}
    for vocabulary in VOCABULARIES:
        with tempfile.TemporaryDirectory() as folder:
            found = measure(given.text, LENGTH, given.steps, str(widened(model, vocabulary, Path(folder))))
        by_vocabulary[vocabulary] = found
        print(f"{vocabulary:7,} vocabulary  {found[0]:7.2f} s a step  {'':15} {found[1]:5.2f} GB")
    if given.picture:
        draw(by_length, by_vocabulary, given.picture)


if __name__ == "__main__":
    main()
