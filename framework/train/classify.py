"""What kind of failure an exception in a worker is."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import torch

_MEMORY = ("can't allocate memory", "Cannot allocate memory", "out of memory", "std::bad_alloc")
_DISK = ("No space left on device", "Disk quota exceeded")
_PEER = ("gloo/transport", "Connection closed by peer", "Connection reset by peer", "Broken pipe", "NCCL")


def kind_of(error: BaseException) -> str:
    """``out_of_memory``, ``disk_full``, ``peer`` (another rank was lost) or ``error``.

    Libraries have no exception types of their own for these: PyTorch's CPU allocator and gloo raise RuntimeError, and
    safetensors passes on the system's text, so the text decides.
    """
    text = str(error)
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(words in text for words in _MEMORY):
        return "out_of_memory"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "disk_full"
    if any(words in text for words in _DISK):
        return "disk_full"
    if any(words in text for words in _PEER):
        return "peer"
    return "error"


def message_of(error: BaseException, folder: Path) -> str:
    """The first line of what an exception says; with the free room where that was wanting."""
    said = f"{type(error).__name__}: {(str(error).strip() or 'no message').splitlines()[0]}"
    if kind_of(error) != "disk_full":
        return said
    free = shutil.disk_usage(folder).free
    return f"{said}; {free:,} bytes are free where {folder} is"
