"""A small model that is far from uniform, and one gloo process group for the session."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
import torch

from tests.train.setting import Setting


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def device() -> torch.device:
    """This process as the only worker of its group."""
    from framework.train.engine import start_process_group

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    os.environ |= {
        "RANK": "0",
        "LOCAL_RANK": "0",
        "WORLD_SIZE": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    return start_process_group(60.0)


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of ``model=tiny`` with weights large enough that logits differ, in fp32."""
    from transformers import AutoModelForCausalLM

    from framework.train.convert import tiny

    folder = tmp_path_factory.mktemp("small")
    tiny(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn_like(weight) * 0.15 if weight.ndim > 1 else 1 + 0.1 * torch.randn_like(weight))
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def setting(small_model: Path, tmp_path: Path, device: torch.device) -> Setting:
    """A small stage's surroundings."""
    return Setting(small_model, tmp_path, device)
