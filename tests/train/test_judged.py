"""Judged responses through the real pipeline: labels, KTO's KL and loss against plain transformers, BCO's shift."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from framework.data.mix import Mix
from framework.data.packs import Packs
from framework.data.prepare import Request, prepare
from framework.objectives.kto import KTO
from framework.sources.jsonl import JsonLines
from framework.train.anchor import Anchors
from framework.train.batch import Piece
from framework.train.lm import load
from framework.train.loader import Loader
from framework.train.mismatch import exchanged, mismatched
from framework.train.module import StageModule
from framework.train.reference import reference

LENGTH = 64
JUDGED: list[dict[str, Any]] = [
    {"id": "1", "prompt": "May a minor sign?", "completion": "Only with leave.", "label": True},
    {"id": "2", "prompt": "Cite the rule.", "completion": "A rule.", "label": False},
    {"id": "3", "prompt": "Translate: lex", "completion": "law", "label": True},
    {"id": "4", "prompt": "Cite the rule.", "completion": "Section 12 of the Harbour Act.", "label": True},
    {"id": "5", "prompt": "Who pays?", "completion": "Nobody, ever, at all.", "label": False},
]
PAIRS: list[dict[str, Any]] = [
    {"id": "6", "prompt": "Is it owed?", "chosen": "Yes, by rule 3.", "rejected": "Perhaps."},
    {"id": "7", "prompt": "Since when?", "chosen": "Since March.", "rejected": "For years and years."},
]


def packs_of(model: Path, folder: Path, rows: dict[str, list[dict[str, Any]]], step: int = 8) -> Packs:
    files = {name: folder / f"{name}.jsonl" for name in rows}
    for name, found in rows.items():
        files[name].write_text("".join(json.dumps(row) + "\n" for row in found))
    request = Request(
        name="align",
        path="data.align",
        rows="judged",
        sources={name: JsonLines(path=str(file)) for name, file in files.items()},
        replay={},
        mix=Mix(),
        max_length=LENGTH,
        long="truncate",
        epochs=1.0,
        max_steps=None,
        batch_tokens=LENGTH * step,
        seed=0,
        model_dir=model,
    )
    return Packs.open(prepare(request).directory)


class Direct:
    """A model in place of an engine."""

    def __init__(self, module: StageModule) -> None:
        self.module = module

    def forward(self, *inputs: Any) -> Any:
        return self.module(*inputs)

    def measuring(self) -> Any:
        return nullcontext()


class Plain:
    """One response at a time, with transformers alone."""

    def __init__(self, directory: Path) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(directory)
        self.model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager")

    def tokens(self, prompt: str, reply: str) -> tuple[list[int], list[int]]:
        """Of the prompt, and of the response with its stop token."""

        def ids(messages: list[dict[str, str]], going_on: bool) -> list[int]:
            found = self.tokenizer.apply_chat_template(messages, add_generation_prompt=going_on, tokenize=True)
            return list(found["input_ids"] if hasattr(found, "keys") else found)

        asked = [{"role": "user", "content": prompt}]
        before = ids(asked, True)
        whole = ids([*asked, {"role": "assistant", "content": reply}], False)
        stop = whole.index(self.tokenizer.convert_tokens_to_ids("<|im_end|>"), len(before))
        return before, whole[len(before) : stop + 1]

    def logp(self, prompt: list[int], reply: list[int]) -> Tensor:
        logits = self.model(input_ids=torch.tensor([prompt + reply])).logits[0, len(prompt) - 1 : -1].float()
        return torch.log_softmax(logits, dim=-1).gather(1, torch.tensor(reply)[:, None]).sum()


def shaken(model: PreTrainedModel) -> None:
    """Move the weights a little, the same way for every model of this shape."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.05 * weight.std() * torch.randn(weight.shape, generator=generator))


def ready(
    directory: Path, packs: Packs, folder: Path, device: torch.device, micro: int, gains: bool = True
) -> tuple[Any, Anchors, Loader]:
    """A policy that has left its reference, and KTO's anchors for it.

    A shaken model finds text less likely. So where the policy is to have gained, the reference is the shaken one.
    """
    first, model = load(directory, "float32"), load(directory, "float32").requires_grad_(True)
    shaken(first if gains else model)
    loader = Loader(packs, micro, 0, 1)
    known = reference(first, loader, packs.units, device, folder, lambda done, total: None, exchanged=True)
    module = StageModule(model, KTO(beta=0.2))
    return (module, known), Anchors(KTO(), cast("Any", Direct(module)), loader, known, device), loader


