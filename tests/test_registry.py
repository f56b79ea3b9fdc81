"""Plug-ins: a file is a kind, and the file's name is the class's."""

from __future__ import annotations

import subprocess
import sys
from typing import get_args

import pytest
from pydantic import ValidationError

from framework.adapters.lora import LoRA
from framework.paths import PROJECT
from framework.registry import Component, component, kinds

FOLDERS = ("adapters", "converters", "launchers", "objectives", "sources", "suites")
PLUGINS = [(folder, kind) for folder in FOLDERS for kind in kinds(folder)]


@pytest.mark.parametrize(("folder", "kind"), PLUGINS, ids=lambda value: str(value))
def test_every_file_is_a_plugin(folder: str, kind: str) -> None:
    found = component(folder, kind)
    assert issubclass(found, Component) and found.folder == folder
    assert get_args(found.model_fields["kind"].annotation) == (kind,)
    assert not getattr(found, "__abstractmethods__", None)
    assert found.__doc__ and found.model_config["extra"] == "forbid" and found.model_config["frozen"]


def test_private_files_and_bases_are_no_kinds() -> None:
    assert not [kind for folder in FOLDERS for kind in kinds(folder) if kind.startswith("_") or kind == "base"]
    with pytest.raises(KeyError, match="has no kind 'nope'; it has"):
        component("adapters", "nope")


def test_settings_are_strict() -> None:
    for wrong in ({"r": "16"}, {"r": 16.0}, {"rank": 16}, {"alpha": float("inf")}):
        with pytest.raises(ValidationError):
            LoRA.model_validate(wrong)
    with pytest.raises(ValidationError, match="frozen"):
        LoRA().r = 3  # type: ignore[misc]


def test_plugins_import_nothing_heavy() -> None:
    code = "import sys; from framework.registry import component, kinds\n"
    code += f"for folder in {FOLDERS!r}:\n for kind in kinds(folder): component(folder, kind)\n"
    code += "print({'torch', 'transformers', 'peft', 'deepspeed', 'wandb', 'datasets', 'pyarrow'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"
