"""Continued pre-training: next-token loss on text (Gururangan et al. 2020, arXiv:2004.10964)."""

from __future__ import annotations

from typing import ClassVar, Literal

from framework.objectives._tokens import TokenLoss
from framework.objectives.base import Rows


class NextToken(TokenLoss):
    """Targets are all tokens of a text, and the responses of domain instruction pairs."""

    kind: Literal["clm"] = "clm"
    rows: ClassVar[Rows] = "clm"


COMPONENT = NextToken
