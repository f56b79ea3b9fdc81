"""What training has changed, whole and by name: weights and AdamW's moments, however ZeRO spreads them.

A checkpoint made of it knows nothing of the number of workers or of the ZeRO stage, so either may change on a resume.
It holds tensors alone: nothing in it is unpickled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

MASTER = "weight"
"""The weight in the precision that the optimizer steps in."""
MOMENTS = ("exp_avg", "exp_avg_sq")
Read = Callable[[str], Tensor]


def entry(part: str, name: str) -> str:
    """The name of a tensor in a checkpoint: ``exp_avg:model.layers.0...``."""
    return f"{part}:{name}"


class TrainedState:
    """The trained weights of a DeepSpeed engine, gathered from the workers and shared out again."""

    def __init__(self, engine: Any, module: nn.Module) -> None:
        self._engine = engine
        self._weights = {name: weight for name, weight in module.named_parameters() if weight.requires_grad}
        self._optimizer: torch.optim.Optimizer = engine.basic_optimizer
        self._masters = _masters(engine.optimizer, list(self._weights.values()))

    def updates(self) -> float:
        """Updates that AdamW has made; its bias correction depends on them."""
        for state in self._optimizer.state.values():
            return float(state["step"])
        return 0.0

    def gather(self) -> Iterator[tuple[str, Tensor]]:
        """Every tensor whole, on every worker, one at a time; called by all workers together."""
        self._link()
        for name, weight in self._weights.items():
            for part in (MASTER, *MOMENTS):
                yield entry(part, name), self._whole(weight, part).detach().to("cpu", copy=True).contiguous()

    @torch.no_grad()
    def spread(self, read: Read, updates: float) -> None:
        """Take over what ``gather`` gave. ``read`` raises where a tensor is missing or has another shape."""
        self._make_moments(updates)
        for name, weight in self._weights.items():
            for part in (MASTER, *MOMENTS):
                self._take(weight, part, read(entry(part, name)))

    def _whole(self, weight: Any, part: str) -> Tensor:
        key = None if part == MASTER else part
        if hasattr(weight, "ds_id"):
            found: Tensor = weight._z3_optimizer.get_full_hp_param(weight, key)
            return found
        if hasattr(weight, "_hp_mapping"):
            return weight.get_full_hp_param(key)
        master = self._masters[weight]
        return master if key is None else self._optimizer.state[master][key]

    def _take(self, weight: Any, part: str, value: Tensor) -> None:
        key = None if part == MASTER else part
        if hasattr(weight, "ds_id"):
            self._take_partition(weight, key, value)
        elif hasattr(weight, "_hp_mapping"):
            value = value.to(weight.device)
            weight.set_full_hp_param(value, key)
            if key is None:
                weight.data.copy_(value)
        else:
            master = self._masters[weight]
            (master.data if key is None else self._optimizer.state[master][key]).copy_(value)
            if key is None:
                weight.data.copy_(value)

    def _take_partition(self, weight: Any, key: str | None, value: Tensor) -> None:
        own: Tensor = weight.ds_tensor
        whole = torch.zeros(own.numel() * torch.distributed.get_world_size(), dtype=value.dtype)
        whole[: value.numel()] = value.flatten()
        part = whole.narrow(0, own.numel() * torch.distributed.get_rank(), own.numel()).to(own.device)
        weight._z3_optimizer.set_local_hp_param(part, weight, key)
        if key is None:
            own.data.copy_(part)
            if weight.numel():  # small weights are kept whole on every worker
                weight.data.copy_(value)

    def _make_moments(self, updates: float) -> None:
        """AdamW makes them at its first update: make them as it would."""
        groups = self._optimizer.param_groups
        fused = any(group.get("fused") or group.get("capturable") for group in groups)
        # ZeRO 3 gives the optimizer its flat weights for the time of an update only.
        flats = getattr(self._engine.optimizer, "fp32_partitioned_groups_flat", None)
        for flat in flats if flats is not None else [flat for group in groups for flat in group["params"]]:
            on = flat.device if fused else torch.device("cpu")
            self._optimizer.state[flat] = {
                "step": torch.tensor(updates, dtype=torch.float32, device=on),
                **{name: torch.zeros_like(flat, memory_format=torch.preserve_format) for name in MOMENTS},
            }
        self._link()

    def _link(self) -> None:
        """ZeRO 1 and 2 find a weight's part of the flat moments by links.

        DeepSpeed makes them after the update of its first group of weights, when the others have no moments yet.
        """
        optimizer: Any = self._engine.optimizer
        if hasattr(optimizer, "_hp_optimizer_states_linked"):
            optimizer._hp_optimizer_states_linked = False
            optimizer._lazy_init_hp_params_optimizer_state()


def _masters(optimizer: Any, weights: list[Tensor]) -> dict[Tensor, Tensor]:
    """Without ZeRO: the weight that the optimizer steps for each weight of the model, which in fp32 is the same."""
    if not hasattr(optimizer, "fp32_groups"):
        return {weight: weight for weight in weights}
    pairs = zip(optimizer.fp16_groups, optimizer.fp32_groups, strict=True)
    return {weight: master for low, high in pairs for weight, master in zip(low, high, strict=True)}
