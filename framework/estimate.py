"""What a stage will cost: memory, floating-point operations, time. Estimates, to a factor; the counts are exact."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framework.data.prepare import Prepared
from framework.devices import Dtype, device_memory, fast_dtype, usable_cores, visible_gpus
from framework.files import read_json, write_json
from framework.paths import home
from framework.schema import Config, Stage

_CPU_MICRO_TOKENS = 2048
_GPU_MICRO_TOKENS = 16384
_CHUNK_TARGETS = 512
_CPU_FLOPS_PER_CORE: dict[Dtype, float] = {"bfloat16": 1.5e11, "float32": 5e10}
"""Sustained in training a small model; replaced by what this machine has shown once a stage has run."""
_GPU_FLOPS = 1.5e14


@dataclass(frozen=True, slots=True)
class Estimate:
    """Memory of the largest worker in bytes, operations, and seconds of training."""

    memory_bytes: int
    flops: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a decoder, from its config.json."""

    hidden: int
    intermediate: int
    layers: int
    vocabulary: int
    kv_hidden: int
    tied: bool

    @classmethod
    def of(cls, config: dict[str, Any]) -> Shape:
        """Read the field names that transformers' decoders share."""
        hidden = int(config["hidden_size"])
        heads = int(config["num_attention_heads"])
        head = int(config.get("head_dim") or hidden // heads)
        return cls(
            hidden=hidden,
            intermediate=int(config.get("intermediate_size") or 4 * hidden),
            layers=int(config["num_hidden_layers"]),
            vocabulary=int(config["vocab_size"]),
            kv_hidden=head * int(config.get("num_key_value_heads") or heads),
            tied=bool(config.get("tie_word_embeddings", True)),
        )

    @property
    def block_parameters(self) -> int:
        """Weights of all transformer blocks."""
        block = 2 * self.hidden**2 + 2 * self.hidden * self.kv_hidden + 3 * self.hidden * self.intermediate
        return self.layers * block

    @property
    def parameters(self) -> int:
        """All weights."""
        return self.block_parameters + self.vocabulary * self.hidden * (1 if self.tied else 2)


def micro_tokens(settings: Stage, capacity: int) -> int:
    """Tokens of one forward pass: what keeps the device busy, at least one pack and at most a whole batch."""
    usual = _GPU_MICRO_TOKENS if visible_gpus() else _CPU_MICRO_TOKENS
    return max(1, min(usual, settings.batch.tokens) // capacity) * capacity


def estimate(config: Config, shape: Shape, settings: Stage, data: Prepared, micro: int) -> tuple[Estimate, bool]:
    """The cost of a stage, and whether gradient checkpointing is needed for it."""
    world = config.launch.world_size()
    adapter, engine = config.adapter, config.engine
    trained = adapter.trainable_parameters(
        shape.hidden, shape.intermediate, shape.layers, shape.parameters, shape.kv_hidden
    )
    width = 2 if config.model.dtype == "bfloat16" else 4
    held = width * shape.parameters
    if adapter.quantises:
        held = int(0.56 * shape.block_parameters) + width * (shape.parameters - shape.block_parameters)
    shards = world if engine.zero >= 1 else 1
    # Trained weights: the copy in the model, a gradient, an fp32 master and Adam's two moments.
    weights = held / (world if engine.zero == 3 else 1) + trained * width
    gradients = trained * width / (world if engine.zero >= 2 else 1)
    states = 0 if engine.offload else 12 * trained / shards
    # Activations kept for the backward pass, counted over a block's linear layers, norms and attention.
    kept = 2 * (14 * shape.hidden + 4 * shape.kv_hidden + 4 * shape.intermediate) * (width / 2)
    objective = config.objective(_kind(config, settings))
    logits = 0 if objective.scores else 10 * _CHUNK_TARGETS * shape.vocabulary
    fixed = weights + gradients + states + logits + 1.2e9  # interpreter and libraries
    whole = fixed + micro * shape.layers * kept
    lean = fixed + micro * (shape.layers * 2 * shape.hidden + kept)
    wanted = config.model.checkpointing
    checkpointing = whole > 0.8 * device_memory() if wanted == "auto" else wanted is True
    # Forward 2, gradients of activations 2, gradients of trained weights 2 operations for each weight and token.
    used = shape.block_parameters if objective.scores else shape.parameters
    below = shape.block_parameters * (shape.layers - adapter.trained_layers(shape.layers)) // shape.layers
    per_token = (
        2 * used + 2 * (used - below) + 2 * min(trained, used) + (2 * shape.block_parameters if checkpointing else 0)
    )
    flops = float(per_token * data.tokens)
    if objective.needs_reference:
        flops += 2.0 * shape.parameters * data.tokens
    if objective.anchor == "mismatched":  # exchanged responses go through the starting policy and every step's
        flops += 4.0 * shape.parameters * data.tokens
    rate = device_rate(config.model.dtype)
    seconds = flops / (rate * world if visible_gpus() else rate)
    return Estimate(int(lean if checkpointing else whole), flops, seconds), checkpointing


def _kind(config: Config, settings: Stage) -> Any:
    return next(kind for kind in config.stage.order if config.stage.settings(kind) is settings)


def _rate_file(dtype: Dtype) -> Path:
    return home() / "cache" / f"rate-{dtype}.json"


def device_rate(dtype: Dtype) -> float:
    """Operations a second of one device: the last that a stage reached here, or a cautious guess."""
    try:
        return float(read_json(_rate_file(dtype))["flops_per_second"])
    except (OSError, ValueError, KeyError):
        if visible_gpus():
            return _GPU_FLOPS
        # Where fp32 is faster, products of bf16 are taken in it (framework.train.products).
        return _CPU_FLOPS_PER_CORE["float32" if fast_dtype() == "float32" else dtype] * usable_cores()


def remember_rate(dtype: Dtype, flops: float, seconds: float) -> None:
    """Note what a stage reached, for the next plan's estimate."""
    if seconds > 5:
        write_json(_rate_file(dtype), {"flops_per_second": flops / seconds})
