"""Contrastive preference optimisation: no reference (Xu et al. 2024, arXiv:2401.08417)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from framework.objectives._pairs import Pairwise

if TYPE_CHECKING:
    from torch import Tensor


class CPO(Pairwise):
    """``-log sigmoid(r(chosen) - r(rejected))`` with ``r = beta * log pi``, and the supervised loss of ``chosen``.

    The supervised term is part of the method, so that ``sft_weight`` is 1. It is a mean per token here; the paper
    writes a sum over the response.
    """

    kind: Literal["cpo"] = "cpo"
    sft_weight: float = Field(default=1.0, ge=0)
    needs_reference: ClassVar[bool] = False

    def compare(self, chosen: Tensor, rejected: Tensor) -> Tensor:
        """DPO with a uniform reference."""
        from torch.nn.functional import logsigmoid

        return -logsigmoid(chosen - rejected)


COMPONENT = CPO
