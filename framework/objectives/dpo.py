"""Direct preference optimisation (Rafailov et al. 2023, arXiv:2305.18290, equation 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from framework.objectives._pairs import Pairwise

if TYPE_CHECKING:
    from torch import Tensor


class DPO(Pairwise):
    """``-log sigmoid(r(chosen) - r(rejected))`` with ``r = beta * log(pi / ref)``, mean over pairs.

    ``length_normalised`` divides each log-ratio by the response's tokens (Lambert et al. 2024, Tulu 3,
    arXiv:2411.15124); ``beta`` is then of the order of 5.
    """

    kind: Literal["dpo"] = "dpo"
    length_normalised: bool = False

    @property
    def averages(self) -> bool:
        """As the setting says."""
        return self.length_normalised

    def compare(self, chosen: Tensor, rejected: Tensor) -> Tensor:
        """Bradley and Terry's negative log-likelihood of the preference."""
        from torch.nn.functional import logsigmoid

        return -logsigmoid(chosen - rejected)


COMPONENT = DPO
