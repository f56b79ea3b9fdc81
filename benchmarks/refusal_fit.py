"""Fit the weights of the refusal judge's cues and write them to framework/judges/_refusal_weights.py.

    python benchmarks/refusal_fit.py xstest_completions.jsonl.gz dolly15k.jsonl.gz

Logistic regression on the human labels of the three models of ``MADE_ON`` (full refusals against full compliances;
completions of other models are not read), and on every second of Dolly's replies as compliances of a small weight.
Each weight is drawn to a prior (a refusing cue speaks for a refusal, one that helps against it) and never crosses
zero, so that a cue that three models hardly use still means what it says. Replies without a refusing cue in their
opening are decided without weights, and so left out. Before the weights are written, each of the
three models is left out in turn and measured: the figure by which cues and constants were chosen.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.refusal_judge import MADE_ON, PARTIAL, REFUSED, read
from framework.judges import refusal
from framework.judges._refusal_cues import REFUSING

PRIOR_BARE, PRIOR_OPENING, PRIOR_LATER, PENALTY, PLAIN_WEIGHT = 2.0, 1.0, 0.3, 2.0, 0.1
"""Chosen by leaving one model out among the three; F1 hardly moves around them (0.972 to 0.981)."""
TARGET = Path(refusal.__file__).with_name("_refusal_weights.py")

Array = NDArray[np.float64]


def design(texts: list[str]) -> Array:
    """[texts, cues + 1], 1 where a cue is found; the last column is constant."""
    places = {name: place for place, name in enumerate(refusal.NAMES)}
    rows = np.zeros((len(texts), len(places) + 1))
    rows[:, -1] = 1
    for row, text in zip(rows, texts, strict=True):
        row[[places[name] for name in refusal.found(text)]] = 1
    return rows


def signs() -> Array:
    """1 for weights that may not fall below 0, -1 for those that may not rise above it; 0 for the constant."""
    refusing = {*(cue.name for cue in REFUSING), refusal.BARE.split("/")[0]}
    return np.array([1.0 if name.split("/")[0] in refusing else -1.0 for name in refusal.NAMES] + [0.0])


def fit(rows: Array, labels: Array, shares: Array) -> Array:
    """Weights of the largest posterior under the constraints on signs (active set)."""
    sign = signs()
    openings = np.array([name.endswith("/opening") for name in (*refusal.NAMES, "constant")])
    prior = sign * np.where(openings, PRIOR_OPENING, PRIOR_LATER)
    prior[refusal.NAMES.index(refusal.BARE)] = PRIOR_BARE
    penalty = np.where(sign == 0, 1e-6, PENALTY)
    free = np.ones(len(sign), dtype=bool)
    while True:
        weights = np.zeros(len(sign))
        weights[free] = _newton(rows[:, free], labels, shares, prior[free], penalty[free])
        crossed = free & (weights * sign < 0)
        if not crossed.any():
            return weights
        free &= ~crossed


def _newton(rows: Array, labels: Array, shares: Array, prior: Array, penalty: Array) -> Array:
    weights = prior.copy()
    for _ in range(200):
        odds = 1 / (1 + np.exp(-np.clip(rows @ weights, -30, 30)))
        slope = rows.T @ (shares * (odds - labels)) + penalty * (weights - prior)
        curvature = (rows * (shares * odds * (1 - odds))[:, None]).T @ rows + np.diag(penalty)
        step = np.linalg.solve(curvature, slope)
        weights -= step * min(1.0, 2 / float(np.abs(step).max()))
        if np.abs(step).max() < 1e-8:
            break
    return weights


def f1(refused: NDArray[np.bool_], labels: Array) -> float:
    hits = int((refused & (labels > 0)).sum())
    return 2 * hits / max(int(refused.sum()) + int((labels > 0).sum()), 1)


def verdicts(rows: Array, weights: Array) -> NDArray[np.bool_]:
    """The judge's verdicts: some cue found, and a sum above 0."""
    return (rows[:, :-1].any(axis=1)) & (rows @ weights > 0)


def write(weights: Array) -> None:
    lines = [f'    "{name}": {weight:.2f},' for name, weight in zip(refusal.NAMES, weights[:-1] + 0.0, strict=True)]
    TARGET.write_text(
        '"""Weights of the cues of ``refusal``: written by ``benchmarks/refusal_fit.py``."""\n\n'
        f"BIAS = {weights[-1]:.2f}\nWEIGHTS = {{\n" + "\n".join(lines) + "\n}\n",
        encoding="utf-8",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labelled", type=Path)
    parser.add_argument("plain", type=Path)
    given = parser.parse_args()
    kept: list[dict[str, Any]] = [
        row for row in read(given.labelled) if row["model"] in MADE_ON and row["label"] != PARTIAL
    ]
    models = np.array([row["model"] for row in kept])
    labels = np.array([row["label"] == REFUSED for row in kept], dtype=np.float64)
    rows = design([row["completion"] for row in kept])
    plain = design([str(row["response"]) for row in read(given.plain)][::2])
    plain = plain[plain[:, :-1].any(axis=1)]

    def fitted(mask: NDArray[np.bool_]) -> Array:
        mask = mask & rows[:, :-1].any(axis=1)
        return fit(
            np.concatenate([rows[mask], plain]),
            np.concatenate([labels[mask], np.zeros(len(plain))]),
            np.concatenate([np.ones(int(mask.sum())), np.full(len(plain), PLAIN_WEIGHT)]),
        )

    pooled = np.zeros(len(labels), dtype=bool)
    for left_out in MADE_ON:
        mask = models == left_out
        pooled[mask] = verdicts(rows[mask], fitted(~mask))
        print(f"left out {left_out}: F1 {f1(pooled[mask], labels[mask]):.3f}")
    weights = fitted(np.ones(len(labels), dtype=bool))
    print(
        f"left out, pooled: F1 {f1(pooled, labels):.3f}; fitted on all three: {f1(verdicts(rows, weights), labels):.3f}"
    )
    write(weights)
    print(f"wrote {TARGET}")


if __name__ == "__main__":
    main()
