"""Where files are: the project's own, the user's, and the home for store and caches."""

from __future__ import annotations

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
"""The checkout: holds ``conf``, ``samples`` and ``sweeps``."""


def resolve(path: str) -> Path:
    """An absolute path; a relative one starts at the current folder or, where nothing is there, at the project."""
    given = Path(path).expanduser()
    here = Path.cwd() / given
    if given.is_absolute() or here.exists():
        return here
    bundled = PROJECT / given
    return bundled if bundled.exists() else here


def home() -> Path:
    """``TRIPTYCH_HOME``, or ``triptych`` under the user's cache folder. Holds ``models``, ``cache`` and ``store``."""
    given = os.environ.get("TRIPTYCH_HOME")
    if given:
        return Path(given).expanduser().resolve()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "triptych"


def helper_environment() -> dict[str, str]:
    """The environment for processes of our own: they must find this package, whatever folder the user stands in."""
    inherited = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(PROJECT), inherited] if inherited else [str(PROJECT)])}
