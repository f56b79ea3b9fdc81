"""Low-rank layers and gated feed-forwards with fewer passes over memory, and less kept for the way back.

The same sums as PEFT's and transformers' own, which write the update of a low-rank layer three times (product, scaled,
added) and keep the activation of a gate beside what it is made from.
"""

from __future__ import annotations

import inspect
from types import MethodType
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from framework.train.products import product, widen, widens

_ADAPTER = "default"
_GATED = "self.down_proj(self.act_fn(self.gate_proj(x)) * self.up_proj(x))"
"""What the feed-forward of Llama, Mistral, Qwen and their like says; another's stays as it is."""


def write_less(model: nn.Module, gathered: bool) -> None:
    """Change how blocks are computed, not what. Layers that are quantised or have dropout stay as they are.

    ``gathered`` says that weights are always whole: ZeRO-3 makes them so only for modules that are called.
    """
    from peft.tuners.lora import Linear
    from transformers.activations import ACT2FN

    if gathered:
        widen(model)
    for module in model.modules():
        if "forward" in vars(module):
            continue  # another library's kernels are in place
        if gathered and type(module) is Linear and _plain(module):
            module.forward = MethodType(_low_rank, module)
        elif isinstance(getattr(module, "act_fn", None), type(ACT2FN["silu"])) and _GATED in inspect.getsource(
            type(module).forward
        ):
            module.forward = MethodType(_feed_forward, module)


def _plain(layer: Any) -> bool:
    """Whether a layer is a frozen product without a bias of the update, dropout or any variant of LoRA."""
    return (
        list(layer.lora_A) == [_ADAPTER]
        and not layer.lora_variant
        and type(layer.base_layer) is nn.Linear
        and not layer.base_layer.weight.requires_grad
        and isinstance(layer.lora_dropout[_ADAPTER], nn.Identity)
        and layer.lora_B[_ADAPTER].bias is None
        and layer.lora_A[_ADAPTER].weight.dtype == layer.base_layer.weight.dtype
    )


def _low_rank(layer: Any, x: Tensor) -> Tensor:
    """``x W' + scaling (x A') B'`` with the update added in place: [..., in] to [..., out]."""
    if layer.disable_adapters or layer.merged:
        return cast("Tensor", type(layer).forward(layer, x))
    base, down, up = layer.base_layer, layer.lora_A[_ADAPTER], layer.lora_B[_ADAPTER].weight
    if widens(up):
        return product(x, base.weight, base.bias, down.weight, up, layer.scaling[_ADAPTER])
    flat = x.reshape(-1, x.shape[-1])
    result = base(flat)
    result.addmm_(down(flat), up.t(), alpha=layer.scaling[_ADAPTER])
    return cast("Tensor", result).view(*x.shape[:-1], -1)


def _feed_forward(block: Any, x: Tensor) -> Tensor:
    return cast("Tensor", block.down_proj(_Gated.apply(block.gate_proj(x), block.up_proj(x))))


class _Gated(torch.autograd.Function):
    """``silu(gate) * up``, of which the way back needs no more than ``gate`` and ``up``."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        ctx.save_for_backward(gate, up)
        return silu(gate).mul_(up)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        (grad,) = grads
        gate, up = ctx.saved_tensors
        of_gate = torch.ops.aten.silu_backward(grad * up, gate)
        return of_gate, silu(gate).mul_(grad)
