"""LoRA (Hu et al. 2021, arXiv:2106.09685)."""

from __future__ import annotations

from typing import Literal

from framework.adapters._low_rank import LowRank


class LoRA(LowRank):
    """Low-rank factors over frozen 16-bit weights."""

    kind: Literal["lora"] = "lora"


COMPONENT = LoRA
