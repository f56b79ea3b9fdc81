"""Blocks that write less: the same results as PEFT's and transformers' own, with less kept for the way back."""

from __future__ import annotations

from pathlib import Path
from types import MethodType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from framework.train import lean, lm
from framework.train.attention import Span, Spans
from framework.train.lm import inner, trainable
from tests.train.setting import Setting


@pytest.fixture(params=["lora", "rslora", "pissa", "full"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


def both(setting: Setting, monkeypatch: pytest.MonkeyPatch, kind: str, **settings: Any) -> tuple[Any, Any]:
    """A model whose blocks write less, and the same one as it was; the adapter's factors are not zero."""
    ours = trainable(setting.order(kind, **settings), setting.device)
    with monkeypatch.context() as patched:
        patched.setattr(lm, "write_less", lambda *_, **__: None)
        plain = trainable(setting.order(kind, **settings), setting.device)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight, same in zip(ours.parameters(), plain.parameters(), strict=True):
            if weight.requires_grad and kind != "full":
                weight.add_(0.1 * torch.randn(weight.shape, generator=generator))
                same.copy_(weight)
    return ours.train(), plain.train()


def run(model: Any) -> tuple[Tensor, list[Tensor], int]:
    """Output, gradients and the bytes kept for the way back."""
    tokens = torch.arange(3, 83)[None]
    spans = Spans([Span(0, 50), Span(50, 30)])
    places = torch.cat([torch.arange(50), torch.arange(30)])[None]
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = inner(model).base_model(input_ids=tokens, position_ids=places, use_cache=False, spans=spans)
        loss = output.last_hidden_state.square().mean()
    loss.backward()
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    return output.last_hidden_state.detach(), gradients, sum(kept.values())


def changed(model: nn.Module) -> list[str]:
    return [name for name, module in model.named_modules() if "forward" in vars(module)]


def test_results_and_gradients_are_the_same_with_less_kept(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    ours, plain = both(setting, monkeypatch, kind)
    found, gradients, kept = run(ours)
    expected, wanted, more = run(plain)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert len(gradients) == len(wanted) > 0
    for mine, theirs in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5 * float(theirs.abs().max()))
    assert kept < more
    blocks = int(inner(ours).config.num_hidden_layers)
    assert len(changed(ours)) == blocks * (1 if kind == "full" else 8) and not changed(plain)


@pytest.mark.parametrize("settings", [{"kind": "dora"}, {"kind": "qlora"}, {"kind": "lora", "dropout": 0.1}], ids=str)
def test_layers_that_do_more_than_add_stay_as_they_are(setting: Setting, settings: dict[str, Any]) -> None:
    model = trainable(setting.order(**settings), setting.device)
    assert all(name.endswith("mlp") for name in changed(model))


def test_without_its_adapter_a_layer_is_the_frozen_one(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, _ = both(setting, monkeypatch, "lora")
    base = trainable(setting.order("full"), setting.device).train()
    with torch.no_grad(), ours.disable_adapter():
        found = run_plainly(ours)
    assert torch.equal(found, run_plainly(base).detach())
    assert not torch.equal(found, run_plainly(ours).detach())


def test_what_another_library_put_in_place_stays(small_model: Path) -> None:
    model = lm.load(small_model, "float32")
    blocks = [module for name, module in model.named_modules() if name.endswith("mlp")]
    theirs = [MethodType(type(block).forward, block) for block in blocks]
    for block, forward in zip(blocks, theirs, strict=True):
        block.forward = forward
    lean.write_less(model, gathered=True)
    assert [vars(block)["forward"] for block in blocks] == theirs


def run_plainly(model: Any) -> Tensor:
    tokens = torch.arange(3, 43)[None]
    places = torch.arange(40)[None]
    body = inner(model).base_model
    return body(input_ids=tokens, position_ids=places, use_cache=False, spans=Spans([Span(0, 40)])).last_hidden_state


def test_zero3_gathers_what_is_called_so_that_low_rank_layers_stay(setting: Setting) -> None:
    order = setting.order("lora")
    order = order.model_copy(update={"engine": order.engine.model_copy(update={"zero": 3})})
    assert all(name.endswith("mlp") for name in changed(trainable(order, setting.device)))
