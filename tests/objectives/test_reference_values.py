"""Every alignment method's loss and gradient against those of TRL, which ``reference_values.py`` has computed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from framework.objectives.base import Objective, Targets
from framework.registry import component, kinds
from framework.train.anchor import Anchors

FOUND: dict[str, Any] = json.loads(Path(__file__).with_name("reference_values.json").read_text(encoding="utf-8"))
CASES: list[dict[str, Any]] = FOUND["cases"]
BOUND = 1e-5


def name_of(case: dict[str, Any]) -> str:
    return "-".join([case["kind"], case["batch"], *(f"{name}={value}" for name, value in case["settings"].items())])


def targets_of(batch: dict[str, Any], anchor: float) -> Targets:
    """Pairs one after the other; or one response a prompt, in the place that its label gives it."""
    lengths = batch["lengths"]
    places = list(range(len(lengths)))
    if "labels" in batch:
        places = [2 * at + (not label) for at, label in enumerate(batch["labels"])]
    count = 2 * len(lengths) if "labels" in batch else len(lengths)
    reference, sizes = torch.zeros(count), torch.zeros(count)
    reference[places] = torch.tensor(batch["reference"])
    sizes[places] = torch.tensor(lengths, dtype=torch.float32)
    sequence = torch.repeat_interleave(torch.tensor(places), torch.tensor(lengths))
    margins = torch.tensor(batch["margins"]) if "margins" in batch else None
    return Targets(torch.zeros_like(sequence), sequence, count // 2, reference, sizes, torch.tensor(anchor), margins)


def anchor_of(case: dict[str, Any], batch: dict[str, Any]) -> float:
    """BCO's shift as TRL tells it; KTO's KL by the definition."""
    if case["kind"] == "kto":
        ratios = [new - old for new, old in zip(batch["exchanged"], batch["exchanged_reference"], strict=True)]
        return max(0.0, sum(ratios) / len(ratios))
    return case.get("anchor", 0.0)


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_loss_and_gradient_are_those_of_trl(case: dict[str, Any]) -> None:
    batch = FOUND["batches"][case["batch"]]
    objective = cast("Objective", component("objectives", case["kind"]).model_validate(case["settings"]))
    logps = torch.tensor(batch["logps"]).requires_grad_(True)
    targets = targets_of(batch, anchor_of(case, batch))
    units = int((targets.lengths > 0).sum()) if objective.unit == "responses" else targets.pairs
    loss = objective.loss(logps, targets)
    mean = loss.total / units
    mean.backward()
    assert logps.dtype == torch.float32 and logps.grad is not None
    assert mean.item() == pytest.approx(case["loss"], abs=BOUND)
    torch.testing.assert_close(logps.grad, torch.tensor(case["gradient"]), atol=BOUND, rtol=0)
    assert float(logps.grad.abs().max()) > 100 * BOUND, "the gradient is too small to tell anything"
    assert float(loss.per_unit.sum()) == pytest.approx(float(loss.total), rel=1e-5)


def test_every_method_has_a_case() -> None:
    methods = {kind for kind in kinds("objectives") if cast("Any", component("objectives", kind)).unit != "tokens"}
    assert methods == {case["kind"] for case in CASES}


def test_the_kl_is_seen_on_both_sides_of_zero() -> None:
    found = {anchor_of(case, FOUND["batches"][case["batch"]]) for case in CASES if case["kind"] == "kto"}
    assert 0.0 in found and max(found) > 0.5


def test_the_running_shift_is_that_of_trl() -> None:
    """TRL counts a batch in before its loss, we after it: its shift is ours for the step that follows."""
    case = next(case for case in CASES if case["kind"] == "bco" and case.get("anchor") and "1.8.0" in case["versions"])
    shifts = [one["anchor"] for one in CASES if one["kind"] == "bco" and "1.8.0" in one["versions"]]
    batch = FOUND["batches"][case["batch"]]
    objective = cast("Objective", component("objectives", "bco").model_validate(case["settings"]))
    own = objective.loss(torch.tensor(batch["logps"]), targets_of(batch, 0.0)).sums
    for before, expected in zip(([], FOUND["before"]), shifts, strict=True):
        anchors = Anchors(objective, cast("Any", None), cast("Any", None), None, torch.device("cpu"))
        assert float(anchors.before(0)) == 0.0
        for rewards in before:
            anchors.after({"reward_chosen": (sum(rewards[:2]), 2), "reward_rejected": (sum(rewards[2:]), 2)})
        anchors.after({name: (float(value[0]), float(value[1])) for name, value in own.items()})
        again = Anchors(objective, cast("Any", None), cast("Any", None), None, torch.device("cpu"))
        again.restore(json.loads(json.dumps(anchors.state())))
        assert float(again.before(1)) == pytest.approx(expected, abs=1e-6)
