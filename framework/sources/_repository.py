"""Which files of a data set's repository hold a subset's split: what its card declares, else what names say.

The rules are those of the hub (huggingface.co/docs/hub/datasets-data-files-configuration). Where they would guess, and
rows be taken twice or left out, the choice is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any, cast

from framework.errors import DataError, Problem
from framework.sources._files import plain_name, printable
from framework.sources._kinds import endings, kind_of

CARD = "README.md"
_IGNORED = frozenset({CARD, "config.json", "dataset_info.json", "dataset_infos.json", "dataset_dict.json"})
_OTHER_DATA = (".arrow", ".feather", ".orc", ".avro", ".zip", ".tar", ".bz2", ".xz", ".lz4", ".7z", ".xlsx")
"""Endings of rows that cannot be read here: where they belong to a split, that is said."""
_SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_SHARD = re.compile(r"data/(?P<split>[^/]+)-\d{5}-of-\d{5}[^/]*\.[^/]*")


def choose(paths: Sequence[str], card: str, subset: str | None, split: str, pattern: str | None) -> list[str]:
    """The files to read, in order: those that match ``pattern``, or those of the subset's split.

    ``paths`` are all files of the repository, ``card`` is the text of its README. Raises ``DataError`` that names what
    there is to choose from.
    """
    offered = sorted(path for path in paths if _offered(path))
    if pattern:
        found = _matching(offered, [pattern])
        if not found:
            raise _error("path", f"no file matches {pattern!r}", _some("files of rows", list(filter(kind_of, offered))))
    else:
        splits = _splits(offered, card, subset)
        if split not in splits:
            raise _error("split", f"there is no split {split!r}", _some("splits", sorted(splits)))
        found = splits[split]
        if not found:
            raise _error("split", f"no file has rows of the split {split!r}", f"files must end with {endings()}")
    if unread := [path for path in found if kind_of(path) is None]:
        message = f"cannot read {_some('', unread, '')}"
        raise _error("path", message, f"name others by path: PATTERN; files must end with {endings()}, .gz or .zst")
    kinds = sorted({str(kind_of(path)) for path in found})
    if len(kinds) > 1:
        message = f"holds files of several kinds ({', '.join(kinds)}), which may be the same rows twice"
        raise _error("path", message, f"choose by a pattern, such as path: '*.{kinds[0]}'; {_some('files', found)}")
    return found


def declared(card: str) -> list[dict[str, Any]]:
    """The subsets that a card's metadata declares; none where it has none. Raises ``DataError`` for broken metadata."""
    import yaml

    found = re.match(r"\ufeff?---\s*\n(.*?)\n---\s*(\n|$)", card, re.DOTALL)
    if not found:
        return []
    try:
        metadata = yaml.safe_load(found.group(1))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise _error("id", "the metadata in its README.md cannot be read", "name files by path: PATTERN") from error
    configs = cast("Any", metadata.get("configs") if isinstance(metadata, dict) else None)
    if not isinstance(configs, list):
        return []
    return [dict(entry) for entry in configs if isinstance(entry, dict)]


def _splits(offered: list[str], card: str, subset: str | None) -> Mapping[str, list[str]]:
    configs = declared(card)
    if configs:
        return _declared_splits(offered, _chosen(configs, subset))
    scripts = [path for path in offered if path.endswith(".py") and "/" not in path]
    if scripts:
        fix = "name files by path: PATTERN, or give as revision the commit of its branch refs/convert/parquet"
        raise _error("id", f"its rows are made by a loading script ({scripts[0]}), and code is never run", fix)
    if subset is None:
        return _named_splits(offered, "")
    folders = sorted({path.split("/")[0] for path in offered if "/" in path})
    if subset not in folders:
        raise _error("subset", f"there is no subset or folder {subset!r}", _some("folders", folders))
    return _named_splits(offered, subset)


