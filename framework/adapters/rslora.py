"""Rank-stabilised LoRA: the update is scaled by ``alpha / sqrt(r)`` (Kalajdzievski 2023, arXiv:2312.03732)."""

from __future__ import annotations

from typing import Any, Literal

from framework.adapters._low_rank import LowRank


class RsLoRA(LowRank):
    """For high ranks, whose updates plain LoRA scales down."""

    kind: Literal["rslora"] = "rslora"

    def variant(self) -> dict[str, Any]:
        """Scaled by the root of the rank."""
        return {"use_rslora": True}


COMPONENT = RsLoRA
