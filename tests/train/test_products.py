"""Products of bf16 in fp32, on CPUs that multiply faster so: less rounding, the same sums."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import linear

from framework.train import products
from framework.train.attention import Span, Spans, segment_attention
from framework.train.lm import inner, load, trainable
from framework.train.logps import target_logps
from framework.train.products import product, widens
from tests.train.setting import Setting

HALF_A_STEP = 2.0**-8
"""The largest relative error of one rounding to bf16, whose significand has 8 bits."""


@pytest.fixture(params=[True, False], ids=["wide", "narrow"])
def wide(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """A processor that multiplies faster in fp32, and one that does not."""
    monkeypatch.setattr(products, "_fp32_is_faster", lambda: request.param)
    return bool(request.param)


@pytest.fixture
def slow_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "_fp32_is_faster", lambda: True)


def drawn(seed: int, *shapes: tuple[int, ...]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator).bfloat16() for shape in shapes]


def results(compute: Any, given: list[Tensor], upstream: Tensor, dtype: torch.dtype) -> list[Tensor]:
    """What a computation and its gradients are, in double precision."""
    leaves = [tensor.detach().to(dtype).requires_grad_() for tensor in given]
    out = compute(*leaves)
    out.backward(upstream.to(dtype))
    return [out.detach().double(), *(leaf.grad.double() for leaf in leaves if leaf.grad is not None)]


@given(st.integers(0, 2**31), st.integers(1, 9), st.integers(1, 40), st.integers(1, 40), st.integers(0, 5))
def test_every_sum_is_rounded_once(seed: int, rows: int, wide: int, out: int, rank: int) -> None:
    x, weight, bias, upstream = drawn(seed, (2, rows, wide), (out, wide), (out,), (2, rows, out))
    factors = drawn(seed + 1, (rank, wide), (out, rank)) if rank else []

    def ours(x: Tensor, weight: Tensor, bias: Tensor, *factors: Tensor) -> Tensor:
        return product(x, weight, bias, *factors, by=0.5 if factors else 1)

    def plain(x: Tensor, weight: Tensor, bias: Tensor, *factors: Tensor) -> Tensor:
        base = linear(x, weight, bias)
        return base + 0.5 * linear(linear(x, factors[0]), factors[1]) if factors else base

    exact = results(plain, [x, weight, bias, *factors], upstream, torch.float64)
    found = results(ours, [x, weight, bias, *factors], upstream, torch.bfloat16)
    assert len(found) == 4 + len(factors)
    for mine, right in zip(found, exact, strict=True):
        # What is added: fp32's own sums, which lose next to nothing of the largest term.
        torch.testing.assert_close(mine, right, rtol=HALF_A_STEP, atol=1e-5 * float(right.abs().max()) + 1e-4)


@pytest.mark.parametrize("frozen", ["x", "weight"])
def test_no_gradient_is_made_for_what_is_frozen(frozen: str) -> None:
    x, weight, down, up = (tensor.requires_grad_() for tensor in drawn(0, (3, 5), (4, 5), (2, 5), (4, 2)))
    {"x": x, "weight": weight}[frozen].requires_grad_(False)
    product(x, weight, None, down, up, 2.0).sum().backward()
    assert (x.grad is None) == (frozen == "x") and (weight.grad is None) == (frozen == "weight")
    assert down.grad is not None and up.grad is not None


def forward(model: Any) -> tuple[Tensor, dict[str, Tensor]]:
    """The last states of two packed rows, and gradients by weight."""
    spans = Spans([Span(0, 50), Span(50, 30)])
    places = torch.cat([torch.arange(50), torch.arange(30)])[None]
    body = inner(model).base_model
    states = body(input_ids=torch.arange(3, 83)[None], position_ids=places, use_cache=False, spans=spans)
    states.last_hidden_state.float().square().mean().backward()
    gradients = {name: weight.grad.float() for name, weight in model.named_parameters() if weight.grad is not None}
    return states.last_hidden_state.detach().float(), gradients


@pytest.mark.parametrize("kind", ["lora", "dora", "full"])
def test_a_model_goes_no_further_from_its_fp32_self(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    def errors(faster: bool) -> tuple[float, float]:
        monkeypatch.setattr(products, "_fp32_is_faster", lambda: faster)
        models = [trainable(setting.order(kind, dtype), setting.device).train() for dtype in ("bfloat16", "float32")]
        generator = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for weight, same in zip(*(model.parameters() for model in models), strict=True):
                if weight.requires_grad and kind != "full":
                    weight.add_(0.1 * torch.randn(weight.shape, generator=generator).to(weight.dtype))
                same.copy_(weight)
        states, gradients = forward(models[0])
        right, wanted = forward(models[1])
        assert gradients.keys() == wanted.keys()
        off = [float((gradients[name] - wanted[name]).norm() / wanted[name].norm()) for name in wanted]
        return float((states - right).norm() / right.norm()), sum(off) / len(off)

    found, plain = errors(True), errors(False)
    assert all(0 < mine <= 1.02 * theirs < 0.1 for mine, theirs in zip(found, plain, strict=True))
    if kind == "lora":  # where three products become one, two roundings are gone
        assert found[0] < plain[0]


def patched(model: nn.Module) -> list[nn.Module]:
    return [module for module in model.modules() if type(module) is nn.Linear and "forward" in vars(module)]


def test_layers_stay_as_they_are_where_nothing_is_won(setting: Setting, wide: bool) -> None:
    assert bool(patched(trainable(setting.order("lora", "bfloat16"), setting.device))) == wide
    assert not patched(trainable(setting.order("lora"), setting.device))
    assert not widens(torch.empty(1, dtype=torch.bfloat16, device="meta"))
    assert widens(torch.empty(1, dtype=torch.bfloat16)) == wide and not widens(torch.empty(1))


def test_zero3_gathers_what_is_called_so_that_its_layers_stay(setting: Setting, slow_bf16: None) -> None:
    order = setting.order("lora", "bfloat16")
    order = order.model_copy(update={"engine": order.engine.model_copy(update={"zero": 3})})
    assert not patched(trainable(order, setting.device))


def test_a_frozen_head_rounds_its_gradient_alone(setting: Setting, slow_bf16: None) -> None:
    model = load(setting.model, "bfloat16").requires_grad_(False)
    head = model.get_output_embeddings().weight
    hidden, upstream = drawn(2, (300, head.shape[1]), (300,))
    labels = torch.arange(300) % head.shape[0]

    def exact(states: Tensor) -> Tensor:
        return torch.log_softmax(states @ head.double().t(), dim=-1)[torch.arange(300), labels]

    right, gradient = results(exact, [hidden], upstream, torch.float64)
    states = hidden.requires_grad_()
    found = target_logps(model, states, labels)
    found.backward(upstream.float())
    torch.testing.assert_close(found.detach().double(), right, rtol=1e-5, atol=1e-4)
    assert states.grad is not None
    # Once when the forward pass keeps it, once when it is multiplied by what comes later.
    torch.testing.assert_close(states.grad.double(), gradient, rtol=2 * HALF_A_STEP, atol=1e-3)


def test_long_segments_attend_in_fp32(wide: bool) -> None:
    query, key, value, upstream = drawn(4, (1, 4, 300, 8), (1, 2, 300, 8), (1, 2, 300, 8), (1, 300, 4, 8))

    def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return segment_attention(nn.Module(), query, key, value, None, spans=Spans([Span(0, 300)]))[0]

    found = results(attend, [query, key, value], upstream, torch.bfloat16)
    right = results(attend, [query, key, value], upstream, torch.float64)
    off = [float(((mine - true).abs() / (true.abs() + 1e-3)).max()) for mine, true in zip(found, right, strict=True)]
    assert (max(off) <= 2 * HALF_A_STEP) == wide
