"""Losses worked out by hand, and what must hold of each whatever the numbers are."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, cast

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from framework.objectives.apo_down import APODown
from framework.objectives.apo_zero import APOZero
from framework.objectives.base import Loss, Objective, Targets
from framework.objectives.bco import BCO
from framework.objectives.bradley_terry import BradleyTerry
from framework.objectives.cdpo import ConservativeDPO
from framework.objectives.cpo import CPO
from framework.objectives.dpo import DPO
from framework.objectives.hinge import Hinge
from framework.objectives.ipo import IPO
from framework.objectives.kto import KTO
from framework.objectives.odpo import OffsetDPO
from framework.objectives.orpo import ORPO
from framework.objectives.robust_dpo import RobustDPO
from framework.objectives.sft_chosen import SupervisedChosen
from framework.objectives.simpo import SimPO
from framework.registry import component, kinds

OBJECTIVES = {kind: cast("Any", component("objectives", kind)) for kind in kinds("objectives")}
METHODS = [kind for kind, found in OBJECTIVES.items() if found.unit != "tokens" and not found.scores]
PAIRED = [kind for kind in METHODS if cast("Any", component("objectives", kind)).unit == "pairs"]


def made(kind: str) -> Objective:
    return cast("Objective", component("objectives", kind)())


def targets(lengths: list[int], reference: list[float] | None = None, anchor: float = 0.0) -> Targets:
    sequence = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    known = torch.tensor(reference) if reference is not None else torch.zeros(len(lengths))
    sizes = torch.tensor(lengths, dtype=torch.float32)
    return Targets(torch.zeros_like(sequence), sequence, len(lengths) // 2, known, sizes, torch.tensor(anchor))


def even(sums: list[float], lengths: list[int]) -> Tensor:
    """Token log-probabilities whose sums are these."""
    return torch.cat([torch.full((n,), total / n) for total, n in zip(sums, lengths, strict=True)])


def mean(loss: Loss, name: str) -> float:
    total, count = loss.sums[name].tolist()
    return total / count


# One pair: log pi is -2 for the chosen response of 2 tokens and -6 for the rejected one of 3; log ref is -4 and -5.
# The log-ratios are 2 and -1, their difference is 3; per token they are 1 and -1/3, with the difference 4/3.
# The log-probabilities per token are -1 and -2.
LENGTHS, POLICY, REFERENCE = [2, 3], [-2.0, -6.0], [-4.0, -5.0]


def softplus(x: float) -> float:
    """-log sigmoid(-x)."""
    return math.log1p(math.exp(x))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


BY_HAND: list[tuple[Objective, float]] = [
    # -log sigmoid(0.5 * 3) = log(1 + e^-1.5)
    (DPO(beta=0.5), math.log(1 + math.exp(-1.5))),
    # ... plus 0.2 of 1, the negative log-likelihood per chosen token
    (DPO(beta=0.5, sft_weight=0.2), math.log(1 + math.exp(-1.5)) + 0.2),
    # -log sigmoid(3 * 4/3)
    (DPO(beta=3.0, length_normalised=True), math.log(1 + math.exp(-4))),
    # 0.9 of the loss at the margin 1.5, 0.1 of that at -1.5
    (ConservativeDPO(beta=0.5, label_smoothing=0.1), 0.9 * softplus(-1.5) + 0.1 * softplus(1.5)),
    # (0.9 * L(1.5) - 0.1 * L(-1.5)) / 0.8
    (RobustDPO(beta=0.5, label_smoothing=0.1), (0.9 * softplus(-1.5) - 0.1 * softplus(1.5)) / 0.8),
    # (4/3 - 1 / (2 * 0.5))^2 = (1/3)^2
    (IPO(beta=0.5), 1 / 9),
    # 1 - 0.1 * 3, and nothing beyond the margin of 1
    (Hinge(beta=0.1), 0.7),
    (Hinge(beta=0.5), 0.0),
    # 2 * (-1 - -2) - 0.5 = 1.5
    (SimPO(beta=2.0, gamma=0.5), math.log(1 + math.exp(-1.5))),
    # 0.25 * (-2 - -6) = 1, plus the negative log-likelihood per chosen token, 1
    (CPO(beta=0.25), math.log(1 + math.exp(-1)) + 1),
    # p is 1/e and 1/e^2, odds are 1 / (e - 1) and 1 / (e^2 - 1), their ratio is e + 1: sigmoid(log(e + 1)) is
    # (e + 1) / (e + 2)
    (ORPO(beta=0.1), 1 + 0.1 * math.log((math.e + 2) / (math.e + 1))),
    # 1 - sigmoid(0.5 * 2) + sigmoid(0.5 * -1)
    (APOZero(beta=0.5), 1 - sigmoid(1) + sigmoid(-0.5)),
    # sigmoid(0.5 * 2) + 1 - sigmoid(0.5 * 3)
    (APODown(beta=0.5), sigmoid(1) + 1 - sigmoid(1.5)),
    (SupervisedChosen(), 1.0),
    # With a KL of 0.5: 1 - sigmoid(0.5 * (2 - 0.5)) and 1 - sigmoid(0.5 * (0.5 - -1)), summed over two responses
    (KTO(beta=0.5), 2 * (1 - sigmoid(0.75))),
    (KTO(beta=0.5, desirable_weight=2.0, undesirable_weight=0.5), 2.5 * (1 - sigmoid(0.75))),
    # With a shift of 0.5: -log sigmoid(0.5 * 2 - 0.5) and -log sigmoid(0.5 - 0.5 * -1)
    (BCO(beta=0.5), softplus(-0.5) + softplus(-1.0)),
]


@pytest.mark.parametrize(("objective", "expected"), BY_HAND, ids=lambda value: getattr(value, "kind", ""))
def test_losses_worked_out_by_hand(objective: Objective, expected: float) -> None:
    loss = objective.loss(even(POLICY, LENGTHS), targets(LENGTHS, REFERENCE, anchor=0.5))
    assert float(loss.total) == pytest.approx(expected, abs=1e-6)


def test_a_reward_model_worked_out_by_hand() -> None:
    # Scores 2 and -1, then 0.5 and 1: leads 3 and -0.5, of which the margins 1 and 0 are to be won.
    scores = torch.tensor([2.0, -1.0, 0.5, 1.0])
    there = replace(targets([2, 3, 1, 4]), margins=torch.tensor([1.0, 0.0]))
    plain = BradleyTerry().loss(scores, there)
    assert float(plain.total) == pytest.approx(softplus(-2.0) + softplus(0.5), abs=1e-6)
    assert plain.per_unit.tolist() == pytest.approx([softplus(-2.0), softplus(0.5)], abs=1e-6)
    # Twice the margins; and 0.1 of the squares of 2 - 1 and 0.5 + 1.
    centred = BradleyTerry(margin_scale=2.0, centring=0.1).loss(scores, there)
    assert float(centred.total) == pytest.approx(softplus(-1.0) + softplus(0.5) + 0.1 * (1 + 2.25), abs=1e-6)
    assert float(BradleyTerry().loss(scores, targets([2, 3, 1, 4])).total) == pytest.approx(
        softplus(-3.0) + softplus(0.5), abs=1e-6
    )
    expected = {
        "reward_chosen": 1.25,
        "reward_rejected": 0.0,
        "reward_margin": 1.25,
        "reward_accuracy": 0.5,
        "length_chosen": 1.5,
        "length_rejected": 3.5,
        "margin": 0.5,
    }
    assert {name: mean(plain, name) for name in plain.sums} == pytest.approx(expected)


def test_an_offset_worked_out_by_hand() -> None:
    # DPO's difference 0.5 * 3, of which 0.25 * 2 is to be won; rewards are shown as they are.
    there = replace(targets(LENGTHS, REFERENCE), margins=torch.tensor([2.0]))
    loss = OffsetDPO(beta=0.5, alpha=0.25).loss(even(POLICY, LENGTHS), there)
    assert float(loss.total) == pytest.approx(softplus(-1.0), abs=1e-6)
    assert mean(loss, "reward_margin") == pytest.approx(1.5)
    without = DPO(beta=0.5).loss(even(POLICY, LENGTHS), there)
    assert float(without.total) == pytest.approx(softplus(-1.5), abs=1e-6)


def test_metrics_worked_out_by_hand() -> None:
    # Two pairs with rewards (1, -0.5) and (0, 1): margins 1.5 and -1, one of two right.
    sums, reference = [-2.0, -6.0, -3.0, -1.0], [-4.0, -5.0, -3.0, -3.0]
    loss = DPO(beta=0.5, sft_weight=1.0).loss(even(sums, [2, 3, 1, 4]), targets([2, 3, 1, 4], reference))
    expected = {
        "reward_chosen": 0.5,
        "reward_rejected": 0.25,
        "reward_margin": 0.25,
        "reward_accuracy": 0.5,
        "logps_chosen": -2.5,
        "logps_rejected": -3.5,
        "length_chosen": 1.5,
        "length_rejected": 3.5,
        "sft_loss": 2.0,
    }
    assert {name: mean(loss, name) for name in loss.sums} == pytest.approx(expected)


def test_metrics_of_judged_responses_worked_out_by_hand() -> None:
    # Three prompts: a desirable response, an undesirable one, a pair. Rewards (log-ratios by 0.5) are 1; -0.5; 0, 1.
    lengths = [2, 0, 0, 3, 1, 4]
    sums, reference = [-2.0, 0.0, 0.0, -6.0, -3.0, -1.0], [-4.0, 0.0, 0.0, -5.0, -3.0, -3.0]
    logps = torch.cat([torch.full((n,), total / n) for total, n in zip(sums, lengths, strict=True) if n])
    loss = KTO(beta=0.5).loss(logps, targets(lengths, reference, anchor=0.5))
    # The point is 0.25: the rewards 1 and -0.5 are on their side of it, 0 and 1 are not.
    means = KTO().derived({name: mean(loss, name) for name in loss.sums})
    expected = {
        "reward_chosen": 0.5,
        "reward_rejected": 0.25,
        "reward_margin": 0.25,
        "reward_accuracy": 0.5,
        "kl": 0.5,
        "logps_chosen": -2.5,
        "logps_rejected": -3.5,
        "length_chosen": 1.5,
        "length_rejected": 3.5,
    }
    assert means == pytest.approx(expected)
    assert loss.per_unit[1] == loss.per_unit[2] == 0


def test_a_step_without_undesirable_responses_has_no_margin() -> None:
    assert BCO().derived({"reward_chosen": 1.0}) == {"reward_chosen": 1.0}


@pytest.mark.parametrize("p", [1.0, 1 - 1e-7, 0.5, 1e-30])
def test_odds_of_extreme_probabilities_are_finite(p: float) -> None:
    logps = torch.tensor([math.log(p), -1.0]).requires_grad_(True)
    total = ORPO(beta=1.0).loss(logps, targets([1, 1])).total
    total.backward()
    assert math.isfinite(float(total)) and logps.grad is not None and bool(logps.grad.isfinite().all())


numbers = st.floats(-20, -0.0078125, width=32)
quads = st.tuples(numbers, numbers, numbers, numbers)


def gradient(objective: Objective, sums: list[float], reference: list[float], lengths: list[int]) -> Tensor:
    """Of the loss of one pair, for a token of each response."""
    logps = even(sums, lengths).requires_grad_(True)
    objective.loss(logps, targets(lengths, reference, anchor=0.3)).total.backward()
    assert logps.grad is not None
    return torch.stack([logps.grad[0], logps.grad[-1]])


@pytest.mark.parametrize("kind", METHODS)
@given(quads, st.integers(1, 5), st.integers(1, 5))
def test_gradients_lower_the_rejected_response(kind: str, four: Any, n: int, m: int) -> None:
    """And raise the chosen one; APO-down lowers that too where it is no worse off than by the reference's measure."""
    objective = made(kind)
    chosen, rejected = gradient(objective, [*four[:2]], [*four[2:]], [n, m]).tolist()
    if kind == "ipo":  # beyond its target it pulls both back
        ratio = (four[0] - four[2]) / n - (four[1] - four[3]) / m
        if ratio > 1 / (2 * objective.beta):  # type: ignore[attr-defined]
            chosen, rejected = -chosen, -rejected
    if kind == "cdpo":
        ratio = (four[0] - four[2]) - (four[1] - four[3])
        if objective.beta * ratio > math.log(9):  # type: ignore[attr-defined]
            chosen, rejected = -chosen, -rejected
    assert rejected >= -1e-6
    if kind != "apo_down":
        assert chosen <= 1e-6


