"""QLoRA: LoRA over weights held in 4-bit NormalFloat (Dettmers et al. 2023, arXiv:2305.14314)."""

from __future__ import annotations

from typing import Literal

from framework.adapters._low_rank import LowRank


class QLoRA(LowRank):
    """bitsandbytes' NF4. The adapter is merged into the de-quantised weights: those are what it was trained on."""

    kind: Literal["qlora"] = "qlora"
    double_quant: bool = True
    """Quantise the quantisation constants as well, 0.4 bits a weight less."""

    @property
    def quantises(self) -> bool:
        """Yes."""
        return True


COMPONENT = QLoRA
