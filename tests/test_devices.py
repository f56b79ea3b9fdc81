"""What is asked of the GPU driver's tool, with a stand-in for it on the path."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from framework.devices import device_memory, visible_gpus

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
