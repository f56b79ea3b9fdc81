"""The configuration as users meet it: every choice composes, is explained, and every documented command parses."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast, get_args

import pytest
from pydantic import BaseModel

from framework.compose import CONF, Composed, compose, groups
from framework.errors import ConfigError
from framework.help import help_text
from framework.paths import PROJECT, resolve
from framework.registry import component, kinds
from framework.schema import Config, Kind

README = (PROJECT / "README.md").read_text(encoding="utf-8")
DOCS = {path.name: path.read_text(encoding="utf-8") for path in sorted((PROJECT / "docs").glob("*.md"))}
PLUGINS = ("adapters", "checks", "converters", "launchers", "objectives", "sources", "suites")
NEEDED = {
    # What a choice asks its user for.
    ("data", "files"): [f"data.{kind}.sources.mine.path=rows.jsonl" for kind in get_args(Kind)],
    ("model", "path"): ["model.path=somewhere"],
}
CHOICES = [(group, choice) for group, choices in groups().items() for choice in choices if group != "training"]
YAMLS = sorted(CONF.rglob("*.yaml"))


def arguments_of(command: str) -> list[str]:
    """What follows ``python train.py``, with the placeholders of the documentation filled in."""
    words = shlex.split(command.partition("#")[0])
    assert words[:2] == ["python", "train.py"], command
    return words[2:]


def documented() -> Iterator[str]:
    """Every command line of the documentation, one by one."""
    for text in (help_text(), README, *DOCS.values()):
        for line in re.findall(r"python train\.py[^\n`|]*", text):
            if "do=VERB" not in line and "--help" not in line:
                yield line.strip().rstrip(".,;")


def sections(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Every section of the configuration below a model, plug-ins apart, with its dotted path."""
    yield path, model
    for name, field in model.model_fields.items():
        for inner in _models(field.annotation):
            yield from sections(inner, f"{path}.{name}".lstrip("."))


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]


@pytest.mark.parametrize(("group", "choice"), CHOICES, ids=lambda value: str(value))
def test_every_choice_composes(group: str, choice: str) -> None:
    composed = compose([f"{group}={choice}", *NEEDED.get((group, choice), [])])
    assert composed.choices[group] == choice


