"""Supervised fine-tuning: next-token loss on the assistant's turns (Ouyang et al. 2022, arXiv:2203.02155, step 1)."""

from __future__ import annotations

from typing import ClassVar, Literal

from framework.objectives._tokens import TokenLoss
from framework.objectives.base import Rows


class Supervised(TokenLoss):
    """Targets are the tokens of every assistant turn, stop tokens included."""

    kind: Literal["sft"] = "sft"
    rows: ClassVar[Rows] = "sft"


COMPONENT = Supervised
