"""What this machine computes on, asked without torch: GPUs through the driver's own tool, and the host's memory."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Literal

Dtype = Literal["bfloat16", "float32"]

_TOOL_SECONDS = 20
_BFLOAT16_FLAGS = frozenset({"amx_bf16", "bf16"})
"""What /proc/cpuinfo calls units that multiply bf16 matrices, on x86 and on ARM."""


def _ask(*arguments: str) -> list[str]:
    """Lines of the driver's tool; none where it is not there or does not answer."""
    try:
        answer = subprocess.run(
            ["nvidia-smi", *arguments], capture_output=True, text=True, timeout=_TOOL_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return answer.stdout.splitlines()


def visible_gpus() -> int:
    """The number of GPUs that a worker would see."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is not None:
        return len([device for device in listed.split(",") if device.strip() not in ("", "-1")])
    return sum(line.startswith("GPU ") for line in _ask("-L"))


def device_memory() -> int:
    """Bytes that bound a worker: the smallest GPU's memory, or the host's where there are no GPUs to be asked."""
    if visible_gpus():
        sizes = [
            int(line) for line in _ask("--query-gpu=memory.total", "--format=csv,noheader,nounits") if line.strip()
        ]
        if sizes:
            return min(sizes) * 2**20
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def usable_cores() -> int:
    """Processors that this process may run on: those of its affinity where the system tells it."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def fast_dtype() -> Dtype:
    """The dtype that this machine trains fastest in.

    Without a unit for bf16 a CPU's matrix products are slower in it (PyTorch 2.13, two threads, 1,024 rows: 0.0009
    against 0.07 TFLOP/s in fp32 with AVX2; 0.17 against 0.32 on a Xeon that has AVX512_BF16 but no AMX). Training in
    bf16 takes them in fp32 there (``framework.train.products``): about as fast, in two thirds of the memory.
    """
    return "bfloat16" if visible_gpus() or _BFLOAT16_FLAGS & _processor_flags() else "float32"


@cache
def _processor_flags(file: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """Features of the first processor, as Linux lists them; none where nothing can be read."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    listed = next((line for line in lines if line.lower().startswith(("flags", "features"))), "")
    return frozenset(listed.partition(":")[2].split())