@pytest.mark.parametrize("file", YAMLS, ids=lambda path: str(path.relative_to(CONF)))
def test_every_file_says_when_to_choose_it(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    # Hydra wants a package directive on the first line.
    first = next(line for line in lines if not line.startswith("# @package"))
    assert first.startswith("# ")
    assert first.rstrip().endswith(".")
    assert len(first.split()) >= 4


@pytest.mark.parametrize(("group", "choice"), CHOICES, ids=lambda value: str(value))
def test_help_and_readme_name_every_choice(group: str, choice: str) -> None:
    section = help_text().partition(f"\n{group}=\n")[2].partition("\n\n")[0]
    assert re.search(rf"^  {choice} +\S", section, re.MULTILINE)
    row = next(line for line in README.splitlines() if line.startswith(f"| `{group}` |"))
    assert f"`{choice}`" in row


def test_there_are_documented_commands() -> None:
    assert len(list(documented())) >= 10


@pytest.mark.parametrize("command", list(dict.fromkeys(documented())))
def test_documented_commands_parse(command: str) -> None:
    composed = compose(arguments_of(command))
    assert isinstance(composed, Composed)


def test_default_run_is_what_is_promised() -> None:
    composed = compose([])
    promised = {
        "model": "smollm2_135m", "stage": "full", "data": "legal", "adapter": "lora", "align": "dpo",
        "engine": "zero1", "launch": "local", "tracker": "wandb", "eval": "legal",
    }  # fmt: skip
    assert {group: composed.choices[group] for group in promised} == promised
    assert composed.config.stage.order == ["instruct", "domain", "align"]


@pytest.mark.parametrize("choice", groups()["eval"])
def test_bundled_items_can_be_read(choice: str) -> None:
    for name, suite in compose([f"eval={choice}"]).config.eval.suites.items():
        assert resolve(suite.path).is_file(), name
        assert len(suite.load()) > 0, name


def test_bundled_sources_exist() -> None:
    data = compose(["data=legal"]).config.data
    for kind in get_args(Kind):
        assert data.of(kind).sources
        assert all(source.files() for source in data.of(kind).sources.values())


@pytest.mark.parametrize("group", ["adapter", "align", "reward", "launch"])
def test_every_plugin_has_its_yaml(group: str) -> None:
    folder = {"adapter": "adapters", "launch": "launchers"}.get(group, "objectives")
    offered = set(kinds(folder))
    if folder == "objectives":
        found = {kind: cast("Any", component(folder, kind)) for kind in offered}
        offered = {kind for kind, it in found.items() if it.unit != "tokens" and it.scores == (group == "reward")}
    chosen = {compose([f"{group}={choice}"]).config.public()[group]["kind"] for choice in groups()[group]}
    assert offered == chosen


def test_every_method_of_align_is_explained() -> None:
    first_cells = re.findall(r"^\| `(\w+)` \|", DOCS["objectives.md"], re.MULTILINE)
    assert {*groups()["align"], *groups()["reward"]} <= set(first_cells)


def test_every_key_is_documented() -> None:
    text = DOCS["configuration.md"] + DOCS["contracts.md"]
    missing: list[str] = []
    for path, section in sections(Config):
        missing += [f"{path}.{name}" for name in section.model_fields if not _documented(text, name)]
    for folder in PLUGINS:
        for kind in kinds(folder):
            fields = component(folder, kind).model_fields
            missing += [f"{folder}/{kind}: {name}" for name in fields if not _documented(text, name)]
    assert not missing


def _documented(text: str, name: str) -> bool:
    """Whether a key stands in backticks, by itself or at the end of a dotted path."""
    return re.search(rf"`(?:[\w.]+\.)?{re.escape(name)}(?:=[^`]*)?`", text) is not None


def test_documentation_names_no_unknown_key() -> None:
    """Dotted paths in the table's first column exist."""
    known = {f"{path}.{name}".lstrip(".") for path, section in sections(Config) for name in section.model_fields}
    folders = {"adapter": "adapters", "align": "objectives", "reward": "objectives", "launch": "launchers"}
    for group, folder in folders.items():
        known |= {f"{group}.{name}" for kind in kinds(folder) for name in component(folder, kind).model_fields}
    known |= {re.sub(r"^(stage|data)\.(?:instruct|domain|align|reward)\.", r"\1.STAGE.", key) for key in known}
    rows = re.findall(r"^\| `([a-zA-Z_.]+)` \|", DOCS["configuration.md"], re.MULTILINE)
    dotted = [row for row in rows if "." in row and "NAME" not in row]
    assert len(dotted) > 30
    assert not [row for row in dotted if row not in known]


def test_every_suite_kind_and_check_is_documented() -> None:
    for kind in kinds("suites"):
        assert f"## `{kind}`" in DOCS["evaluation.md"]
    for code in kinds("checks"):
        assert f"| {code.upper()} |" in DOCS["contracts.md"]


@pytest.mark.parametrize("text", [README, *DOCS.values()], ids=["README.md", *DOCS])
def test_links_lead_somewhere(text: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if "://" not in target and not target.endswith(".png"):
            assert any((base / target).exists() for base in (PROJECT, PROJECT / "docs")), target


def test_the_readme_has_two_set_up_commands() -> None:
    first_lines = re.findall(r"^```\w*\n(.*)$", README, re.MULTILINE)
    assert [line for line in first_lines if line.startswith("pip ")] == [
        "pip install -e . && python train.py",
        "pip install -e '.[test]' && pytest",
    ]


def test_tools_are_pinned_once() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    pinned = next(line for line in project["project"]["optional-dependencies"]["test"] if line.startswith("ruff=="))
    hooks = (PROJECT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert f"rev: v{pinned.removeprefix('ruff==')}\n" in hooks


@pytest.mark.parametrize("wrong", ["adapterr=lora", "adapter=lorra", "stage.domain.lrr=1", "stage.domain.lr=fast"])
def test_a_mistake_names_its_key(wrong: str) -> None:
    with pytest.raises(ConfigError) as raised:
        compose([wrong])
    key = wrong.partition("=")[0]
    assert any(problem.path == key and problem.fix for problem in raised.value.problems)


@pytest.mark.parametrize("unreadable", ["adapter.r", "a=`", "a={b", "stage.order=[domain", "", "--x=1"])
def test_what_cannot_be_read_is_a_message(unreadable: str) -> None:
    with pytest.raises(ConfigError) as raised:
        compose([unreadable])
    assert any(repr(unreadable) in problem.message for problem in raised.value.problems)
