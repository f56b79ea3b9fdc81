"""What suites share: asking, averaging and slicing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal

from framework.data.rows import Turn
from framework.errors import ModelError
from framework.suites.base import Likelihood, Prompt, Sliced

MAX_EXAMPLES = 12
"""Examples kept by a suite: always the first items, so that two models' replies can be read side by side."""

MIN_TOPIC = 3
"""A topic with fewer items gets no slice: its value would say nothing."""

Normalise = Literal["token", "none"]
"""Log-likelihoods are compared per token, or as they are (which favours short texts)."""


def ask(text: str) -> Prompt:
    """A prompt of one user turn."""
    return (Turn("user", text),)


def score(likelihood: Likelihood, normalise: Normalise) -> float:
    """The log-likelihood by which texts are compared.

    Raises ``ModelError`` when it is not a finite number.
    """
    if not math.isfinite(likelihood.logprob):
        raise ModelError(f"the model gives a text the log-likelihood {likelihood.logprob}: its weights are broken")
    return likelihood.logprob / max(likelihood.tokens, 1) if normalise == "token" else likelihood.logprob


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean of at least one value."""
    return math.fsum(values) / len(values)


def sliced(labelled: Iterable[tuple[str, float]], prefix: str = "", minimum: int = 1) -> dict[str, Sliced]:
    """The mean of the values under each label, by first appearance; empty labels and thin slices are left
    out.
    """
    groups: dict[str, list[float]] = {}
    for label, value in labelled:
        if label:
            groups.setdefault(prefix + label, []).append(value)
    return {name: Sliced(mean(values), len(values)) for name, values in groups.items() if len(values) >= minimum}
