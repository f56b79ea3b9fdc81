"""From a command line to a typed configuration: Hydra composes plain YAML, one strict parse does the rest.

Hydra alone stops at the first unknown key and knows no types, and OmegaConf's typed dicts refuse new keys from the
command line. So value overrides are handed to Hydra as forced additions, and the parse into frozen objects reports
everything that is wrong at once, each problem with its dotted path, its origin and a suggestion.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from framework.errors import ConfigError, Problem
from framework.paths import PROJECT
from framework.registry import Plugin, component, kinds
from framework.schema import Config
from framework.sources._kinds import kind_of

CONF = PROJECT / "conf"


@dataclass(frozen=True, slots=True)
class Composed:
    """A parsed configuration, and what it was made from."""

    config: Config
    overrides: tuple[str, ...]
    given: frozenset[str]
    """Dotted paths that the command line set."""
    choices: dict[str, str]
    """The choice of each group, as Hydra names them."""

    def origin(self, path: str) -> str:
        """The file that a key comes from, or ``command line``."""
        return _origin(path, self.given, self.choices)


def groups() -> dict[str, list[str]]:
    """The choices of every group, by folder."""
    return {
        folder.name: sorted(file.stem for file in folder.glob("*.yaml"))
        for folder in sorted(CONF.iterdir())
        if folder.is_dir()
    }


def suggest(name: str, known: Iterable[str], what: str = "it") -> str:
    """``did you mean X?`` when something is near, else what there is."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=2, cutoff=0.6)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"{what} can be: {', '.join(names)}" if names else ""


def compose(arguments: list[str]) -> Composed:
    """Compose and parse. Raises ``ConfigError`` with all problems that can be told apart."""
    overrides, given, problems = _read_overrides(arguments)
    if problems:
        # Keys can be judged although a choice cannot: go on without what is broken, to report both at once.
        try:
            _parse(*_compose_tree(overrides), given=given)
        except ConfigError as error:
            problems += error.problems
        raise ConfigError(problems)
    tree, choices = _compose_tree(overrides)
    return Composed(_parse(tree, choices, given), tuple(arguments), given, choices)


def _read_overrides(arguments: list[str]) -> tuple[list[str], frozenset[str], list[Problem]]:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    parser = OverridesParser.create()
    available = groups()
    accepted: list[str] = []
    given: set[str] = set()
    problems: list[Problem] = []
    for argument in arguments:
        try:
            override = parser.parse_override(argument)
        except HydraException as error:
            reason = str(error).splitlines()[0]
            fix = "write key=value or group=choice; quote values that hold spaces, commas or brackets"
            problems.append(Problem("", f"cannot read {argument!r}: {reason}", fix, "command line"))
            continue
        key = override.key_or_group
        if key.split(".")[0] == "hydra":
            fix = "remove it; the settings of this project are listed by --help"
            problems.append(Problem(key, "settings of Hydra itself are fixed", fix, "command line"))
        elif override.is_sweep_override():
            problems.append(
                Problem(key, "names several values", "give one value; sweeps are not there yet", "command line")
            )
        elif key in available and override.package is None and not override.is_delete():
            choice = override.value()
            if not isinstance(choice, str) or choice not in available[key]:
                fix = suggest(str(choice), available[key], key)
                problems.append(Problem(key, f"there is no {key}={choice}", fix, "command line"))
            else:
                accepted.append(argument)
        elif override.is_delete():
            accepted.append(argument)
        elif "/" in key or override.package is not None:
            fix = suggest(key.split("/")[0], available, "a group")
            problems.append(Problem(key, "there is no such group", fix, "command line"))
        else:
            # Forced, so that Hydra leaves the judgement of keys to the strict parse.
            accepted.append("++" + argument.lstrip("+"))
            given.add(key)
    return accepted, frozenset(given), problems


def _compose_tree(overrides: list[str]) -> tuple[dict[str, Any], dict[str, str]]:
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
            node = hydra_compose("config", overrides=overrides, return_hydra_config=True)
        choices = {str(key): str(value) for key, value in node.hydra.runtime.choices.items()}
        OmegaConf.set_struct(node, False)
        node.pop("hydra")
        tree = cast("dict[str, Any]", OmegaConf.to_container(node, resolve=True))
    except (HydraException, OmegaConfBaseException) as error:
        message = " ".join(str(error).split())
        raise ConfigError([Problem("", message, "see --help for groups and keys", "conf/config.yaml")]) from None
    return tree, choices


