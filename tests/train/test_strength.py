"""A stage of which a share is taken: its weights lie between those it began with and those it trained."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from framework.registry import kinds
from framework.stagefile import StageFile, extended
from framework.train.lm import materialise, trainable
from framework.train.training import save_stage
from tests.train.setting import Setting

LINEAR = [kind for kind in kinds("adapters") if kind != "dora"]


def saved(setting: Setting, order: StageFile, model: Any, strength: float) -> dict[str, Tensor]:
    """The weights that the next stage gets."""
    order = order.model_copy(update={"stage": order.stage.model_copy(update={"strength": strength})})
    folder = setting.folder / f"strength-{strength}"
    save_stage(model, order, folder)
    whole = materialise(setting.model, extended(order.lineage, order.adapter, folder), order.model.dtype)
    return {name: weight.detach() for name, weight in whole.named_parameters()}


def learn(model: Any) -> None:
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(0.05 * torch.randn_like(weight))


def distances(some: dict[str, Tensor], others: dict[str, Tensor]) -> dict[str, float]:
    return {name: float((weight - others[name]).norm()) for name, weight in some.items()}


@pytest.mark.parametrize("kind", LINEAR)
def test_weights_lie_on_the_line_between_start_and_trained(setting: Setting, kind: str) -> None:
    order = setting.order(kind)
    model = trainable(order, setting.device)
    began = saved(setting, order, model, 0.99)  # nothing is learnt yet: the start, for qlora in 4 bits
    learn(model)
    trained = saved(setting, order, model, 1.0)
    for name, weight in saved(setting, order, model, 0.6).items():
        expected = began[name] + 0.6 * (trained[name] - began[name])
        torch.testing.assert_close(weight, expected, rtol=0, atol=2e-6, msg=name)
    moved = distances(trained, began)
    assert sum(value > 0 for value in moved.values()) >= 14  # seven matrices in each of two blocks


@pytest.mark.parametrize("going_on", [False, True])
@pytest.mark.parametrize("kind", ["dora", "lora"])
def test_what_is_interpolated_in_its_own_parameters_lies_between(setting: Setting, kind: str, going_on: bool) -> None:
    order = setting.order(kind)
    if going_on:
        first = trainable(order, setting.device)
        learn(first)
        save_stage(first, order, setting.folder / "earlier")
        lineage = extended([], order.adapter, setting.folder / "earlier")
        order = setting.order(kind, lineage=lineage, between="continue")
    began = {
        name: weight.detach()
        for name, weight in materialise(setting.model, order.lineage, order.model.dtype).named_parameters()
    }
    model = trainable(order, setting.device)
    learn(model)
    trained = saved(setting, order, model, 1.0)
    far, near = saved(setting, order, model, 0.7), saved(setting, order, model, 0.001)
    whole, left, first_steps = distances(trained, began), distances(trained, far), distances(near, began)
    for name in (name for name, value in whole.items() if value > 0):
        assert first_steps[name] < 0.01 * whole[name], name
        assert 0.1 * whole[name] < left[name] < 0.5 * whole[name], name
