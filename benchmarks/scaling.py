"""Time and memory of training steps against sequence length and vocabulary: should be linear, attention apart.

    python benchmarks/scaling.py TEXT.jsonl.gz [--lengths 512 1024 2048 4096 8192] [--steps 4] [--picture FILE.png]

``TEXT`` holds long documents (rows with ``text``). For every length, steps of one row of that many tokens are trained
with LoRA on SmolLM2-135M, each length in a process of its own (``step_profile.py``, which tells attention's share);
then steps of 1,024 tokens with random models of the same blocks and other vocabularies, whose token ids are the same.
Prints seconds a step, with and without attention, and peak memory (of the whole process), and draws all. Nothing else
may run meanwhile.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from framework.paths import home

if TYPE_CHECKING:
    from matplotlib.axes import Axes

VOCABULARIES = (49_152, 98_304, 196_608)
LENGTH = 1024


class Figures(NamedTuple):
    """What a step of one length costs."""

    seconds: float
    attention: float
    """Seconds of it."""
    gigabytes: float
    """The process's largest resident set."""

    @property
    def rest(self) -> float:
        """Seconds without attention."""
        return self.seconds - self.attention


def measure(text: Path, length: int, steps: int, model: str) -> Figures:
    """Train steps of ``length`` tokens in a process of their own."""
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
    done = subprocess.run([sys.executable, script, "--steps", str(steps), *overrides], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    found = json.loads(done.stdout.splitlines()[-1])
    seconds = found["seconds"] / (steps - 2)
    return Figures(seconds, seconds * found["shares"]["attention"], found["peak_memory_bytes"] / 1e9)


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


def draw(lengths: dict[int, Figures], words: dict[int, Figures], picture: Path) -> None:
    """Two columns (length, vocabulary) of two charts (seconds, gigabytes), and the straight line nearest to them."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, charts = pyplot.subplots(2, 2, figsize=(9, 6), layout="constrained")
    for (above, below), name, found in zip(charts.T, ("tokens in a step", "vocabulary"), (lengths, words), strict=True):
        places = list(found)
        above.plot(places, [one.seconds for one in found.values()], marker="o", label="all")
        _with_line(above, places, [one.rest for one in found.values()], "without attention")
        _with_line(below, places, [one.gigabytes for one in found.values()], "peak memory")
        for chart, unit in ((above, "seconds a step"), (below, "GB")):
            chart.set(xlabel=name, ylabel=unit, ylim=(0, None), xlim=(0, None))
            chart.locator_params(axis="x", nbins=5)
            chart.legend(loc="best", frameon=False)
            chart.grid(alpha=0.3)
    figure.savefig(picture, dpi=110)


def _with_line(chart: Axes, places: list[int], measured: list[float], label: str) -> None:
    line = np.polynomial.Polynomial.fit(places, measured, 1)
    chart.plot((0, places[-1]), (line(0), line(places[-1])), linestyle="--", color="0.6", label="straight line")
    chart.plot(places, measured, marker="o", label=label)


def show(name: str, found: Figures) -> None:
    """Print one line."""
    seconds = f"{found.seconds:7.2f} s a step, {found.rest:6.2f} s without attention"
    print(f"{name:18} {seconds}, {found.gigabytes:6.2f} GB", flush=True)


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
    by_length: dict[int, Figures] = {}
    for length in given.lengths:
        by_length[length] = measure(given.text, length, given.steps, str(model))
        show(f"{length:,} tokens", by_length[length])
    by_vocabulary: dict[int, Figures] = {}
    for vocabulary in VOCABULARIES:
        with tempfile.TemporaryDirectory() as folder:
            larger = str(widened(model, vocabulary, Path(folder)))
            by_vocabulary[vocabulary] = measure(given.text, LENGTH, given.steps, larger)
        show(f"{vocabulary:,} vocabulary", by_vocabulary[vocabulary])
    if given.picture:
        draw(by_length, by_vocabulary, given.picture)


if __name__ == "__main__":
    main()
