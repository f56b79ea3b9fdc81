"""The losses of the real pipeline against plain transformers: unpacked, one row at a time, full logits."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from framework.data.mix import Mix
from framework.data.packs import Packs
from framework.data.prepare import Request, prepare
from framework.objectives.base import Objective
from framework.objectives.dpo import DPO
from framework.objectives.sft import Supervised
from framework.sources.jsonl import JsonLines
from framework.train.batch import MicroBatch, Piece, build
from framework.train.lm import load
from framework.train.loader import Loader
from framework.train.logps import CHUNK, target_logps
from framework.train.module import StageModule, token_logps
from framework.train.reference import summed

Rows = list[dict[str, Any]]
LENGTH = 256

TALKS: Rows = [
    {"messages": [{"role": role, "content": text} for role, text in turns]}
    for turns in (
        [("user", "What is a deed?"), ("assistant", "A signed and sealed writing.")],
        [("system", "Be brief."), ("user", "Say no."), ("assistant", "No."), ("user", "Why?"), ("assistant", "§ 4.")],
        [("user", "Grundstück?\n\nKurz!"), ("assistant", "Ein Stück Land; naïve 契約 🙂.")],
        [("user", "List two."), ("assistant", "1. One\n2. Two\n")],
        # Longer than a row may be: both sides must cut it at the same token.
        [("user", "Go on."), ("assistant", "and so on, " * 30)],
    )
]
PAIRS: Rows = [
    {"prompt": "May a minor sign?", "chosen": "Only with leave.", "rejected": "Yes, always, of course."},
    {"prompt": "Cite the rule.", "chosen": "Section 12 of the Harbour Act.", "rejected": "A rule."},
    {"prompt": "Translate: lex", "chosen": "law", "rejected": "lecture 🙂"},
]
TEXTS: Rows = [
    {"text": "A deed is a signed and sealed writing. It needs two witnesses."},
    {"text": "§ 4. Ein Vertrag über Grundstücke bedarf der Form. 契約 🙂"},
]
ROWS = {"sft": TALKS, "clm": TEXTS, "pair": PAIRS}


@dataclass(frozen=True)
class Case:
    """A model's directory, and whether its tokens are short enough for exact bounds."""

    directory: Path
    bound: float


def smollm2() -> Path | None:
    """SmolLM2 where this session's home, or the user's own, has it already."""
    homes = [Path(os.environ["TRIPTYCH_HOME"]), Path.home() / ".cache" / "triptych"]
    return next((folder for home in homes for folder in sorted(home.glob("models/smollm2-135m-*"))), None)


@pytest.fixture(scope="module", params=["small", pytest.param("smollm2", marks=pytest.mark.slow)])
def case(request: pytest.FixtureRequest, small_model: Path) -> Case:
    if request.param == "small":
        return Case(small_model, 1e-5)
    found = smollm2()
    if found is None:
        pytest.skip("SmolLM2 is not in the home: run `python train.py do=plan` once")
    return Case(found, 1e-4)


def packs_of(model: Path, rows: Rows, kind: Any, folder: Path) -> Packs:
    import json

    file = folder / f"{kind}.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    request = Request(
        name="stage",
        path="data.stage",
        rows=kind,
        sources={"rows": JsonLines(path=str(file))},
        replay={},
        mix=Mix(),
        max_length=LENGTH,
        long="truncate",
        epochs=1.0,
        max_steps=None,
        batch_tokens=LENGTH * 8,
        seed=0,
        model_dir=model,
    )
    return Packs.open(prepare(request).directory)


def whole_batch(packs: Packs) -> MicroBatch:
    """All rows as one micro-batch, as the loop would see it."""
    loader = Loader(packs, LENGTH * 8, 0, 1)
    ((_, shares),) = loader.iterate(0)
    (share,) = shares
    return share.batch


