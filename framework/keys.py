"""Keys: hashes of all that determines a result, so that equal keys mean equal results."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from framework import CODE_VERSION
from framework.data.cache import file_digest
from framework.judges.refusal import VERSION as JUDGES
from framework.objectives.base import Objective
from framework.paths import resolve
from framework.schema import Config, Kind, Stage
from framework.suites.base import Suite


def _hash(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def stage_inputs(
    config: Config, kind: Kind, settings: Stage, objective: Objective, data: str, parent: str, micro_tokens: int
) -> dict[str, Any]:
    """All that determines a stage's weights, as plain values.

    The engine and the number of processes are left out: they change the order of floating-point sums, not what is
    computed, and a stage trained elsewhere must be found again.
    """
    trained = settings.model_dump(mode="json", exclude={"batch": {"micro_tokens"}})
    return {
        "code": CODE_VERSION,
        "kind": kind,
        "settings": trained,
        "micro_tokens": micro_tokens,
        "objective": objective.model_dump(mode="json"),
        "adapter": config.adapter_of(kind).model_dump(mode="json"),
        "dtype": config.model.dtype,
        "data": data,
        "parent": parent,
        "seed": config.seed,
    }


def stage_key(inputs: dict[str, Any]) -> str:
    """Of what ``stage_inputs`` gives."""
    return _hash(inputs)


def evaluation_key(suites: Mapping[str, Suite]) -> str:
    """Of the suites, the content of their items and of the models that they ask, and the version of the judge."""
    settings = {name: suite.model_dump(mode="json") for name, suite in suites.items()}
    items = {name: file_digest(resolve(suite.path)) for name, suite in suites.items()}
    found: dict[str, Any] = {"code": CODE_VERSION, "judges": JUDGES, "suites": settings, "items": items}
    asked = {name: [file_digest(file) for file in files] for name, suite in suites.items() if (files := suite.asks())}
    return _hash(found | ({"asked": asked} if asked else {}))


def plan_key(stages: list[str], evaluation: str) -> str:
    """Of a whole run."""
    return _hash({"stages": stages, "evaluation": evaluation})