def _parse(tree: dict[str, Any], choices: dict[str, str], given: frozenset[str]) -> Config:
    problems = list(_infer_source_kinds(tree, given, choices))
    if tree.get("name") is None:
        tree["name"] = choices.get("data", "run")
    try:
        config = Config.model_validate(tree)
    except ValidationError as error:
        problems += [_problem(detail, given, choices) for detail in error.errors()]
        raise ConfigError(problems) from None
    if problems:
        raise ConfigError(problems)
    return config


def _infer_source_kinds(tree: dict[str, Any], given: frozenset[str], choices: dict[str, str]) -> Iterator[Problem]:
    """Sources may leave their kind to the file's ending: fill it in, or say that it cannot be told."""
    data = tree.get("data")
    if not isinstance(data, dict):
        return
    for stage, section in cast("dict[str, Any]", data).items():
        sources = section.get("sources") if isinstance(section, dict) else None
        if not isinstance(sources, dict):
            continue
        for name, source in cast("dict[str, Any]", sources).items():
            if not isinstance(source, dict) or "kind" in source:
                continue
            settings = cast("dict[str, Any]", source)
            path = f"data.{stage}.sources.{name}"
            where = settings.get("path")
            kind = _kind_of_path(where) if isinstance(where, str) else None
            if kind is None:
                message = f"the kind of source cannot be told from path {where!r}" if where else "has no path"
                fix = f"set {path}.path=FILE, or {path}.kind to one of {', '.join(kinds('sources'))}"
                yield Problem(path, message, fix, _origin(path, given, choices))
                # The parse goes on with some path, so that it does not complain about the same thing again.
                settings.setdefault("path", "-")
            settings["kind"] = kind or "jsonl"


def _kind_of_path(path: str) -> str | None:
    try:
        return kind_of(Path(path).name) or ("text" if Path(path).expanduser().is_dir() else None)
    except (OSError, RuntimeError, ValueError):
        return None  # no path at all, such as ~nobody


def _origin(path: str, given: frozenset[str], choices: dict[str, str]) -> str:
    if any(path == key or path.startswith(key + ".") or key.startswith(path + ".") for key in given):
        return "command line"
    parts = path.split(".")
    if parts[0] == "stage" and len(parts) > 1 and f"training@stage.{parts[1]}" in choices:
        return f"conf/training/{choices[f'training@stage.{parts[1]}']}.yaml"
    if parts[0] in choices:
        return f"conf/{parts[0]}/{choices[parts[0]]}.yaml"
    return "conf/config.yaml"


def _problem(detail: ErrorDetails, given: frozenset[str], choices: dict[str, str]) -> Problem:
    path, siblings = _locate(detail["loc"])
    origin = _origin(path, given, choices)
    key = path.rsplit(".", 1)[-1]
    if detail["type"] == "extra_forbidden":
        return Problem(path, "unknown key", suggest(key, siblings, "keys here"), origin)
    if detail["type"] == "missing":
        return Problem(path, "is required", f"set {path}=...", origin)
    if detail["type"] == "union_tag_invalid":
        context = detail.get("ctx", {})
        known = [tag.strip(" '") for tag in str(context.get("expected_tags", "")).split(",")]
        return Problem(
            f"{path}.kind", f"there is no kind {context.get('tag')!r}", suggest(str(context.get("tag")), known), origin
        )
    message = detail["msg"].removeprefix("Value error, ").replace("Input should be", "should be")
    return Problem(path, f"{message}; it is {detail['input']!r}", f"correct {path}", origin)


def _locate(location: tuple[int | str, ...]) -> tuple[str, list[str]]:
    """The dotted path of an error (tags of unions left out) and the keys that its section knows."""
    shown: list[str] = []
    siblings: list[str] = []
    at: Any = Config
    plugin: Plugin | None = None
    for item in location:
        if plugin is not None:
            at, plugin = component(plugin.folder, str(item)), None
            continue
        shown.append(str(item))
        if isinstance(at, type) and issubclass(at, BaseModel):
            siblings = list(at.model_fields)
            field = at.model_fields.get(str(item))
            if field is None:
                break
            at, plugin = field.annotation, _plugin(field.metadata)
            at = _section(at)
        else:
            arguments = get_args(at)
            value = arguments[-1] if arguments else None
            plugin = _plugin(getattr(value, "__metadata__", ()))
            at = _section(value)
    return ".".join(shown), siblings


def _plugin(metadata: Iterable[Any]) -> Plugin | None:
    return next((item for item in metadata if isinstance(item, Plugin)), None)


def _section(annotation: Any) -> Any:
    """``X`` out of ``X | None``."""
    sections = [item for item in get_args(annotation) if isinstance(item, type) and issubclass(item, BaseModel)]
    return sections[0] if len(sections) == 1 and not isinstance(annotation, type) else annotation