def batch_of(packs: Packs, keep: Callable[[Piece], Piece] = lambda piece: piece) -> list[list[Piece]]:
    """The pieces of every unit, in the order of the packs."""
    units: dict[int, list[Piece]] = {}
    for start, length, unit, role, source, _ in packs.segments.tolist():
        own = slice(start, start + length)
        piece = Piece(packs.tokens[own], packs.supervised[own], int(role >= 2), unit, int(role == 3), source)
        units.setdefault(unit, []).append(keep(piece))
    return list(units.values())


class Plain:
    """What anyone would write with transformers alone."""

    def __init__(self, directory: Path) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(directory)
        self.model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager")
        self.end = self.tokenizer.convert_tokens_to_ids("<|im_end|>")

    def ids(self, messages: list[dict[str, str]], prompt: bool) -> list[int]:
        found = self.tokenizer.apply_chat_template(messages, add_generation_prompt=prompt, tokenize=True)
        return list(found["input_ids"] if hasattr(found, "keys") else found)

    def row(self, messages: list[dict[str, str]]) -> tuple[list[int], list[bool]]:
        """Tokens and mask: from each generation prompt to the end-of-turn token after it."""
        ids = self.ids(messages, prompt=False)
        mask = [False] * len(ids)
        for place, message in enumerate(messages):
            if message["role"] == "assistant":
                before = self.ids(messages[:place], prompt=True)
                assert ids[: len(before)] == before
                stop = ids.index(self.end, len(before))
                mask[len(before) : stop + 1] = [True] * (stop + 1 - len(before))
        return ids, mask

    def logps(self, ids: list[int], mask: list[bool]) -> Tensor:
        tokens = torch.tensor([ids])
        every = torch.log_softmax(self.model(input_ids=tokens).logits[0, :-1].float(), dim=-1)
        chosen = every.gather(1, tokens[0, 1:, None]).squeeze(1)
        return chosen[torch.tensor(mask[1:])]

    def sft(self, rows: Rows) -> tuple[Tensor, int]:
        """Summed loss and number of targets."""
        found = []
        for row in rows:
            ids, mask = self.row(row["messages"])
            found.append(self.logps(ids[:LENGTH], mask[:LENGTH]))
        return -torch.stack([one.sum() for one in found]).sum(), sum(len(one) for one in found)

    def dpo(self, rows: Rows, reference: Plain, beta: float) -> Tensor:
        """Mean over pairs of -log sigmoid of the difference of the log-ratios."""
        losses: list[Tensor] = []
        for row in rows:
            ratios: list[Tensor] = []
            for name in ("chosen", "rejected"):
                turns = [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": row[name]}]
                ids, mask = self.row(turns)
                with torch.no_grad():
                    start = reference.logps(ids, mask).sum()
                ratios.append(self.logps(ids, mask).sum() - start)
            losses.append(-torch.nn.functional.logsigmoid(beta * (ratios[0] - ratios[1])))
        return torch.stack(losses).mean()


def shaken(model: PreTrainedModel) -> None:
    """Move the weights a little, the same way for every model of this shape: a policy away from its reference."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.02 * weight.std() * torch.randn(weight.shape, generator=generator))


def ours(directory: Path, dtype: str = "float32") -> PreTrainedModel:
    return load(directory, dtype).requires_grad_(True)


def gradients_agree(model: PreTrainedModel, plain: PreTrainedModel, bound: float) -> None:
    expected = dict(plain.named_parameters())
    for name, weight in model.named_parameters():
        wanted = expected[name].grad
        assert weight.grad is not None and wanted is not None, name
        scale = max(1e-3, float(wanted.abs().max()))
        assert float((weight.grad - wanted).abs().max()) <= bound * scale, name


def forward(model: PreTrainedModel, objective: Objective, batch: MicroBatch, reference: Tensor | None = None) -> Tensor:
    loss, _ = StageModule(model, objective)(batch, reference)
    return loss.total


def test_sft_equals_plain_transformers(case: Case, tmp_path: Path) -> None:
    packs = packs_of(case.directory, TALKS, "sft", tmp_path)
    assert len(packs.packs) - 1 < len(TALKS), "nothing was packed"
    model, plain = ours(case.directory), Plain(case.directory)
    total, count = plain.sft(TALKS)
    batch = whole_batch(packs)
    assert len(batch.labels) == count == int(packs.supervised.sum())
    loss = forward(model, Supervised(), batch) / count
    assert loss.item() == pytest.approx((total / count).item(), abs=case.bound)
    loss.backward()
    (total / count).backward()
    gradients_agree(model, plain.model, 10 * case.bound)


def test_dpo_equals_plain_transformers(case: Case, tmp_path: Path) -> None:
    packs = packs_of(case.directory, PAIRS, "pair", tmp_path)
    model, plain, start = ours(case.directory), Plain(case.directory), Plain(case.directory)
    batch = whole_batch(packs)
    reference = torch.zeros(packs.units, 2)
    with torch.no_grad():
        summed(token_logps(model, batch), batch, reference)
    shaken(model)
    shaken(plain.model)
    loss = forward(model, DPO(beta=0.3), batch, reference) / packs.pairs
    expected = plain.dpo(PAIRS, start, beta=0.3)
    assert abs(expected.item() - 0.6931) > 0.005, "policy and reference are too near to tell anything"
    assert loss.item() == pytest.approx(expected.item(), abs=case.bound)
    loss.backward()
    expected.backward()
    gradients_agree(model, plain.model, 20 * case.bound)


def test_dpo_starts_at_the_logarithm_of_two(small_model: Path, tmp_path: Path) -> None:
    packs = packs_of(small_model, PAIRS, "pair", tmp_path)
    model, batch = ours(small_model), whole_batch(packs)
    reference = torch.zeros(packs.units, 2)
    with torch.no_grad():
        summed(token_logps(model, batch), batch, reference)
    loss, _ = StageModule(model, DPO())(batch, reference)
    assert float(loss.total) / len(PAIRS) == pytest.approx(0.693147, abs=1e-5)
    assert loss.sums["reward_accuracy"].tolist() == [0.5 * len(PAIRS), len(PAIRS)]


def test_packed_equals_unpacked(case: Case, tmp_path: Path) -> None:
    model = ours(case.directory)
    for kind, rows in ROWS.items():
        packs = packs_of(case.directory, rows, kind, tmp_path)
        assert len(packs.packs) - 1 < len(rows), "nothing was packed"
        units = batch_of(packs)
        together = token_logps(model, build([piece for unit in units for piece in unit]))
        alone = torch.cat([token_logps(model, build(unit)) for unit in units])
        assert (together - alone).abs().max().item() <= case.bound


@pytest.mark.parametrize("kind", ["sft", "clm", "pair"])
def test_rows_of_a_pack_do_not_see_one_another(case: Case, tmp_path: Path, kind: str) -> None:
    """Other tokens in one row or pair: the logits of all others stay exactly as they are."""
    packs = packs_of(case.directory, ROWS[kind], kind, tmp_path)
    model = ours(case.directory)
    units = batch_of(packs)
    before = build([piece for unit in units for piece in unit])
    first = target_logits(model, before)
    for victim, own in enumerate(units):
        changed = [
            [replace(piece, tokens=(piece.tokens + 7) % 250) if place == victim else piece for piece in unit]
            for place, unit in enumerate(units)
        ]
        after = build([piece for unit in changed for piece in unit])
        others = before.unit != own[0].unit
        second = target_logits(model, after)
        assert torch.equal(first[others], second[others])
        assert not torch.equal(first[~others], second[~others])


@pytest.mark.parametrize("kind", ["sft", "clm", "pair"])
def test_rows_do_not_feel_where_they_lie_in_the_pack(small_model: Path, tmp_path: Path, kind: str) -> None:
    model = ours(small_model)
    units = batch_of(packs_of(small_model, ROWS[kind], kind, tmp_path))
    straight = build([piece for unit in units for piece in unit])
    turned = build([piece for unit in reversed(units) for piece in unit])
    first, second = target_logits(model, straight), target_logits(model, turned)
    for unit in units:
        gap = first[straight.unit == unit[0].unit] - second[turned.unit == unit[0].unit]
        assert float(gap.abs().max()) <= 1e-5 * max(1.0, float(first.abs().max()))


def target_logits(model: PreTrainedModel, batch: MicroBatch) -> Tensor:
    """Logits at every target of a batch, float [K, vocabulary]."""
    with torch.no_grad():
        body = model.base_model
        found = body(input_ids=batch.input_ids, position_ids=batch.position_ids, use_cache=False, spans=batch.spans)
        return model.get_output_embeddings()(found.last_hidden_state[0, batch.predict])


def test_a_shared_prompt_equals_two_whole_rows(case: Case, tmp_path: Path) -> None:
    import numpy as np

    packs = packs_of(case.directory, PAIRS, "pair", tmp_path)
    model = ours(case.directory)
    for prompt, *replies in batch_of(packs):
        shared = build([prompt, *replies])
        whole = [
            build(
                [
                    Piece(
                        np.concatenate([prompt.tokens, reply.tokens]),
                        np.concatenate([prompt.supervised, reply.supervised]),
                    )
                ]
            )
            for reply in replies
        ]
        with torch.no_grad():
            once = token_logps(model, shared)
            twice = torch.cat([token_logps(model, one) for one in whole])
        assert float((once - twice).abs().max()) <= case.bound


def test_order_of_the_continuations_does_not_matter(small_model: Path, tmp_path: Path) -> None:
    packs = packs_of(small_model, PAIRS, "pair", tmp_path)
    model = ours(small_model)
    for prompt, chosen, rejected in batch_of(packs):
        straight, turned = build([prompt, chosen, rejected]), build([prompt, rejected, chosen])
        with torch.no_grad():
            first, second = token_logps(model, straight), token_logps(model, turned)
        for child in (0, 1):
            gap = first[straight.child == child] - second[turned.child == child]
            assert float(gap.abs().max()) <= 1e-5


@pytest.mark.parametrize("count", [1, CHUNK, CHUNK + 3, 2 * CHUNK + 1])
def test_the_frozen_head_equals_the_trained_one_and_full_softmax(small_model: Path, count: int) -> None:
    model = load(small_model, "float32")
    head = model.get_output_embeddings().weight
    torch.manual_seed(0)
    hidden = torch.randn(count, head.shape[1])
    labels = torch.randint(head.shape[0], (count,))
    upstream = torch.randn(count)
    results: list[tuple[Tensor, Tensor]] = []
    for trained in (False, True):
        head.requires_grad_(trained)
        states = hidden.clone().requires_grad_(True)
        values = target_logps(model, states, labels)
        values.backward(upstream)
        assert states.grad is not None
        results.append((values.detach(), states.grad))
    states = hidden.clone().requires_grad_(True)
    full = torch.log_softmax((states @ head.T).double(), dim=-1)[torch.arange(count), labels]
    full.backward(upstream.double())
    assert states.grad is not None
    for values, gradient in results:
        assert float((values - full).abs().max()) <= 2e-5
        assert float((gradient - states.grad).abs().max()) <= 2e-5


def test_bfloat16_stays_near(case: Case, tmp_path: Path) -> None:
    batch = whole_batch(packs_of(case.directory, TALKS, "sft", tmp_path))
    exact = forward(ours(case.directory), Supervised(), batch)
    rounded = forward(ours(case.directory, "bfloat16"), Supervised(), batch)
    assert rounded.item() == pytest.approx(exact.item(), rel=2e-2)
