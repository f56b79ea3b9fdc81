"""A model that answers from tables, and item files."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from framework.suites.base import Likelihood, Prompt


@dataclass(frozen=True)
class FakeScorer:
    """``likelihoods`` by text, ``replies`` by the prompt's only turn; anything else is an error."""

    likelihoods: Mapping[str, Likelihood] = field(default_factory=dict[str, Likelihood])
    replies: Mapping[str, str] = field(default_factory=dict[str, str])
    budgets: list[int] = field(default_factory=list[int])
    """The ``max_new_tokens`` of every call."""

    def continuations(
        self, prompts: Sequence[Prompt], continuations: Sequence[Sequence[str]]
    ) -> list[list[Likelihood]]:
        assert len(prompts) == len(continuations)
        return [[self.likelihoods[text] for text in texts] for texts in continuations]

    def texts(self, texts: Sequence[str]) -> list[Likelihood]:
        return [self.likelihoods[text] for text in texts]

    def generate(self, prompts: Sequence[Prompt], max_new_tokens: int) -> list[str]:
        self.budgets.append(max_new_tokens)
        assert all([turn.role for turn in prompt] == ["user"] for prompt in prompts)
        return [self.replies[prompt[0].content] for prompt in prompts]


@pytest.fixture
def knows() -> Callable[..., FakeScorer]:
    """Makes a scorer from ``{text: (logprob, tokens)}``."""

    def make(likelihoods: Mapping[str, tuple[float, int]]) -> FakeScorer:
        return FakeScorer(likelihoods={text: Likelihood(*found) for text, found in likelihoods.items()})

    return make


@pytest.fixture
def says() -> Callable[..., FakeScorer]:
    """Makes a scorer from ``{prompt: reply}``."""

    def make(replies: Mapping[str, str]) -> FakeScorer:
        return FakeScorer(replies=replies)

    return make


@pytest.fixture
def items(tmp_path: Path) -> Callable[..., str]:
    """Writes items as JSON lines and gives the path as a setting; an item without an id gets ``1``, ``2``,
    ...
    """

    def write(*rows: Mapping[str, Any]) -> str:
        file = tmp_path / "items.jsonl"
        lines = [json.dumps({"id": str(number)} | dict(row)) for number, row in enumerate(rows, start=1)]
        file.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        return str(file)

    return write
