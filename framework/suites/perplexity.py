"""Perplexity of held-out text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import ConfigDict

from framework.errors import ModelError
from framework.suites._items import STRICT, Filled, read_items, subset
from framework.suites._scoring import score
from framework.suites.base import Likelihood, Scorer, Sliced, Suite, SuiteResult


@dataclass(frozen=True, slots=True)
class TextItem:
    """One passage. Its first token is given, so a passage of a single token adds nothing."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    id: str
    text: Filled
    topic: str = ""


class Perplexity(Suite):
    """``exp`` of the negative log-likelihood per token over all texts: long texts weigh more than short ones.

    Slices (``topic:NAME``) hold perplexities as well, and all topics: even one text has many tokens.
    """

    kind: Literal["perplexity"] = "perplexity"

    def load(self) -> Sequence[TextItem]:
        """The passages."""
        return subset(read_items(self.path, TextItem), self.max_items)

    def evaluate(self, scorer: Scorer) -> SuiteResult:
        """Perplexity over all passages, and by topic."""
        items = self.load()
        likelihoods = scorer.texts([item.text for item in items])
        topics: dict[str, list[Likelihood]] = {}
        for item, likelihood in zip(items, likelihoods, strict=True):
            topics.setdefault(item.topic, []).append(likelihood)
        nll = _nll(likelihoods)
        return SuiteResult(
            metric="perplexity",
            value=_perplexity(nll),
            n=len(items),
            higher_is_better=False,
            slices={
                f"topic:{topic}": Sliced(_perplexity(_nll(found)), len(found))
                for topic, found in topics.items()
                if topic and _tokens(found)
            },
            metrics={"nll": nll, "tokens": float(_tokens(likelihoods))},
        )


def _tokens(likelihoods: Sequence[Likelihood]) -> int:
    return sum(likelihood.tokens for likelihood in likelihoods)


def _nll(likelihoods: Sequence[Likelihood]) -> float:
    """Negative log-likelihood per token, in nats. Raises ``ModelError`` when there is no token to score."""
    tokens = _tokens(likelihoods)
    if not tokens:
        raise ModelError("no text is longer than one token of this model's tokenizer: nothing to score")
    return -math.fsum(score(likelihood, "none") for likelihood in likelihoods) / tokens


def _perplexity(nll: float) -> float:
    """Raises ``ModelError`` when the perplexity is too large for a float: the model has diverged."""
    try:
        return math.exp(nll)
    except OverflowError:
        raise ModelError(f"the model loses {nll:.0f} nats per token on held-out text: it has diverged") from None


COMPONENT = Perplexity