@pytest.mark.parametrize("kind", ["dpo", "cdpo", "robust_dpo", "hinge", "ipo", "simpo"])
@given(quads, st.integers(1, 4), st.floats(-3, 3, width=32))
def test_a_shift_of_both_sides_changes_nothing(kind: str, four: Any, n: int, shift: float) -> None:
    """Whatever raises both log-ratios alike (per token, where they are averaged) says nothing of the preference."""
    objective, lengths = made(kind), [n, n]
    own = objective.loss(even([*four[:2]], lengths), targets(lengths, [*four[2:]])).total
    moved = objective.loss(even([value + shift for value in four[:2]], lengths), targets(lengths, [*four[2:]])).total
    assert float(own) == pytest.approx(float(moved), abs=2e-3, rel=1e-4)


@given(quads, st.integers(1, 4), st.integers(1, 4))
def test_swapped_pairs_are_the_other_label(four: Any, n: int, m: int) -> None:
    """cDPO is DPO's mean over flips, and robust DPO's mean over flips is DPO."""
    a, b, c, d = four

    def both(objective: Objective) -> tuple[float, float]:
        straight = objective.loss(even([a, b], [n, m]), targets([n, m], [c, d])).total
        turned = objective.loss(even([b, a], [m, n]), targets([m, n], [d, c])).total
        return float(straight), float(turned)

    straight, turned = both(DPO(beta=0.2))
    smooth, _ = both(ConservativeDPO(beta=0.2, label_smoothing=0.1))
    assert smooth == pytest.approx(0.9 * straight + 0.1 * turned, abs=1e-4)
    robust, flipped = both(RobustDPO(beta=0.2, label_smoothing=0.1))
    assert 0.9 * robust + 0.1 * flipped == pytest.approx(straight, abs=1e-4)


