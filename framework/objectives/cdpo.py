"""Conservative DPO: labels are wrong with a known probability (Mitchell 2023, https://ericmitchell.ai/cdpo.pdf)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from framework.objectives._pairs import Pairwise

if TYPE_CHECKING:
    from torch import Tensor


class ConservativeDPO(Pairwise):
    """``-(1 - e) log sigmoid(d) - e log sigmoid(-d)`` with ``d = r(chosen) - r(rejected)``, mean over pairs.

    ``r = beta * log(pi / ref)`` and ``e`` is ``label_smoothing``. The loss is least at ``d = log((1 - e) / e)``, not
    at infinity as DPO's.
    """

    kind: Literal["cdpo"] = "cdpo"
    label_smoothing: float = Field(default=0.1, ge=0, lt=0.5)

    def compare(self, chosen: Tensor, rejected: Tensor) -> Tensor:
        """Cross-entropy against the smoothed label."""
        from torch.nn.functional import logsigmoid

        margin = chosen - rejected
        return -(1 - self.label_smoothing) * logsigmoid(margin) - self.label_smoothing * logsigmoid(-margin)


COMPONENT = ConservativeDPO
