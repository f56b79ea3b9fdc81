"""Products of a model in bf16 on CPUs that multiply faster in fp32.

Weights and activations stay in bf16, in memory and between layers; a product takes them to fp32 and rounds its result
once, so that none is less exact than a bf16 product's. With conversions, one of 1,024 rows takes 0.6 of the time of
that in bf16 (PyTorch 2.13, a Xeon with AVX512_BF16 and no AMX); below some 32 rows, nothing is won.
"""

from __future__ import annotations

from functools import cache
from types import MethodType
from typing import Any, cast

import torch
from torch import Tensor, nn

from framework.devices import fast_dtype


@cache
def _fp32_is_faster() -> bool:
    return fast_dtype() == "float32"


def widens(tensor: Tensor) -> bool:
    """Whether products of a tensor are better taken in fp32."""
    return tensor.dtype is torch.bfloat16 and tensor.device.type == "cpu" and _fp32_is_faster()


def widen(model: nn.Module) -> None:
    """Have every linear layer that is no other library's multiply in fp32 where that is faster."""
    for module in model.modules():
        if type(module) is nn.Linear and "forward" not in vars(module) and widens(module.weight):
            module.forward = MethodType(_linear, module)


def _linear(layer: nn.Linear, x: Tensor) -> Tensor:
    return product(x, layer.weight, layer.bias)


def product(
    x: Tensor, weight: Tensor, bias: Tensor | None, down: Tensor | None = None, up: Tensor | None = None, by: float = 1
) -> Tensor:
    """``x W' + bias + by (x down') up'``, [..., in] to [..., out], with every sum in fp32 and one rounding at its end.

    Args:
        x: [..., in].
        weight: [out, in].
        bias: [out], or None.
        down: [r, in], the first factor of a low-rank update, or None where there is no update.
        up: [out, r], the second.
        by: what the update is scaled by.
    """
    out = cast("Tensor", _Product.apply(x.reshape(-1, x.shape[-1]), weight, bias, down, up, by))
    return out.view(*x.shape[:-1], -1)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, down: Tensor | None, up: Tensor | None, by: float
    ) -> Tensor:
        wide = x.float()
        out = wide @ weight.float().t()
        within: Tensor | None = None
        if down is not None and up is not None:
            within = wide @ down.float().t()
            out.addmm_(within, up.float().t(), alpha=by)
        if bias is not None:
            out += bias
        ctx.save_for_backward(x, weight, down, up, within)
        ctx.by = by
        return out.to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, down, up, within = ctx.saved_tensors
        grad = grads[0].float()
        of_x = grad @ weight.float() if ctx.needs_input_grad[0] else None
        of_weight = grad.t() @ x.float() if ctx.needs_input_grad[1] else None
        of_bias = grad.sum(dim=0) if ctx.needs_input_grad[2] else None
        of_down = of_up = None
        if down is not None:
            of_within = (grad @ up.float()).mul_(ctx.by)
            if of_x is not None:
                of_x.addmm_(of_within, down.float())
            of_down = of_within.t() @ x.float()
            of_up = (grad.t() @ within).mul_(ctx.by)
        found = (of_x, of_weight, of_bias, of_down, of_up)
        return (*(None if gradient is None else gradient.to(x.dtype) for gradient in found), None)
