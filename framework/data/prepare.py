"""From sources to packs: read, tokenise, mix and pack the data of one stage, once for each content.

A request whose packs are cached is answered from their folder alone, without numpy, tokenizers or jinja2.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from framework.data import chat
from framework.data.cache import key_of, publish
from framework.data.encode import FILES, VERSION, encode_source
from framework.data.load import fingerprint, too_many_bad
from framework.data.mix import REPLAY, Mix, shares
from framework.data.prepared import Prepared, Request, SourceUse, parse
from framework.errors import DataError, Problem
from framework.paths import home
from framework.sources.base import Source

if TYPE_CHECKING:
    from framework.data.encode import Tokens
    from framework.data.packs import Units

__all__ = ["Prepared", "Progress", "Request", "SourceUse", "prepare"]

_VERSION = 4
"""Raised when the same tokens give other packs."""

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and of how much (0: not known)."""


@dataclass(frozen=True, slots=True)
class _Input:
    """One source of a request."""

    name: str
    path: str
    source: Source
    fingerprint: str


def prepare(request: Request, progress: Progress = lambda message, done, total: None) -> Prepared:
    """The packs of a stage, from the cache when they are there.

    When no row of the sources can be trained on, the result has no steps and its counts say why.

    Raises ``DataError`` with all problems of all sources, or when the mix draws no row, and ``ModelError`` when the
    model's folder has no usable tokenizer.
    """
    inputs = _inputs(request)
    tokenizer_key = chat.fingerprint(request.model_dir)
    key = _key(request, inputs, tokenizer_key)
    target = home() / "cache" / "packs" / key
    if not target.is_dir():
        token_dirs = _tokenise(request, inputs, tokenizer_key, progress)
        publish(target, lambda directory: _build(directory, request, inputs, token_dirs, progress))
    prepared = parse(target, key)
    problems = [
        problem
        for entry in inputs
        for problem in too_many_bad(entry.path, entry.source, prepared.sources[entry.name].unreadable)
    ]
    if problems:
        raise DataError(problems)
    return prepared


def _inputs(request: Request) -> list[_Input]:
    """All sources with their names, paths and fingerprints; all problems at once.

    They come by name, the stage's own first, so that the order in which they were declared changes nothing.
    """
    named = [(name, f"{request.path}.sources.{name}", source) for name, source in sorted(request.sources.items())]
    for stage, (sources, share) in sorted(request.replay.items()):
        if share > 0.0:
            place = f"data.{stage}.sources"
            named += [
                (f"{REPLAY}{stage}/{name}", f"{place}.{name}", source) for name, source in sorted(sources.items())
            ]
    found: list[_Input] = []
    problems: list[Problem] = []
    for name, path, source in named:
        try:
            found.append(_Input(name, path, source, fingerprint(source, path)))
        except DataError as error:
            problems += error.problems
    if not request.sources:
        problems.append(Problem(f"{request.path}.sources", f"the stage {request.name} has no sources", "declare one"))
    if problems:
        raise DataError(problems)
    return found


def _mix(request: Request) -> Mix:
    """The request's mix with the replay shares that the request states."""
    return request.mix.model_copy(update={"replay": {stage: share for stage, (_, share) in request.replay.items()}})


def _key(request: Request, inputs: list[_Input], tokenizer_key: str) -> str:
    settings: dict[str, Any] = {
        "version": [_VERSION, VERSION],
        "sources": [[entry.name, entry.fingerprint] for entry in inputs],
        "mix": _mix(request).model_dump(mode="json"),
        "tokenizer": tokenizer_key,
    }
    for name in ("rows", "max_length", "long", "epochs", "max_steps", "batch_tokens", "seed"):
        settings[name] = getattr(request, name)
    if request.margins:
        settings["margins"] = True
    return key_of(settings)


def _tokenise(request: Request, inputs: list[_Input], tokenizer_key: str, progress: Progress) -> list[Path]:
    """The folder with each source's tokens, made where it is missing; all problems at once."""
    layout = (request.rows, request.max_length, request.long)
    found: list[Path] = []
    problems: list[Problem] = []
    for entry in inputs:
        key = key_of([[VERSION, FILES], entry.fingerprint, tokenizer_key, *layout])
        target = home() / "cache" / "tokens" / key
        message = f"{request.name}: reading {entry.name}"
        try:
            publish(
                target,
                lambda directory, entry=entry, message=message: encode_source(
                    directory,
                    entry.source,
                    entry.path,
                    layout,
                    request.model_dir,
                    lambda done: progress(message, done, 0),
                ),
            )
        except DataError as error:
            problems += error.problems
        found.append(target)
    if problems:
        raise DataError(problems)
    return found