@pytest.mark.parametrize("gains", [True, False])
def test_kto_equals_plain_transformers(small_model: Path, tmp_path: Path, device: torch.device, gains: bool) -> None:
    packs = packs_of(small_model, tmp_path, {"judged": JUDGED, "pairs": PAIRS})
    (module, known), anchors, loader = ready(small_model, packs, tmp_path / "known", device, LENGTH * 8, gains)
    assert loader.steps == 1 and loader.responses(0) == len(JUDGED) + 2 * len(PAIRS)
    assert known.shape == (packs.units, 4)
    anchor = anchors.before(0)
    total = torch.zeros(())
    for _, shares in loader.iterate(0):
        for share in shares:
            loss, _ = module(share.batch, known, anchor)
            total = total + loss.total
    mean = total / loader.responses(0)
    mean.backward()

    policy, start = Plain(small_model), Plain(small_model)
    shaken(start.model if gains else policy.model)
    rows = [(row["prompt"], [(row["completion"], row["label"])]) for row in JUDGED]
    rows += [(row["prompt"], [(row["chosen"], True), (row["rejected"], False)]) for row in PAIRS]
    order = [segment[2] for segment in packs.segments.tolist() if segment[3] == 1]
    by_id = dict(zip([row["id"] for row in [*JUDGED, *PAIRS]], rows, strict=True))
    ids = packs.ids()
    placed = [by_id[ids[unit]] for unit in order]

    def ratio(prompt: list[int], reply: list[int]) -> Tensor:
        with torch.no_grad():
            before = start.logp(prompt, reply)
        return policy.logp(prompt, reply) - before

    drifts: list[float] = []
    for at, (prompt, _) in enumerate(placed):
        following = [placed[(at + shift) % len(placed)] for shift in range(1, len(placed))]
        other, replies = next(row for row in following if row[0] != prompt)
        for reply, _ in replies:
            drifts.append(ratio(policy.tokens(prompt, "")[0], policy.tokens(other, reply)[1]).item())
    kl = max(0.0, sum(drifts) / len(drifts))
    assert kl > 0.1 if gains else sum(drifts) < -0.1, "policy and reference are too near to tell anything"
    assert anchor.item() == pytest.approx(kl, abs=1e-4)
    losses: list[Tensor] = []
    for prompt, replies in placed:
        for reply, desirable in replies:
            lead = 0.2 * (ratio(*policy.tokens(prompt, reply)) - kl)
            losses.append(1 - torch.sigmoid(lead if desirable else -lead))
    expected = torch.stack(losses).mean()
    assert mean.item() == pytest.approx(expected.item(), abs=1e-5)
    expected.backward()
    wanted = dict(policy.model.named_parameters())
    for name, weight in module.model.named_parameters():
        other = wanted[name].grad
        assert weight.grad is not None and other is not None
        assert float((weight.grad - other).abs().max()) <= 2e-4 * max(1e-3, float(other.abs().max())), name


def test_micro_batches_do_not_change_the_kl(small_model: Path, tmp_path: Path, device: torch.device) -> None:
    packs = packs_of(small_model, tmp_path, {"judged": JUDGED, "pairs": PAIRS})
    _, whole, _ = ready(small_model, packs, tmp_path / "one", device, LENGTH * 8)
    _, parts, loader = ready(small_model, packs, tmp_path / "two", device, LENGTH)
    assert len(loader.shares(0)) > 1
    assert float(whole.before(0)) > 0.1
    assert float(whole.before(0)) == pytest.approx(float(parts.before(0)), abs=1e-4)


def test_one_prompt_alone_gives_no_kl(small_model: Path, tmp_path: Path, device: torch.device) -> None:
    packs = packs_of(small_model, tmp_path, {"judged": [JUDGED[1], JUDGED[3]]})
    _, anchors, loader = ready(small_model, packs, tmp_path / "known", device, LENGTH * 8)
    assert [batch for _, batch in mismatched(loader, 0)] == [None]
    assert float(anchors.before(0)) == 0.0


def test_exchanged_responses_are_cut_to_the_longest_row(small_model: Path, tmp_path: Path) -> None:
    long = [
        {"prompt": "word " * 40, "completion": "Yes.", "label": True},
        {"prompt": "Go on.", "completion": "and so on, " * 10, "label": False},
    ]
    loader = Loader(packs_of(small_model, tmp_path, {"judged": long}), LENGTH * 8, 0, 1)
    ((_, batch),) = mismatched(loader, 0)
    assert batch is not None and int(batch.position_ids.max()) < LENGTH
    assert len(batch.labels) < sum(len(reply.tokens) for row in loader.rows(loader.step(0)) for reply in row[1:])


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12))
def test_every_prompt_meets_the_next_other_one(prompts: list[int]) -> None:
    empty = np.zeros(1, dtype=bool)
    rows = [
        [Piece(np.array([prompt], dtype=np.int32), empty, unit=10 + at), Piece(np.array([at]), ~empty, 1, 10 + at)]
        for at, prompt in enumerate(prompts)
    ]
    found = exchanged(rows)
    if len(set(prompts)) == 1:
        assert found == {}
        return
    for at, prompt in enumerate(prompts):
        following = [(at + shift) % len(prompts) for shift in range(1, len(prompts))]
        assert found[10 + at][1].tokens[0] == next(place for place in following if prompts[place] != prompt)
    if len(set(prompts)) == len(prompts):
        assert sorted(row[0].unit for row in found.values()) == [10 + at for at in range(len(prompts))]
