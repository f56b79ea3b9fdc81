"""How full packs become, and how long mixing and packing takes: ``python benchmarks/packing.py [ROWS.jsonl.gz]``.

With a file of instruction rows it measures packs of 1,024 tokens of SmolLM2, in wide and in narrow windows; then a
million rows from eight sources, of the same lengths or, without a file, of log-normal ones.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from framework.data.chat import ChatTokenizer, Encoded
from framework.data.choose import Bounds, choose
from framework.data.load import load
from framework.data.mix import Mix
from framework.data.pack import NARROW, WINDOW, pack
from framework.data.rows import Conversation
from framework.paths import home
from framework.sources.jsonl import JsonLines

CAPACITY = 1024
ROWS = 1_000_000


def lengths_of(path: str) -> NDArray[np.int64]:
    """Tokens of each row, cut at the capacity."""
    folder = next(iter(sorted(home().glob("models/smollm2-135m-*"))), None)
    if folder is None:
        sys.exit("SmolLM2 is not in the home: run `python train.py do=plan` once")
    tokenizer = ChatTokenizer.load(Path(folder))
    rows = [row for row in load("rows", JsonLines(path=path)).rows if isinstance(row, Conversation)]
    found = [one for one in tokenizer.encode_conversations(rows) if isinstance(one, Encoded)]
    return np.minimum([len(one.ids) for one in found], CAPACITY).astype(np.int64)


def main() -> None:
    """Measure and print."""
    generator = np.random.default_rng(0)
    if len(sys.argv) > 1:
        lengths = generator.permutation(lengths_of(sys.argv[1]))
        for window in (WINDOW, NARROW):
            packs = pack(lengths, CAPACITY, window)
            fill = lengths.sum() / (len(packs) * CAPACITY)
            print(f"{len(lengths):,} rows, windows of {window} packs: {len(packs):,} packs, {fill:.2%} full")
    else:
        lengths = generator.lognormal(4.8, 0.9, 20_000).clip(8, CAPACITY).astype(np.int64)
    sizes = {f"source{n}": generator.choice(lengths, ROWS // 8) for n in range(8)}
    began = time.perf_counter()
    chosen = choose(sizes, Mix(), Bounds(1.0, CAPACITY, None, 0))
    print(f"{ROWS:,} rows of 8 sources: {len(chosen.packs):,} packs in {time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    main()