@pytest.mark.parametrize("kind", METHODS)
@given(st.permutations(range(4)), st.tuples(quads, quads, quads, quads))
def test_pairs_are_independent(kind: str, order: list[int], rows: Any) -> None:
    """The loss of a batch is the sum over its pairs, in any order."""
    objective, lengths = made(kind), [2, 3]
    alone = [objective.loss(even([*row[:2]], lengths), targets(lengths, [*row[2:]], anchor=0.2)) for row in rows]
    turned = [rows[at] for at in order]
    together = objective.loss(
        torch.cat([even([*row[:2]], lengths) for row in turned]),
        targets(lengths * 4, [value for row in turned for value in row[2:]], anchor=0.2),
    )
    assert float(together.total) == pytest.approx(sum(float(loss.total) for loss in alone), rel=1e-4, abs=1e-4)
    name = "reward_accuracy"
    assert float(together.sums[name][0]) == pytest.approx(sum(float(loss.sums[name][0]) for loss in alone))


@pytest.mark.parametrize(
    "kind", [kind for kind in PAIRED if cast("Any", component("objectives", kind)).needs_reference]
)
def test_at_the_reference_both_sides_are_worth_nothing(kind: str) -> None:
    loss = made(kind).loss(even(REFERENCE, LENGTHS), targets(LENGTHS, REFERENCE))
    assert mean(loss, "reward_margin") == 0.0 and mean(loss, "reward_accuracy") == 0.5