def _build(directory: Path, request: Request, inputs: list[_Input], token_dirs: list[Path], progress: Progress) -> None:
    """Mix, pack and write."""
    from framework.data.choose import Bounds, choose
    from framework.data.encode import Tokens
    from framework.data.packs import Units, write_margins, write_packs

    held = {entry.name: Tokens(path) for entry, path in zip(inputs, token_dirs, strict=True)}
    mix = _mix(request)
    progress(f"{request.name}: mixing and packing", 0, 0)
    capacity = _capacity(request, list(held.values()))
    per_step = max(1, request.batch_tokens // capacity)
    most = None if request.max_steps is None else request.max_steps * per_step
    bounds = Bounds(request.epochs, capacity, most, request.seed)
    chosen = choose({name: tokens.lengths for name, tokens in held.items()}, mix, bounds)
    packs = chosen.packs
    units = Units(chosen.source, chosen.row)
    if not packs and any(len(held[name].lengths) for name in request.sources):
        raise DataError([_empty(request)])
    write_packs(directory, units, packs, list(held.items()), capacity, per_step)
    if request.margins:
        write_margins(directory, units, list(held.items()))
    uses = _uses(units, inputs, held, mix, chosen.capped, request.margins)
    tokens = sum(use.tokens for use in uses.values())
    summary = {
        "sources": {name: asdict(use) for name, use in uses.items()},
        "steps": -(-len(packs) // per_step),
        "packs": len(packs),
        "packs_per_step": per_step,
        "capacity": capacity,
        "tokens": tokens,
        "supervised_tokens": sum(use.supervised_tokens for use in uses.values()),
        "packing_efficiency": tokens / (len(packs) * capacity) if packs else 0.0,
        "units": len(units.source),
        "units_per_step": len(units.source) * per_step / len(packs) if packs else 0.0,
        "unproved": {name: tokens.account.unproved for name, tokens in held.items() if tokens.account.unproved},
    }
    (directory / "prepared.json").write_text(json.dumps(summary), encoding="utf-8")


def _capacity(request: Request, held: Sequence[Tokens]) -> int:
    """Tokens of a pack: ``max_length``, or where a step has fewer, those of a step or of the longest row."""
    if request.batch_tokens >= request.max_length:
        return request.max_length
    longest = max((int(tokens.lengths.max()) for tokens in held if len(tokens.lengths)), default=0)
    return max(request.batch_tokens, longest)


def _uses(
    units: Units, inputs: list[_Input], held: Mapping[str, Tokens], mix: Mix, capped: list[str], margins: bool
) -> dict[str, SourceUse]:
    """Exact counts for each source."""
    import numpy as np

    chosen = [units.index[units.source == number] for number in range(len(inputs))]
    taken = {
        entry.name: int(_weights(held[entry.name], mix.unit)[index].sum())
        for entry, index in zip(inputs, chosen, strict=True)
    }
    whole = sum(taken.values())
    sizes = {name: int(_weights(tokens, mix.unit).sum()) for name, tokens in held.items()}
    planned = shares(sizes, mix)
    found: dict[str, SourceUse] = {}
    for entry, index in zip(inputs, chosen, strict=True):
        tokens = held[entry.name]
        account = tokens.account
        trainable = sizes[entry.name]
        stated = tokens.margin[index] if margins else tokens.margin[:0]
        found[entry.name] = SourceUse(
            rows=account.rows,
            rows_used=len(np.unique(tokens.row[index])),
            units=len(index),
            tokens=int(tokens.lengths[index].sum()),
            supervised_tokens=int(tokens.targets[index].sum()),
            epochs=taken[entry.name] / trainable if trainable else 0.0,
            planned=planned[entry.name],
            weight=taken[entry.name] / whole if whole else 0.0,
            fingerprint=entry.fingerprint,
            dropped={**account.unreadable, **account.left_out},
            unreadable=account.unreadable,
            truncated=account.truncated,
            format=account.format,
            capped=entry.name in capped,
            kinds=account.kinds,
            no_target_rows=account.no_target_rows,
            records=account.records,
            available_tokens=int(tokens.lengths.sum()),
            budget_spent=account.budget_spent,
            conversion=account.conversion,
            margins=int(np.isfinite(stated).sum()),
            negative_margins=int((stated < 0).sum()),
        )
    return found


def _weights(tokens: Tokens, unit: Literal["tokens", "examples"]) -> Any:
    import numpy as np

    return tokens.lengths if unit == "tokens" else np.ones(len(tokens.lengths), dtype=np.int64)


def _empty(request: Request) -> Problem:
    fix = "raise epochs or mix.total, or give a source with rows a positive weight"
    return Problem(f"{request.path}.mix", f"the mix of the stage {request.name} draws no row", fix)
