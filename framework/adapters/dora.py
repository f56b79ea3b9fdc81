"""DoRA: LoRA on the direction of the weights, their magnitude trained apart (Liu et al. 2024, arXiv:2402.09353)."""

from __future__ import annotations

from typing import Any, Literal

from framework.adapters._low_rank import LowRank


class DoRA(LowRank):
    """Costs more time a step than LoRA: the norm of every adapted weight is recomputed."""

    kind: Literal["dora"] = "dora"

    def variant(self) -> dict[str, Any]:
        """Weight-decomposed."""
        return {"use_dora": True}


COMPONENT = DoRA
