"""Implementations that are chosen: compiled blocks compute what they did, and Liger's kernels are put in place."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch._dynamo.utils import counters

from framework.compose import compose
from framework.contradictions import problems_of
from framework.train.attention import Span, Spans
from framework.train.kernels import compile_blocks, use_kernels
from framework.train.lm import load

LENGTHS = (40, 30)


def gradient(model: Any, length: int) -> torch.Tensor:
    model.zero_grad()
    tokens = torch.arange(3, 3 + length)[None]
    places = torch.arange(length)[None]
    output = model.base_model(input_ids=tokens, position_ids=places, use_cache=False, spans=Spans([Span(0, length)]))
    output.last_hidden_state.square().mean().backward()
    found = model.get_submodule("model.layers.0.mlp.up_proj").weight.grad
    assert isinstance(found, torch.Tensor)
    return found.clone()


def test_norms_and_feed_forwards_are_compiled_and_nothing_else(small_model: Path) -> None:
    model = load(small_model, "float32")
    compile_blocks(model)
    compiled = {name for name, part in model.named_modules() if part._compiled_call_impl is not None}
    parts = ("mlp", "input_layernorm", "post_attention_layernorm")
    assert compiled == {f"model.layers.{i}.{p}" for i in range(model.config.num_hidden_layers) for p in parts}


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="compiling for a CPU needs g++")
def test_compiled_blocks_compute_the_same(small_model: Path) -> None:
    model = load(small_model, "float32")
    expected = [gradient(model, length) for length in LENGTHS]
    counters.clear()
    compile_blocks(model)
    found = [gradient(model, length) for length in LENGTHS]
    assert counters["frames"]["ok"] > 0
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, atol=1e-6)


@pytest.fixture
def liger(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A stand-in for the package, which cannot be imported without Triton; what it was asked for."""
    asked: list[dict[str, Any]] = []
    package = ModuleType("liger_kernel")
    inner = ModuleType("liger_kernel.transformers")
    patch: Any = ModuleType("liger_kernel.transformers.monkey_patch")
    patch.MODEL_TYPE_TO_APPLY_LIGER_FN = {"llama": None}
    for module in (package, inner, patch):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr("transformers.integrations.liger.apply_liger_kernel", lambda _, given: asked.append(given))
    return asked


def test_liger_leaves_the_head_to_us(small_model: Path, liger: list[dict[str, Any]]) -> None:
    model = load(small_model, "float32")
    use_kernels(model, "standard")
    assert liger == []
    use_kernels(model, "liger")
    assert liger == [{"cross_entropy": False, "fused_linear_cross_entropy": False}]


def test_a_model_that_liger_does_not_know_is_refused(small_model: Path, liger: list[dict[str, Any]]) -> None:
    model = load(small_model, "float32")
    model.config.model_type = "nobodys"
    with pytest.raises(ValueError, match="nobodys"):
        use_kernels(model, "liger")
    assert liger == []


def test_what_cannot_run_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def problems(gpus: int, *overrides: str) -> list[str]:
        monkeypatch.setattr("framework.contradictions.visible_gpus", lambda: gpus)
        composed = compose(["model=tiny", "stage=instruct", *overrides])
        return [str(problem) for problem in problems_of(composed) if problem.path.startswith("model.")]

    monkeypatch.setattr("framework.contradictions.find_spec", lambda _: None)
    monkeypatch.setattr("framework.contradictions.which", lambda _: None)
    assert "needs a GPU" in problems(0, "model.kernels=liger")[0]
    assert "pip install -e '.[liger]'" in problems(1, "model.kernels=liger")[0]
    assert "install g++" in problems(0, "model.compile=true")[0]
    assert not problems(1, "model.compile=true")
    assert "engine=zero2" in problems(1, "model.compile=true", "engine=zero3")[0]
