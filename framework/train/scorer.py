"""What evaluation suites ask of a model: likelihoods over packed sequences with shared prompts, and greedy replies."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from framework.data.chat import ChatTokenizer
from framework.suites.base import Likelihood, Prompt
from framework.train.batch import MicroBatch, Piece, build, share
from framework.train.decode import greedy
from framework.train.module import response_scores, token_logps
from framework.train.reward_model import load_reward_model


class ModelScorer:
    """A model that is evaluated, by several threads if need be. Implements ``framework.suites.base.Scorer``."""

    def __init__(
        self,
        model: PreTrainedModel,
        chat: ChatTokenizer,
        device: torch.device,
        beat: Callable[[], None],
        tokens: int = 2048,
        rows: int = 80,
    ) -> None:
        self._model = model.to(device).eval()  # type: ignore[arg-type]
        self._chat = chat
        self._device = device
        self._beat = beat
        self._tokens = tokens
        self._rows = rows

    def continuations(
        self, prompts: Sequence[Prompt], continuations: Sequence[Sequence[str]]
    ) -> list[list[Likelihood]]:
        """Every prompt goes through the model once, whatever the number of its continuations."""
        rows = self._rows_of(prompts, continuations, stop=False)
        results = [[Likelihood(0.0, 0)] * len(group) for group in continuations]
        for batch, logps in self._forward(rows):
            for unit, child, value, count in _grouped(batch, logps):
                results[unit][child] = Likelihood(value, count)
        return results

    def texts(self, texts: Sequence[str]) -> list[Likelihood]:
        """Likelihood of each text given its first token."""
        rows: list[list[Piece]] = []
        for unit, tokens in enumerate(self._chat.encode_texts(texts)):
            # The end-of-text token belongs to training rows, not to the text that is measured.
            tokens = tokens[:-1] if len(tokens) > 1 and int(tokens[-1]) in self._chat.eos_ids else tokens
            supervised = np.ones(len(tokens), dtype=bool)
            supervised[0] = False
            rows.append([Piece(tokens, supervised, unit=unit)])
        results = [Likelihood(0.0, 0)] * len(texts)
        for batch, logps in self._forward(rows):
            for unit, _, value, count in _grouped(batch, logps):
                results[unit] = Likelihood(value, count)
        return results

    def rewards(
        self, prompts: Sequence[Prompt], replies: Sequence[Sequence[str]], model: Path | None = None
    ) -> list[list[float]]:
        """Replies end with the stop token, at which they are scored; every prompt goes through the model once.

        Another model's own tokenizer and template are used, and it is let go again.
        """
        if model is not None:
            judge = load_reward_model(model, self._model.dtype)
            other = ModelScorer(judge, ChatTokenizer.load(model), self._device, self._beat, self._tokens)
            return other.rewards(prompts, replies)
        rows = self._rows_of(prompts, replies, stop=True)
        results = [[0.0] * len(group) for group in replies]
        for batch in self._batches(rows):
            with torch.no_grad():
                scores, owners = response_scores(self._model, batch)
            for (unit, child), value in zip(owners.tolist(), scores.tolist(), strict=True):
                results[unit][child] = value
        return results

    def _rows_of(self, prompts: Sequence[Prompt], replies: Sequence[Sequence[str]], stop: bool) -> list[list[Piece]]:
        """Each prompt with its replies, whose tokens are the targets."""
        encoded = self._chat.encode_prompts(prompts)
        said = iter(self._chat.encode_replies([reply for group in replies for reply in group], stop=stop))
        rows: list[list[Piece]] = []
        for unit, (prompt, group) in enumerate(zip(encoded, replies, strict=True)):
            pieces = [Piece(prompt, np.zeros(len(prompt), dtype=bool), unit=unit)]
            for child in range(len(group)):
                reply = next(said)
                pieces.append(Piece(reply, np.ones(len(reply), dtype=bool), 1, unit, child))
            rows.append(pieces)
        return rows

    @torch.no_grad()
    def _forward(self, rows: list[list[Piece]]) -> list[tuple[MicroBatch, Tensor]]:
        return [(batch, token_logps(self._model, batch)) for batch in self._batches(rows)]

    def _batches(self, rows: list[list[Piece]]) -> Iterator[MicroBatch]:
        """Rows in micro-batches; after each the model has got on."""
        waiting: list[list[Piece]] = []
        size = 0
        for row in [*rows, []]:
            length = sum(len(piece.tokens) for piece in row)
            if waiting and (not row or size + length > self._tokens):
                yield build(share(waiting)).to(self._device)
                waiting, size = [], 0
                self._beat()
            waiting.append(row)
            size += length

    def generate(self, prompts: Sequence[Prompt], max_new_tokens: int) -> list[str]:
        """Greedy decoding in batches of prompts of similar length."""
        encoded = self._chat.encode_prompts(prompts)
        order = sorted(range(len(encoded)), key=lambda index: len(encoded[index]))
        replies = [""] * len(encoded)
        batches = math.ceil(len(order) / self._rows)
        for places in (part.tolist() for part in np.array_split(order, batches)) if batches else ():
            found = greedy(self._model, [encoded[place] for place in places], max_new_tokens, self._chat.eos_ids)
            for place, tokens in zip(places, found, strict=True):
                replies[place] = self._chat.decode(tokens).strip()
            self._beat()
        return replies


def _grouped(batch: MicroBatch, logps: Tensor) -> list[tuple[int, int, float, int]]:
    """Sums over the targets of each continuation: unit, child, log-probability, tokens."""
    pairs = torch.stack([batch.unit, batch.child], dim=1)
    owners, place, counts = torch.unique(pairs, dim=0, return_inverse=True, return_counts=True)
    sums = torch.zeros(len(owners), device=logps.device).index_add(0, place, logps)
    return [
        (unit, child, value, count)
        for (unit, child), value, count in zip(owners.tolist(), sums.tolist(), counts.tolist(), strict=True)
    ]
