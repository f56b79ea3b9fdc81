"""Bandits whose optimum is known in closed form: gradient descent on our losses reaches it.

A policy over a few actions, each a response of one token, is compared with a reference. Pairs come in the proportion in
which Bradley and Terry's model prefers one action to another, so that the loss is its expectation and exact.
"""

from __future__ import annotations

from itertools import permutations

import pytest
import torch
from torch import Tensor

from framework.objectives.base import Objective, Targets
from framework.objectives.bco import BCO
from framework.objectives.dpo import DPO
from framework.objectives.ipo import IPO
from framework.objectives.kto import KTO

REWARD = torch.tensor([1.0, 0.2, -0.5, 0.6], dtype=torch.float64)
REFERENCE = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
PAIRS = list(permutations(range(4), 2))


def pair(chosen: int, rejected: int) -> tuple[Tensor, Targets]:
    """The actions of a pair, and their targets."""
    return _of(torch.tensor([chosen, rejected]), torch.arange(2), torch.ones(2, dtype=torch.float64))


def judged(action: int, desirable: bool) -> tuple[Tensor, Targets]:
    """The action of a judged response, and its targets."""
    place = 0 if desirable else 1
    return _of(torch.tensor([action]), torch.tensor([place]), torch.eye(2, dtype=torch.float64)[place])


def _of(actions: Tensor, places: Tensor, lengths: Tensor) -> tuple[Tensor, Targets]:
    reference = torch.zeros(2, dtype=torch.float64)
    reference[places] = REFERENCE.log()[actions]
    nothing = torch.zeros((), dtype=torch.float64)
    return actions, Targets(torch.zeros_like(places), places, 1, reference, lengths, nothing)


def descended(objective: Objective, rows: list[tuple[Tensor, Targets]], weights: list[float]) -> Tensor:
    """Log-probabilities after L-BFGS on the weighted losses of all rows."""
    logits = REFERENCE.log().clone().requires_grad_(True)
    optimiser = torch.optim.LBFGS([logits], lr=1.0, max_iter=500, tolerance_grad=1e-10, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        policy = torch.log_softmax(logits, dim=0)
        losses = [objective.loss(policy[actions], targets).total for actions, targets in rows]
        total = torch.stack([weight * one for weight, one in zip(weights, losses, strict=True)]).sum()
        total.backward()
        return total

    optimiser.step(loss)  # type: ignore[arg-type]
    return torch.log_softmax(logits.detach(), dim=0)


def on_pairs(objective: Objective, preferred: Tensor) -> Tensor:
    """Descended on all pairs, each as often as its first action is preferred to its second, [4, 4]."""
    return descended(objective, [pair(*one) for one in PAIRS], [float(preferred[one]) for one in PAIRS])


@pytest.mark.parametrize("beta", [0.3, 1.0, 4.0])
def test_dpo_reaches_the_policy_of_the_reward(beta: float) -> None:
    """The policy that maximises E[r] - beta KL(pi || ref) is ref * exp(r / beta), normalised (equation 4 of DPO)."""
    expected = torch.log_softmax(REFERENCE.log() + REWARD / beta, dim=0)
    found = on_pairs(DPO(beta=beta), torch.sigmoid(REWARD[:, None] - REWARD[None, :]))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("beta", [0.5, 2.0])
def test_ipo_reaches_the_policy_of_the_preferences(beta: float) -> None:
    """The policy that maximises E[P(y beats another)] - beta KL(pi || ref) is ref * exp(P(y beats another) / beta).

    In the loss: a pair and its reverse together are least at ``h(y) - h(y') = (2 p - 1) / (2 beta)``, with ``p`` the
    probability that ``y`` is preferred, and equally steep for all pairs. The least-squares solution over all pairs is
    the mean over the others, ``h(y) = sum over y' of (2 p - 1) / (2 beta n)``, up to a constant.
    """
    p = torch.sigmoid(REWARD[:, None] - REWARD[None, :])
    expected = torch.log_softmax(REFERENCE.log() + p.mean(dim=1) / beta, dim=0)
    torch.testing.assert_close(on_pairs(IPO(beta=beta), p), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("beta", [0.5, 1.0])
def test_bco_reaches_the_odds_of_being_desirable(beta: float) -> None:
    """Cross-entropy is least where the reward, ``beta * log(pi / ref)``, is the log-odds of being desirable.

    The odds are made such that ``ref * exp(odds / beta)`` is a distribution, so that a policy can reach them.
    """
    ratios = torch.tensor([0.5, -0.3, 0.2, 0.0], dtype=torch.float64)
    ratios = ratios - torch.logsumexp(REFERENCE.log() + ratios, dim=0)
    rows = [judged(action, label) for action in range(4) for label in (True, False)]
    shares = [float(torch.sigmoid(side * beta * ratio)) for ratio in ratios for side in (1, -1)]
    found = descended(BCO(beta=beta), rows, shares)
    torch.testing.assert_close(found, REFERENCE.log() + ratios, atol=1e-4, rtol=0)


def test_kto_orders_actions_by_how_often_they_are_desirable() -> None:
    rows = [judged(action, label) for action in range(4) for label in (True, False)]
    shares = [float(torch.sigmoid(side * reward)) for reward in REWARD for side in (1, -1)]
    found = descended(KTO(beta=1.0), rows, shares) - REFERENCE.log()
    assert torch.equal(found.argsort(), REWARD.argsort())
