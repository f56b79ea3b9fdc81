"""What this machine computes on, asked without torch: GPUs through the driver's own tool, and the host's memory."""

from __future__ import annotations

import os
import subprocess

_TOOL_SECONDS = 20


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
