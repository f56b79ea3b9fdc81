"""Tokens that rows begin with alike: computed once, and nothing else changes. Greedy decoding against transformers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from transformers import PreTrainedModel

from framework.train.attention import Region, Span
from framework.train.batch import Piece, build, share
from framework.train.decode import greedy
from framework.train.lm import load
from framework.train.module import token_logps

SYSTEM = list(range(40, 60))


@pytest.fixture(scope="module")
def model(small_model: Path) -> PreTrainedModel:
    return load(small_model, "float32")


def piece(tokens: list[int], targets: int, depth: int = 0, unit: int = 0, child: int = 0) -> Piece:
    """A piece whose last tokens are targets."""
    supervised = np.arange(len(tokens)) >= len(tokens) - targets
    return Piece(np.array(tokens, dtype=np.int32), supervised, depth, unit, child)


def rows_of(seed: int, lead: list[int], count: int, unit: int) -> list[list[Piece]]:
    """Conversations and pairs that begin with ``lead``."""
    rng = np.random.default_rng(seed)
    found: list[list[Piece]] = []
    for at in range(count):
        own = [int(token) for token in rng.integers(70, 250, rng.integers(2, 9))]
        if at % 2:
            sides = [[int(token) for token in rng.integers(70, 250, rng.integers(1, 6))] for _ in range(2)]
            prompt = piece([*lead, *own], 0, unit=unit + at)
            found.append([prompt, *(piece(side, len(side), 1, unit + at, n) for n, side in enumerate(sides))])
        else:
            found.append([piece([*lead, *own], int(rng.integers(1, len(own))), unit=unit + at)])
    return found


def logps(model: PreTrainedModel, pieces: list[Piece]) -> dict[tuple[int, int], Tensor]:
    """Log-probabilities of the targets by row and continuation."""
    batch = build(pieces)
    values = token_logps(model, batch)
    owners = list(zip(batch.unit.tolist(), batch.child.tolist(), strict=True))
    return {owner: values[[at for at, one in enumerate(owners) if one == owner]] for owner in dict.fromkeys(owners)}


def test_shared_beginnings_change_no_loss_and_no_gradient(model: PreTrainedModel) -> None:
    rows = [*rows_of(1, SYSTEM, 6, 0), *rows_of(2, [7], 2, 10), *rows_of(3, SYSTEM[::-1], 4, 20)]
    together, apart = share(rows), [one for row in rows for one in row]
    saved = sum(len(one.tokens) for one in apart) - sum(len(one.tokens) for one in together)
    assert saved >= 5 * len(SYSTEM) + 3 * len(SYSTEM)
    results: list[tuple[dict[tuple[int, int], Tensor], list[Tensor]]] = []
    model.requires_grad_(True)
    for pieces in (together, apart):
        model.zero_grad()
        found = logps(model, pieces)
        torch.cat(list(found.values())).mean().backward()
        results.append((found, [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]))
    (one, gradients), (other, expected) = results
    assert one.keys() == other.keys()
    for owner, values in other.items():
        torch.testing.assert_close(one[owner], values, atol=1e-5, rtol=1e-5)
    for gradient, wanted in zip(gradients, expected, strict=True):
        torch.testing.assert_close(gradient, wanted, atol=1e-5, rtol=1e-4)


def test_rows_that_share_a_beginning_do_not_see_one_another(model: PreTrainedModel) -> None:
    rows = rows_of(4, SYSTEM, 4, 0)
    with torch.no_grad():
        before = logps(model, share(rows))
        changed = [*rows[:2], [piece([*SYSTEM, *range(200, 230)], 5, unit=2)], rows[3]]
        after = logps(model, share(changed))
    for owner in before:
        if owner[0] != 2:
            torch.testing.assert_close(after[owner], before[owner], atol=1e-5, rtol=1e-5)


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.lists(st.integers(0, 3), min_size=1, max_size=6), st.integers(1, 6)),
        min_size=1,
        max_size=8,
    )
)
def test_every_row_can_be_put_together_again(rows: list[tuple[int, list[int], int]]) -> None:
    given_rows = [
        [piece([*SYSTEM[:lead], *own], min(targets, lead + len(own) - 1), unit=unit)]
        for unit, (lead, own, targets) in enumerate(rows)
    ]
    pieces = share(given_rows)
    batch = build(pieces)
    assert sum(span.length for span in batch.spans) == batch.input_ids.shape[1]
    open_pieces: list[Piece] = []
    found: dict[int, tuple[list[int], list[bool]]] = {}
    for at, one in enumerate(pieces):
        open_pieces = [*open_pieces[: one.depth], one]
        followed = at + 1 < len(pieces) and pieces[at + 1].depth > one.depth
        if not followed:
            tokens = [token for part in open_pieces for token in part.tokens.tolist()]
            found[one.unit] = (tokens, [flag for part in open_pieces for flag in part.supervised.tolist()])
    assert found == {unit: (row[0].tokens.tolist(), row[0].supervised.tolist()) for unit, row in enumerate(given_rows)}


def test_what_lies_behind_its_prefix_is_one_stretch_with_it() -> None:
    lead = [piece(SYSTEM, 0), piece([1, 2], 0, 1), piece([3], 1, 2), piece([4, 5], 2, 2, child=1), piece([6, 7], 1, 1)]
    assert list(build(lead).spans) == [
        Span(0, 23),
        Span(23, 2, (Region(0, 22),)),
        Span(25, 2, (Region(0, 20),)),
    ]
    positions = build(lead).position_ids[0].tolist()
    assert positions == [*range(23), 22, 23, 20, 21]


def test_a_continuation_needs_something_to_continue() -> None:
    with pytest.raises(ValueError, match="no prefix"):
        build([piece([1, 2], 1, depth=1)])
    with pytest.raises(ValueError, match="first token"):
        build([piece([1, 2], 2)])


@pytest.mark.parametrize("lead", [[], SYSTEM])
def test_greedy_replies_are_those_of_transformers(model: PreTrainedModel, lead: list[int]) -> None:
    rng = np.random.default_rng(5)
    own = [[int(token) for token in rng.integers(70, 250, length)] for length in (1, 3, 9, 2, 30)]
    prompts = [np.array([*lead, *one], dtype=np.int32) for one in own]
    alone: list[list[int]] = []
    model.set_attn_implementation("sdpa")
    try:
        for prompt in prompts:
            ids = torch.from_numpy(prompt.astype(np.int64))[None]
            output = model.generate(ids, max_new_tokens=12, do_sample=False, eos_token_id=None, pad_token_id=0)
            alone.append(output[0, len(prompt) :].tolist())
    finally:
        model.set_attn_implementation("triptych_segments")
    stop = {alone[0][3], alone[2][7]}
    expected = [reply[: next((at for at, token in enumerate(reply) if token in stop), len(reply))] for reply in alone]
    assert len({len(reply) for reply in expected}) > 1
    assert greedy(model, prompts, 12, stop) == expected
    assert greedy(model, prompts[2:3], 12, stop) == expected[2:3]
