"""Reward models through the real pipeline, against transformers' own: scores, loss, gradient, what is saved."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import logsigmoid
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from framework.adapters.base import Adapter
from framework.data.chat import ChatTokenizer
from framework.data.mix import Mix
from framework.data.packs import Packs
from framework.data.prepare import Request, prepare
from framework.data.rows import Turn
from framework.objectives.bradley_terry import BradleyTerry
from framework.registry import component, kinds
from framework.schema import Engine, Model, Stage
from framework.sources.jsonl import JsonLines
from framework.stagefile import Ancestor, StageFile, extended, follow
from framework.train.head import padding
from framework.train.lm import inner, materialise, save, trainable
from framework.train.loader import Loader
from framework.train.module import StageModule, response_scores
from framework.train.reward_model import load_reward_model, save_reward_model
from framework.train.scorer import ModelScorer

LENGTH = 96
PAIRS: list[dict[str, Any]] = [
    {"id": "1", "prompt": "Is it owed?", "chosen": "Yes, by rule 3.", "rejected": "Perhaps.", "margin": 1.5},
    {"id": "2", "prompt": "Since when?", "chosen": "Since March.", "rejected": "For years and years."},
    {"id": "3", "prompt": "Is it owed?", "chosen": "It is.", "rejected": "No.", "margin": 0},
    {
        "id": "4",
        "prompt": "Who pays?",
        "chosen": "The boat's keeper.",
        "rejected": "Nobody, ever.",
        "margin": 0.25,
    },
]
MARGINS = {"1": 1.5, "2": 0.0, "3": 0.0, "4": 0.25}


def packs_of(model: Path, folder: Path, margins: bool = True) -> Packs:
    file = folder / "pairs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in PAIRS))
    request = Request(
        name="reward",
        path="data.reward",
        rows="pair",
        sources={"pairs": JsonLines(path=str(file))},
        replay={},
        mix=Mix(),
        max_length=LENGTH,
        long="truncate",
        epochs=1.0,
        max_steps=None,
        batch_tokens=LENGTH * 8,
        seed=0,
        model_dir=model,
        margins=margins,
    )
    prepared = prepare(request)
    stated = prepared.sources["pairs"].margins
    assert stated == (3 if margins else 0)
    return Packs.open(prepared.directory)


def order(model: Path, folder: Path, kind: str, lineage: list[Ancestor] | None = None) -> StageFile:
    settings = {} if kind == "full" else {"r": 4, "alpha": 8.0}
    adapter = component("adapters", kind).model_validate({"kind": kind, **settings})
    assert isinstance(adapter, Adapter)
    return StageFile(
        label="1-reward",
        kind="reward",
        key="key",
        seed=7,
        model=Model(kind="path", path=str(model), dtype="float32"),
        model_dir=str(model),
        lineage=lineage or [],
        stage=Stage(lr=5e-3),
        micro_tokens=LENGTH * 8,
        checkpointing=False,
        adapter=adapter,
        objective=BradleyTerry(centring=0.01),
        engine=Engine(),
        packs="",
        sources=["pairs"],
        reference=None,
        suites={},
        evaluate_before=False,
        folder=str(folder),
        events="",
        collective_seconds=60.0,
    )


def train(stage: StageFile, packs: Packs, steps: int = 6) -> StageModule:
    """A few steps, in evaluation mode at the end."""
    model = trainable(stage, torch.device("cpu"))
    module = StageModule(model, stage.objective, packs.margins)
    loader = Loader(packs, stage.micro_tokens, 0, 1)
    optimizer = torch.optim.AdamW([weight for weight in module.parameters() if weight.requires_grad], lr=stage.stage.lr)
    for _ in range(steps):
        for step in range(loader.steps):
            loss, _ = module(loader.build(loader.step(step)), None)
            optimizer.zero_grad()
            (loss.total / packs.pairs).backward()
            optimizer.step()
    return module.eval()


def rows_of(packs: Packs) -> dict[tuple[str, int], list[int]]:
    """Every response after its prompt, by row and side: nothing packed, nothing shared."""
    ids = packs.ids()
    found: dict[tuple[str, int], list[int]] = {}
    for group in Loader(packs, LENGTH, 0, 1).rows(range(len(packs.packs) - 1)):
        prompt = group[0].tokens.tolist()
        for piece in group[1:]:
            found[ids[piece.unit], piece.child] = [*prompt, *piece.tokens.tolist()]
    return found


@torch.no_grad()
def scored(model: Any, packs: Packs) -> dict[tuple[str, int], float]:
    """Packed and shared, by row and side."""
    ids = packs.ids()
    batch = Loader(packs, LENGTH * 8, 0, 1).build(range(len(packs.packs) - 1))
    scores, owners = response_scores(model, batch)
    return {(ids[u], c): value for (u, c), value in zip(owners.tolist(), scores.tolist(), strict=True)}


@torch.no_grad()
def alone(model: Any, rows: dict[tuple[str, int], list[int]]) -> dict[tuple[str, int], float]:
    """As anybody would: one row after the other through the whole model of transformers."""
    return {key: float(model(input_ids=torch.tensor([ids])).logits) for key, ids in rows.items()}


@pytest.mark.parametrize("kind", kinds("adapters"))
def test_what_is_saved_gives_the_same_scores_in_transformers(kind: str, small_model: Path, tmp_path: Path) -> None:
    packs = packs_of(small_model, tmp_path)
    stage = order(small_model, tmp_path, kind)
    before = {name: weight.clone() for name, weight in materialise(small_model, [], "float32").named_parameters()}
    module = train(stage, packs)
    own = scored(inner(module.model), packs)
    assert all(own[row["id"], 0] > own[row["id"], 1] for row in PAIRS), "nothing was learnt"
    save_reward_model(cast("Any", module.model), stage, tmp_path / "model")
    assert not (tmp_path / ".adapter").exists()
    assert {"score.weight"} == {name for name in load_file(tmp_path / "model" / "model.safetensors") if "score" in name}
    theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model", dtype=torch.float32)
    assert theirs.config.num_labels == 1
    # Merged weights are those of the model that was trained; QLoRA's are the quantised ones, computed in 4 bits.
    close = 1e-5 if kind != "qlora" else 1e-3
    rows = rows_of(packs)
    assert alone(theirs, rows) == pytest.approx(own, abs=close)
    ours = load_reward_model(tmp_path / "model", torch.float32)
    assert scored(ours, packs) == pytest.approx(alone(theirs, rows), abs=1e-5)
    for name, weight in materialise(small_model, [], "float32").named_parameters():
        assert torch.equal(weight, before[name])


def test_rows_that_are_padded_on_the_right_have_the_same_scores(small_model: Path, tmp_path: Path) -> None:
    """Although the model's own padding is its stop token, at which replies are scored."""
    packs = packs_of(small_model, tmp_path)
    stage = order(small_model, tmp_path, "full")
    module = train(stage, packs, steps=1)
    save_reward_model(cast("Any", module.model), stage, tmp_path / "model")
    theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model", dtype=torch.float32)
    tokenizer = cast("Any", AutoTokenizer.from_pretrained(tmp_path / "model"))
    assert tokenizer.pad_token_id == theirs.config.pad_token_id
    assert tokenizer.pad_token_id not in ChatTokenizer.load(small_model).eos_ids
    rows = rows_of(packs)
    tokenizer.padding_side = "right"
    given = tokenizer.pad({"input_ids": list(rows.values())}, return_tensors="pt")
    with torch.no_grad():
        found = theirs(**given).logits[:, 0].tolist()
    assert dict(zip(rows, found, strict=True)) == pytest.approx(alone(theirs, rows), abs=1e-5)
    # The suites' own way to the same replies.
    scorer = ModelScorer(load_reward_model(tmp_path / "model", torch.float32), ChatTokenizer.load(small_model),
                         torch.device("cpu"), lambda: None)  # fmt: skip
    asked = scorer.rewards([(Turn("user", row["prompt"]),) for row in PAIRS],
                           [(row["chosen"], row["rejected"], row["chosen"]) for row in PAIRS])  # fmt: skip
    for row, (chosen, rejected, again) in zip(PAIRS, asked, strict=True):
        assert [chosen, rejected] == pytest.approx([alone(theirs, rows)[row["id"], side] for side in (0, 1)], abs=1e-5)
        assert again == pytest.approx(chosen, abs=1e-5)


