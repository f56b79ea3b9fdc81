"""Going on in a directory that holds a run: what must be the same, what changed, and what is done already."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from framework.files import manifest, read_json

_GONE = object()


def differences(earlier: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What makes two plans (``plan.json``) give other results, by key, with both values; empty where nothing does."""
    if earlier["plan_key"] == now["plan_key"]:
        return []
    old, new = earlier["stages"], now["stages"]
    if [stage["name"] for stage in old] != [stage["name"] for stage in new]:
        return [_changed("stage.order", [stage["kind"] for stage in old], [stage["kind"] for stage in new])]
    found: list[str] = []
    for before, after in zip(old, new, strict=True):
        if before["key"] != after["key"]:
            found += _in_stage(before, after, earlier["model"], now["model"])
    return list(dict.fromkeys(found)) or ["eval.suites, or the items that they read, changed"]


def _in_stage(old: dict[str, Any], new: dict[str, Any], model: dict[str, Any], now: dict[str, Any]) -> list[str]:
    kind = new["kind"]
    before, after = _flat(old.get("inputs", {})), _flat(new["inputs"])
    found: list[str] = []
    for name in dict.fromkeys([*before, *after]):
        was, is_ = before.get(name, _GONE), after.get(name, _GONE)
        if was == is_:
            continue
        if name == "data":
            found.append(_data(kind, old["sources"], new["sources"]))
        elif name == "parent":
            if model["fingerprint"] != now["fingerprint"]:
                found.append(_changed("model", model["name"], now["name"]) + " (its files differ)")
        elif name == "code":
            found.append(f"the training code changed (version {was}, now {is_})")
        else:
            found.append(_changed(_key(name, kind), was, is_))
    return found


def _key(name: str, kind: str) -> str:
    """The configuration's key for an input of a stage."""
    head, _, rest = name.partition(".")
    if head == "settings":
        return f"stage.{kind}.{rest}"
    if head == "objective":
        return f"align.{rest}" if kind == "align" else f"the objective's {rest}"
    return {"dtype": "model.dtype", "micro_tokens": f"stage.{kind}.batch.micro_tokens"}.get(name, name)


def _changed(key: str, was: Any, is_: Any) -> str:
    shown = ["not there" if value is _GONE else str(value) for value in (was, is_)]
    return f"{key} was {shown[0]} and is {shown[1]}"


def _data(kind: str, old: dict[str, Any], new: dict[str, Any]) -> str:
    gone, come = sorted(old.keys() - new.keys()), sorted(new.keys() - old.keys())
    other = sorted(name for name in old.keys() & new.keys() if old[name]["fingerprint"] != new[name]["fingerprint"])
    parts = [
        f"{what} {', '.join(names)}" for what, names in (("without", gone), ("with", come), ("rows differ in", other))
    ]
    said = "; ".join(part for part, names in zip(parts, (gone, come, other), strict=True) if names)
    return f"data.{kind} changed ({said or 'its mix, its length or the way its rows are read'})"


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            flat |= _flat(cast("dict[str, Any]", value), f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def finished_here(folder: Path, key: str) -> dict[str, Any] | None:
    """The ``stage.json`` of a stage that this run directory holds whole: trained under this key, files as written.

    The store may have lost it, or could never be written.
    """
    try:
        done: dict[str, Any] = read_json(folder / "stage.json")
        if done["key"] == key and done["status"] != "failed" and done["files"] == manifest(folder / "model"):
            return done
    except (OSError, ValueError, KeyError):
        return None
    return None


def damaged(model: Path, files: dict[str, str]) -> list[str]:
    """The files of a stage's ``model/`` that are not what the worker wrote."""
    found = manifest(model)
    return [name for name in sorted(files.keys() | found.keys()) if files.get(name) != found.get(name)]
