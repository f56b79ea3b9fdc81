"""Every adapter on the real engine: what is trained, how it trains, what is saved, what the next stage starts from."""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from framework.registry import kinds
from framework.schema import Engine, Stage
from framework.stagefile import StageFile, extended
from framework.train.attention import Span, Spans
from framework.train.batch import MicroBatch, Piece, build
from framework.train.engine import DeepSpeedEngine
from framework.train.lm import inner, materialise, save, trainable
from framework.train.loop import learning_rate
from framework.train.module import StageModule
from tests.train.setting import Setting, made

STEPS = 5
ADAPTERS = kinds("adapters")


def batches() -> list[list[MicroBatch]]:
    """Two micro-batches a step, of different sizes."""
    generator = np.random.Generator(np.random.PCG64(5))

    def row(length: int) -> Piece:
        tokens = generator.integers(3, 250, length).astype(np.int32)
        return Piece(tokens, np.arange(length) >= length // 2)

    return [[build([row(20), row(31)]), build([row(44)])] for _ in range(STEPS)]


def wrap(order: StageFile, model: Any, engine: Engine) -> DeepSpeedEngine:
    model.train()
    return DeepSpeedEngine(StageModule(model, order.objective), engine, order.stage, order.model.dtype)


def engine_losses(order: StageFile, wrapped: DeepSpeedEngine) -> list[float]:
    """Losses of the steps as the loop takes them."""
    losses: list[float] = []
    for step, micros in enumerate(batches()):
        count = sum(len(batch.labels) for batch in micros)
        total = 0.0
        for place, batch in enumerate(micros):
            loss, _ = wrapped.forward(batch, None)
            wrapped.backward(loss.total / count, last=place == len(micros) - 1)
            total += loss.total.item() / count
        norm = wrapped.step(learning_rate(order.stage, step, STEPS))
        assert norm > 0
        losses.append(total)
    return losses


def plain_losses(order: StageFile, model: Any) -> list[float]:
    """The same with torch alone: AdamW on fp32 masters, gradients clipped by their norm."""
    model.train()
    module = StageModule(model, order.objective)
    weights = [weight for weight in module.parameters() if weight.requires_grad]
    masters = [weight.detach().float().clone().requires_grad_(True) for weight in weights]
    groups = [
        {"params": [m for m in masters if m.ndim > 1], "weight_decay": order.stage.weight_decay},
        {"params": [m for m in masters if m.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW([group for group in groups if group["params"]], betas=order.stage.betas)
    losses: list[float] = []
    for step, micros in enumerate(batches()):
        count = sum(len(batch.labels) for batch in micros)
        parts = [module(batch, None)[0].total / count for batch in micros]
        torch.stack(parts).sum().backward()
        for master, weight in zip(masters, weights, strict=True):
            assert weight.grad is not None
            master.grad, weight.grad = weight.grad.float(), None
        torch.nn.utils.clip_grad_norm_(masters, order.stage.clip)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(order.stage, step, STEPS)
        optimizer.step()
        with torch.no_grad():
            for master, weight in zip(masters, weights, strict=True):
                weight.copy_(master)
        losses.append(sum(part.item() for part in parts))
    return losses


def logits(model: Any) -> Tensor:
    tokens = torch.arange(3, 83)[None]
    places = torch.arange(80)[None]
    with torch.no_grad():
        whole = inner(model).eval()
        return whole(input_ids=tokens, position_ids=places, use_cache=False, spans=Spans([Span(0, 80)])).logits[0]


def frozen(model: Any) -> dict[str, Tensor]:
    own = {name: value for name, value in model.named_parameters() if not value.requires_grad}
    return {name: value.detach().clone() for name, value in chain(own.items(), model.named_buffers())}


@pytest.mark.parametrize("kind", ADAPTERS)
def test_only_the_right_weights_are_trained(setting: Setting, kind: str) -> None:
    model = trainable(setting.order(kind), setting.device)
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    config = inner(model).config
    expected = made(kind).trainable_parameters(
        config.hidden_size, config.intermediate_size, config.num_hidden_layers, model.num_parameters(), 32
    )
    if kind == "full":
        assert len(trained) == len(list(model.parameters()))
        return
    assert all("lora_" in name for name in trained)
    assert not any("lm_head" in name or "embed" in name for name in trained)
    factors = [weight for name, weight in trained.items() if "magnitude" not in name]
    assert sum(weight.numel() for weight in factors) == expected
    assert len(factors) == 2 * 7 * config.num_hidden_layers
    magnitudes = len(trained) - len(factors)
    assert magnitudes == (7 * config.num_hidden_layers if kind == "dora" else 0)


@pytest.mark.parametrize("kind", ADAPTERS)
def test_the_same_seed_gives_the_same_start(setting: Setting, kind: str) -> None:
    torch.manual_seed(1)
    first = dict(trainable(setting.order(kind), setting.device).named_parameters())
    torch.manual_seed(2)
    second = dict(trainable(setting.order(kind), setting.device).named_parameters())
    assert all(torch.equal(weight, second[name]) for name, weight in first.items())


@pytest.mark.parametrize("kind", [kind for kind in ADAPTERS if kind != "qlora"])
def test_a_fresh_adapter_changes_nothing(setting: Setting, kind: str) -> None:
    order = setting.order(kind)
    model = trainable(order, setting.device)
    assert float((logits(model) - logits(materialise(setting.model, [], "float32"))).abs().max()) < 1e-4


@pytest.mark.parametrize(
    ("kind", "engine"),
    [
        *((kind, Engine(zero=1)) for kind in ADAPTERS),
        *((kind, Engine(zero=2)) for kind in ("full", "lora", "qlora")),
        *((kind, Engine(zero=3)) for kind in ("full", "lora", "dora")),
        *((kind, Engine(zero=0)) for kind in ("full", "lora")),
        ("full", Engine(zero=2, offload=True)),
        ("lora", Engine(zero=3, offload=True)),
    ],
    ids=lambda value: value if isinstance(value, str) else f"zero{value.zero}{'_offload' if value.offload else ''}",
)
def test_the_engine_trains_as_plain_torch_does(setting: Setting, kind: str, engine: Engine) -> None:
    order = setting.order(kind)
    plain_model = trainable(order, setting.device)
    expected = plain_losses(order, plain_model)
    model = trainable(order, setting.device)
    held = frozen(model)
    found = engine_losses(order, wrap(order, model, engine))
    assert found == pytest.approx(expected, abs=1e-5)
    assert abs(found[-1] - found[0]) > 1e-3, "nothing was learnt"
    if engine.zero < 3:
        after = dict(chain(model.named_parameters(), model.named_buffers()))
        assert all(torch.equal(value, after[name]) for name, value in held.items()), "frozen weights have changed"
        weights = dict(plain_model.named_parameters())
        for name, weight in model.named_parameters():
            if weight.requires_grad:
                assert (weight - weights[name]).abs().max().item() < 2e-5, name


@pytest.mark.parametrize("kind", ["full", "lora", "qlora"])
def test_in_bfloat16_it_stays_near(setting: Setting, kind: str) -> None:
    order = setting.order(kind, "bfloat16")
    expected = plain_losses(order, trainable(order, setting.device))
    found = engine_losses(order, wrap(order, trainable(order, setting.device), Engine()))
    # Gradients of two micro-batches are added in bf16: 8 bits, a relative error of 0.4 % in each.
    assert found == pytest.approx(expected, rel=5e-3)


@pytest.mark.parametrize(
    ("kind", "settings"), [*((kind, {}) for kind in ADAPTERS), ("qlora", {"double_quant": False})], ids=str
)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_is_saved_is_what_was_trained(setting: Setting, kind: str, settings: dict[str, Any], dtype: str) -> None:
    order = setting.order(kind, dtype, **settings)
    model = trainable(order, setting.device)
    engine_losses(order, wrap(order, model, Engine()))
    trained = logits(model)
    save(model, order.adapter, setting.model, setting.folder / "model")
    lineage = extended([], order.adapter, setting.folder / "model")
    again = materialise(setting.model, lineage, dtype)
    untrained = logits(materialise(setting.model, [], dtype))
    moved = float((trained - untrained).abs().mean())
    gap = float((logits(again) - trained).abs().mean())
    # In bf16 the merged weights are rounded once more, to 8 bits: much beside what five steps teach, but no more.
    assert gap <= (1e-5 if dtype == "float32" else 0.5 * moved), (gap, moved)
    twice = materialise(setting.model, lineage, dtype)
    for (name, first), (_, second) in zip(again.named_parameters(), twice.named_parameters(), strict=True):
        assert torch.equal(first, second), name
    if kind not in ("full", "qlora", "pissa") and hasattr(model, "merge_and_unload"):
        merged = dict(model.merge_and_unload().named_parameters())
        assert all(torch.equal(weight, merged[name]) for name, weight in again.named_parameters())


@pytest.mark.parametrize("kind", ["full", "lora"])
def test_weights_shared_out_by_zero3_are_saved_whole(
    setting: Setting, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from framework.train import engine as module

    def for_large_models(engine: Engine, stage: Stage, dtype: str) -> dict[str, Any]:
        # DeepSpeed leaves weights as small as these whole; those of real models are not.
        found = settings(engine, stage, dtype)
        found["zero_optimization"] |= {"stage3_param_persistence_threshold": 0}
        return found

    settings = module.settings
    monkeypatch.setattr(module, "settings", for_large_models)
    order = setting.order(kind)
    expected = trainable(order, setting.device)
    losses = plain_losses(order, expected)
    model = trainable(order, setting.device)
    wrapped = wrap(order, model, Engine(zero=3))
    assert engine_losses(order, wrapped) == pytest.approx(losses, abs=1e-5)
    assert any(weight.numel() == 0 for weight in model.parameters())
    with wrapped.whole():
        save(model, order.adapter, setting.model, setting.folder / "model")
    again = materialise(setting.model, extended([], order.adapter, setting.folder / "model"), "float32")
    assert float((logits(again) - logits(expected)).abs().max()) < 1e-3


def test_a_reference_pass_does_not_change_how_qlora_trains(setting: Setting) -> None:
    order = setting.order("qlora")
    expected = engine_losses(order, wrap(order, trainable(order, setting.device), Engine()))
    model = trainable(order, setting.device)
    logits(model)  # in evaluation mode, without gradients
    assert engine_losses(order, wrap(order, model, Engine())) == expected


def test_no_processor_lays_4_bit_weights_out_anew(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    # With AVX512-BF16 bitsandbytes would, in evaluation mode, and note it in the layer. ZeRO-3 then gathers the old
    # layout again from its parts, to be read as the new one: the first loss is right, and the second is not.
    import bitsandbytes.nn.modules as layers

    changed: list[bool] = []

    def repacked(weight: Any, state: Any) -> Any:
        changed.append(True)
        return weight, state

    monkeypatch.setattr(layers, "has_avx512bf16", lambda: True)
    monkeypatch.setattr(layers, "_convert_weight_packed_for_cpu", repacked)
    logits(trainable(setting.order("qlora"), setting.device))
    assert not changed
    own = layers.Linear4bit(64, 64, bias=False, compute_dtype=torch.float32, quant_type="nf4").to("cpu").eval()
    with torch.no_grad():
        own(torch.zeros(1, 64))
    assert changed, "bitsandbytes does this no longer: the care taken against it can go"


def test_untouched_weights_are_those_of_the_base(setting: Setting) -> None:
    order = setting.order("lora", targets=["q_proj"])
    model = trainable(order, setting.device)
    engine_losses(order, wrap(order, model, Engine()))
    save(model, order.adapter, setting.model, setting.folder / "model")
    lineage = extended([], order.adapter, setting.folder / "model")
    merged = dict(materialise(setting.model, lineage, "float32").named_parameters())
    for name, weight in materialise(setting.model, [], "float32").named_parameters():
        assert torch.equal(weight, merged[name]) == ("q_proj" not in name), name


def test_pissa_trains_the_principal_part_and_is_saved_as_an_update_of_the_whole(setting: Setting) -> None:
    from peft import PeftConfig

    order = setting.order("pissa")
    model = trainable(order, setting.device)
    name = "layers.0.mlp.up_proj"
    layer = inner(model).get_submodule(f"model.{name}")
    product = layer.lora_B.default.weight @ layer.lora_A.default.weight * layer.scaling["default"]  # type: ignore[union-attr,index]
    weight = dict(materialise(setting.model, [], "float32").named_parameters())[f"model.{name}.weight"]
    least = torch.linalg.svdvals(weight)[4:].norm()  # Eckart and Young: no product of rank 4 comes nearer
    assert float(least) < float((weight - product).norm()) < 1.001 * float(least)
    engine_losses(order, wrap(order, model, Engine()))
    save(model, order.adapter, setting.model, setting.folder / "model")
    config: Any = PeftConfig.from_pretrained(str(setting.folder / "model"))
    assert (config.r, config.lora_alpha, config.init_lora_weights) == (8, 16.0, True)
    again = materialise(setting.model, extended([], order.adapter, setting.folder / "model"), "float32")
    assert float((logits(again) - logits(model)).abs().max()) < 1e-4


def test_pissa_begins_from_the_weights_alone() -> None:
    with pytest.raises(ValueError, match="use between=merge"):
        made("pissa", between="continue")


@pytest.mark.parametrize("kind", ADAPTERS)
@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_upper_blocks_alone_are_trained(setting: Setting, kind: str, checkpointing: bool) -> None:
    order = setting.order(kind, upper=0.5).model_copy(update={"checkpointing": checkpointing})
    model = trainable(order, setting.device)
    config = inner(model).config
    last = config.num_hidden_layers - 1
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    assert trained and all(f"layers.{last}." in name for name in trained)
    sizes = (config.hidden_size, config.intermediate_size, config.num_hidden_layers, model.num_parameters(), 32)
    factors = [weight.numel() for name, weight in trained.items() if "magnitude" not in name]
    assert sum(factors) == order.adapter.trainable_parameters(*sizes)
    differentiated: list[bool] = []
    for layer in inner(model).model.layers:
        layer.register_forward_hook(lambda layer, given, made: differentiated.append(made.requires_grad))
    expected = plain_losses(order, trainable(order, setting.device))
    assert engine_losses(order, wrap(order, model, Engine())) == pytest.approx(expected, abs=1e-5)
    assert differentiated[: last + 1] == [False] * last + [True], "blocks below the trained ones need no gradients"


@pytest.mark.parametrize("names", [["q_proj"], ["q_proj", "down_proj"]])
def test_named_layers_of_the_upper_blocks(setting: Setting, names: list[str]) -> None:
    model = trainable(setting.order("lora", upper=0.5, targets=names), setting.device)
    last = inner(model).config.num_hidden_layers - 1
    trained = [name for name, weight in model.named_parameters() if weight.requires_grad and "lora_A" in name]
    assert len(trained) == len(names)
    assert all(f"layers.{last}." in name and any(own in name for own in names) for name in trained)


@pytest.mark.parametrize("kind", ["lora", "qlora", "full"])
def test_the_next_stage_merges_or_goes_on(setting: Setting, kind: str) -> None:
    for between in ("merge", "continue"):
        order = setting.order(kind, between=between)
        model = trainable(order, setting.device)
        engine_losses(order, wrap(order, model, Engine()))
        folder = setting.folder / between
        save(model, order.adapter, setting.model, folder)
        lineage = extended([], order.adapter, folder)
        second = trainable(setting.order(kind, lineage=lineage, between=between), setting.device)
        if kind == "qlora" and between == "merge":
            # The merged weights are quantised again: near, and not the same.
            assert not torch.equal(logits(second), logits(model))
        else:
            assert float((logits(second) - logits(model)).abs().max()) < 1e-4
        grown = extended(lineage, order.adapter, folder)
        assert len(grown) == (1 if between == "continue" and kind != "full" else 2)
        assert any(weight.requires_grad for weight in second.parameters())


def test_a_result_that_is_not_finite_is_refused(setting: Setting) -> None:
    order = setting.order("lora")
    model = trainable(order, setting.device)
    with torch.no_grad():
        next(weight for weight in model.parameters() if weight.requires_grad)[0, 0] = float("nan")
    with pytest.raises(ValueError, match="not finite"):
        save(model, order.adapter, setting.model, setting.folder / "model")