def test_loss_and_gradient_are_those_of_transformers(small_model: Path, tmp_path: Path) -> None:
    """Bradley and Terry's loss with margins, over rows one by one, with respect to body and head."""
    packs = packs_of(small_model, tmp_path)
    stage = order(small_model, tmp_path, "full")
    model = trainable(stage, torch.device("cpu"))
    module = StageModule(model, stage.objective, packs.margins)
    loader = Loader(packs, LENGTH * 8, 0, 1)
    total: Tensor = torch.zeros(())
    for step in range(loader.steps):
        loss, shown = module(loader.build(loader.step(step)), None)
        total = total + loss.total
        assert shown.shape == (int(loader.targets(step).sum()),) and not shown.requires_grad
    total.backward()
    save(inner(model), stage.adapter, small_model, tmp_path / "start")
    theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path / "start", dtype=torch.float32)
    expected: Tensor = torch.zeros(())
    rows = rows_of(packs)
    for row in PAIRS:
        sides = [theirs(input_ids=torch.tensor([rows[row["id"], side]])).logits[0, 0] for side in (0, 1)]
        lead = sides[0] - sides[1] - MARGINS[row["id"]]
        expected = expected - logsigmoid(lead) + 0.01 * (sides[0] + sides[1]) ** 2
    expected.backward()
    assert total.item() == pytest.approx(expected.item(), abs=1e-5)
    weights = dict(theirs.named_parameters())
    for name, weight in inner(model).named_parameters():
        assert weight.grad is not None, name
        torch.testing.assert_close(weight.grad, weights[name].grad, atol=1e-5, rtol=1e-5)
    assert float(weights["score.weight"].grad.abs().max()) > 1e-3  # type: ignore[union-attr]


