"""Odds ratio preference optimisation: no reference (Hong et al. 2024, arXiv:2403.07691, equations 6 and 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from framework.objectives._pairs import Pairwise

if TYPE_CHECKING:
    from torch import Tensor


class ORPO(Pairwise):
    """The supervised loss of ``chosen``, plus ``-beta * log sigmoid(log odds(chosen) - log odds(rejected))``.

    ``odds = p / (1 - p)`` with ``log p`` the mean log-probability of a response's tokens; ``beta`` is the paper's
    lambda. Both terms are of responses alone, as in the paper: TRL's supervised loss takes the prompt along.
    """

    kind: Literal["orpo"] = "orpo"
    sft_weight: float = Field(default=1.0, ge=0)
    needs_reference: ClassVar[bool] = False

    @property
    def averages(self) -> bool:
        """Always."""
        return True

    def compare(self, chosen: Tensor, rejected: Tensor) -> Tensor:
        """The odds ratio's loss; rewards are ``beta * log p``."""
        from torch.nn.functional import logsigmoid

        odds = _log_odds(chosen / self.beta) - _log_odds(rejected / self.beta)
        return -self.beta * logsigmoid(odds)


def _log_odds(logp: Tensor) -> Tensor:
    """``log(p / (1 - p))`` from ``log p < 0``; ``expm1`` keeps what ``1 - p`` would cancel when p is near 1."""
    import torch

    # A response that is certain has infinite odds, and no finite gradient: it is held at the last value below 1.
    bounded = logp.clamp(max=-torch.finfo(logp.dtype).eps)
    return bounded - torch.log(-torch.expm1(bounded))


COMPONENT = ORPO