def _chosen(configs: list[dict[str, Any]], subset: str | None) -> dict[str, Any]:
    names = [str(config.get("config_name", "default")) for config in configs]
    wanted = subset
    if wanted is None:
        marked = [name for name, config in zip(names, configs, strict=True) if config.get("default") is True]
        only = names if len(names) == 1 else []
        wanted = next(iter([*marked, *(["default"] if "default" in names else []), *only]), None)
    if wanted not in names:
        message = f"there is no subset {wanted!r}" if wanted else "it has several subsets and none is the default"
        raise _error("subset", message, _some("subsets", names))
    return configs[names.index(wanted)]


def _declared_splits(offered: list[str], config: dict[str, Any]) -> Mapping[str, list[str]]:
    base = str(config.get("data_dir") or "").strip("/")
    given = config.get("data_files")
    if given is None:
        return _named_splits(offered, base)
    patterns: dict[str, list[str]] = {}
    entries = cast("list[Any]", given if isinstance(given, list) else [given])
    for entry in entries:
        if isinstance(entry, dict) and "path" in entry:
            entry = {str(entry.get("split", "train")): entry["path"]}
        for split, listed in (entry if isinstance(entry, dict) else {"train": entry}).items():
            found = cast("list[Any]", listed if isinstance(listed, list) else [listed])
            patterns.setdefault(str(split), []).extend(str(item) for item in found if isinstance(item, str))
    for pattern in (pattern for listed in patterns.values() for pattern in listed):
        if "://" in pattern or ".." in pattern.split("/") or pattern.startswith("/"):
            message = f"its README.md names files outside of it ({printable(pattern)}), which are not read"
            raise _error("id", message, "name files inside it by path: PATTERN")
    inside = {
        split: [f"{base}/{pattern}" if base else pattern for pattern in listed] for split, listed in patterns.items()
    }
    return {split: _matching(offered, listed) for split, listed in inside.items()}


def _named_splits(offered: list[str], base: str) -> Mapping[str, list[str]]:
    """Splits by names: shards under ``data/``, else folders, else file names; else all is ``train``."""
    data = [path for path in offered if kind_of(path) or plain_name(path).endswith(_OTHER_DATA)]
    inside = [(path, path.removeprefix(f"{base}/") if base else path) for path in data]
    inside = [(path, name) for path, name in inside if not base or path != name]
    for split_of in (_by_shard, _by_folder, _by_file):
        found: dict[str, list[str]] = {}
        for path, name in inside:
            split = split_of(name)
            if split:
                found.setdefault(split, []).append(path)
        if found:
            return found
    return {"train": [path for path, _ in inside]}


def _by_shard(name: str) -> str | None:
    found = _SHARD.fullmatch(name)
    return found["split"] if found else None


def _by_folder(name: str) -> str | None:
    return next(filter(None, map(_keyword, PurePosixPath(name).parts[:-1])), None)


def _by_file(name: str) -> str | None:
    return _keyword(PurePosixPath(name).name)


def _keyword(name: str) -> str | None:
    words = set(re.split(r"[-._ 0-9]+", name))
    return next((split for split, known in _SPLITS.items() if words & set(known)), None)


def _offered(path: str) -> bool:
    parts = path.split("/")
    hidden = any(part.startswith((".", "_")) or not part for part in parts)
    return parts[-1] not in _IGNORED and not hidden and "\\" not in path


def _matching(paths: list[str], patterns: list[str]) -> list[str]:
    rules = [pattern.removeprefix("./").split("/") for pattern in patterns]
    return [path for path in paths if any(_fits(path.split("/"), rule) for rule in rules)]


def _fits(parts: list[str], rule: list[str]) -> bool:
    """Whether a path fits a pattern: ``*`` stays within a folder, ``**`` stands for any folders."""
    ends = {0}
    for piece in rule:
        if piece == "**":
            ends = set(range(min(ends, default=len(parts) + 1), len(parts) + 1))
        else:
            ends = {end + 1 for end in ends if end < len(parts) and fnmatchcase(parts[end], piece)}
    return len(parts) in ends


def _some(what: str, names: Sequence[str], before: str = "its {} are ") -> str:
    shown = ", ".join(printable(name) for name in names[:12]) or "none"
    return f"{before.format(what)}{shown}{', ...' if len(names) > 12 else ''}"


def _error(key: str, message: str, fix: str) -> DataError:
    return DataError([Problem(key, message, fix)])