def test_a_pair_without_a_margin_has_none(small_model: Path, tmp_path: Path) -> None:
    packs = packs_of(small_model, tmp_path)
    assert packs.margins is not None and packs.margins.dtype == np.float32
    assert dict(zip(packs.ids(), packs.margins.tolist(), strict=True)) == MARGINS
    without = packs_of(small_model, tmp_path, margins=False)
    assert without.margins is None and without.directory != packs.directory


@pytest.mark.parametrize("kind", ["full", "lora"])
def test_the_head_is_trained_with_the_upper_blocks(small_model: Path, tmp_path: Path, kind: str) -> None:
    stage = order(small_model, tmp_path, kind)
    upper = stage.model_copy(update={"adapter": stage.adapter.model_copy(update={"upper": 0.5})})
    model = trainable(upper, torch.device("cpu"))
    trained = [name for name, weight in model.named_parameters() if weight.requires_grad]
    assert any("score" in name for name in trained)
    assert any("layers.1." in name for name in trained) and not any("layers.0." in name for name in trained)


def test_the_head_depends_on_the_seed_alone(small_model: Path, tmp_path: Path) -> None:
    heads: list[Tensor] = []
    for seed, noise in ((7, 1), (7, 2), (8, 1)):
        torch.manual_seed(noise)
        stage = order(small_model, tmp_path, "lora").model_copy(update={"seed": seed})
        model = trainable(stage, torch.device("cpu"))
        found = [
            weight.clone() for name, weight in model.named_parameters() if "score" in name and weight.requires_grad
        ]
        assert len(found) == 1
        heads += found
    assert torch.equal(heads[0], heads[1]) and not torch.equal(heads[0], heads[2])
    assert 0.5 < float(heads[0].std()) * (heads[0].numel() + 1) ** 0.5 < 1.5


def test_a_reward_stage_starts_from_its_lineage_and_is_no_part_of_it(small_model: Path, tmp_path: Path) -> None:
    stage = order(small_model, tmp_path, "lora")
    adapter = stage.adapter
    policy = adapter.apply(materialise(small_model, [], "float32"), 3)
    with torch.no_grad():
        for name, weight in policy.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.05)
    save(policy, adapter, small_model, tmp_path / "policy")
    lineage = extended([], adapter, tmp_path / "policy")
    trained = trainable(order(small_model, tmp_path, "full", lineage), torch.device("cpu"))
    for name, weight in materialise(small_model, lineage, "float32").base_model.named_parameters():
        assert torch.equal(weight, trained.base_model.get_parameter(name)), name
    assert follow(lineage, "reward", adapter, tmp_path / "model") == lineage
    assert follow(lineage, "align", adapter, tmp_path / "model") != lineage


def test_a_vocabulary_without_a_spare_token_has_no_padding(small_model: Path, tmp_path: Path) -> None:
    assert list(padding(small_model)) == ["<|endoftext|>"]
    for file in small_model.iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    tokenizer = json.loads((tmp_path / "tokenizer.json").read_text())
    for entry in tokenizer["added_tokens"]:
        entry["special"] = entry["content"] == "<|im_end|>"
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert padding(tmp_path) == {}


def test_no_logits_are_made(small_model: Path, tmp_path: Path) -> None:
    """Nothing as wide as the vocabulary but the embeddings."""
    packs = packs_of(small_model, tmp_path)
    model = trainable(order(small_model, tmp_path, "lora"), torch.device("cpu"))
    assert not isinstance(inner(model), type(AutoModelForCausalLM.from_pretrained(small_model)))
    seen: Counter[int] = Counter()
    for module in inner(model).modules():
        module.register_forward_hook(lambda _, __, output: seen.update(
            [output.shape[-1]] if isinstance(output, torch.Tensor) else []))  # fmt: skip
    scored(inner(model), packs)
    assert 1 in seen and model.config.vocab_size not in seen
