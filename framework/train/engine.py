"""DeepSpeed, behind the few calls that the loop needs. Sole importer of deepspeed."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, nn

from framework.schema import Engine, Stage
from framework.train.state import TrainedState


def start_process_group(seconds: float) -> torch.device:
    """Join the other workers and return this worker's device.

    On a CPU DeepSpeed would compile a shared-memory op for collectives (50 s, and a crash without a compiler); gloo
    serves without it, so it is declared unavailable first.
    """
    cuda = torch.cuda.is_available()
    if not cuda:
        os.environ["DS_ACCELERATOR"] = "cpu"
    logging.getLogger("DeepSpeed").setLevel(logging.WARNING)
    import deepspeed

    if not cuda:
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.init_distributed(
        dist_backend="nccl" if cuda else "gloo", timeout=timedelta(seconds=seconds), verbose=False
    )
    if not cuda:
        return torch.device("cpu")
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    torch.cuda.set_device(device)
    return device


def settings(engine: Engine, stage: Stage, dtype: str) -> dict[str, Any]:
    """The DeepSpeed configuration.

    Batches and accumulation are the loop's: the sizes here only satisfy DeepSpeed's arithmetic.
    """
    zero: dict[str, Any] = {"stage": engine.zero}
    if engine.offload:
        zero["offload_optimizer"] = {"device": "cpu"}
    if engine.zero == 3:
        zero["stage3_gather_16bit_weights_on_model_save"] = True
    return {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        "gradient_clipping": stage.clip,
        "bf16": {"enabled": dtype == "bfloat16"},
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": 10**9,
    }


def partitioned(weight: Tensor) -> bool:
    """Whether ZeRO-3 holds a weight in parts, so that it is whole only while its own module runs."""
    return hasattr(weight, "ds_id")


@contextmanager
def whole(weights: Sequence[Tensor]) -> Generator[None]:
    """Within it, every worker sees these weights whole."""
    # Small weights, and those of modules that are running, are whole already; gathering these again is an error.
    apart = [weight for weight in weights if partitioned(weight) and weight.numel() == 0]
    if not apart:
        yield
        return
    from deepspeed.runtime.zero import GatheredParameters

    with GatheredParameters(apart):
        yield


class DeepSpeedEngine:
    """A model, its optimizer and their state, spread over the workers by ZeRO."""

    def __init__(self, module: nn.Module, engine: Engine, stage: Stage, dtype: str) -> None:
        import deepspeed

        decayed = [p for p in module.parameters() if p.requires_grad and p.ndim > 1]
        plain = [p for p in module.parameters() if p.requires_grad and p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": stage.weight_decay}, {"params": plain, "weight_decay": 0.0}]
        # One pass over weights and state. With offload they are not yet where the optimizer will find them.
        fused = not (torch.cuda.is_available() and engine.offload)
        optimizer = torch.optim.AdamW(
            [group for group in groups if group["params"]], lr=stage.lr, betas=stage.betas, fused=fused
        )
        self._module = module
        made = deepspeed.initialize(model=module, optimizer=optimizer, config=settings(engine, stage, dtype))
        self._engine: Any = made[0]

    def forward(self, *inputs: Any) -> Any:
        """The module's forward pass."""
        return self._engine(*inputs)

    @contextmanager
    def measuring(self) -> Generator[None]:
        """Within it, forward passes are those of an evaluation: without dropout."""
        self._engine.eval()
        try:
            yield
        finally:
            self._engine.train()

    def backward(self, loss: Tensor, last: bool) -> None:
        """Add the loss's gradient; ``last`` marks the last micro-batch of a step. Gradients are means over workers."""
        self._engine.set_gradient_accumulation_boundary(last)
        self._engine.backward(loss, scale_wrt_gas=False)

    def step(self, lr: float) -> float:
        """Update the weights with a learning rate; returns the norm of the gradient before clipping.

        A gradient that is not finite changes nothing, and the norm is NaN.
        """
        for group in self._engine.optimizer.param_groups:
            group["lr"] = lr
        # Without ZeRO in fp32 the optimizer is torch's own: DeepSpeed clips for it, but tells no norm and steps on NaN.
        own = None if hasattr(self._engine.optimizer, "_global_grad_norm") else float(self._norm())
        if own is not None and not math.isfinite(own):
            self._engine.optimizer.zero_grad()
            return math.nan
        self._engine.step()
        if not self._engine.was_step_applied():
            return math.nan
        norm = self._engine.get_global_grad_norm() if own is None else own
        return float(norm) if norm is not None else math.nan

    def _norm(self) -> Tensor:
        gradients = [weight.grad for weight in self._module.parameters() if weight.grad is not None]
        return nn.utils.get_total_norm(gradients)

    def whole(self) -> AbstractContextManager[None]:
        """Within it, every worker sees the model's weights whole, however ZeRO spreads them."""
        return whole(list(self._module.parameters()))

    def state(self) -> TrainedState:
        """The trained weights and the optimizer's state, for checkpoints."""
        return TrainedState(self._engine, self._module)
