"""What is asked of the GPU driver's tool, with a stand-in for it on the path."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from framework import devices
from framework.devices import device_memory, fast_dtype, usable_cores, visible_gpus
from framework.schema import Model

_TOOL = """#!/bin/sh
case "$1" in
-L) printf 'GPU 0: One (UUID: a)\\nGPU 1: Other (UUID: b)\\n' ;;
*) printf '81559\\n24564\\n' ;;
esac
"""


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A driver's tool that tells of two GPUs."""
    path = tmp_path / "nvidia-smi"
    path.write_text(_TOOL)
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return path


def test_two_gpus(tool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert visible_gpus() == 2
    assert device_memory() == 24564 * 2**20
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert visible_gpus() == 1


@pytest.mark.parametrize("answer", ["exit 9", "echo nothing of note"])
def test_without_gpus_the_host_bounds(tool: Path, answer: str) -> None:
    tool.write_text(f"#!/bin/sh\n{answer}\n")
    assert visible_gpus() == 0
    assert device_memory() == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_gpus_that_are_hidden_do_not_count(tool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_gpus() == 0


@pytest.mark.parametrize(
    ("listed", "dtype"),
    [
        ("flags\t\t: fpu sse2 avx2 avx512f amx_bf16 avx512_bf16 amx_tile", "bfloat16"),
        ("Features\t: fp asimd bf16 i8mm", "bfloat16"),
        ("flags\t\t: fpu sse2 avx2", "float32"),
        ("flags\t\t: fpu sse2 avx2 avx512f avx512_bf16", "float32"),
        ("", "float32"),
    ],
)
def test_bf16_is_chosen_where_the_processor_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: str, dtype: str
) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(f"processor\t: 0\n{listed}\n")
    flags = devices._processor_flags(file)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(devices, "_processor_flags", lambda: flags)
    assert fast_dtype() == dtype
    assert Model(kind="tiny").dtype == dtype
    assert Model(kind="tiny", dtype="bfloat16").dtype == "bfloat16"


def test_gpus_take_bf16(tool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_processor_flags", lambda: frozenset({"avx2"}))
    assert fast_dtype() == "bfloat16"


def test_cores_are_those_of_the_affinity() -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert usable_cores() == len(allowed)
