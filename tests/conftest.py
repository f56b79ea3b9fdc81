"""Shared by all tests: a home of their own, so that models are converted once, and ``train.py`` as users start it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

PROJECT = Path(__file__).resolve().parents[1]
if str(PROJECT) not in sys.path:
    sys.path.insert(0, str(PROJECT))  # a checkout that is not installed

# Tiny models gain nothing from threads, and the processes of a test would fight over the cores.
os.environ["OMP_NUM_THREADS"] = "1"

# A case that waits for a core is not a slow case.
settings.register_profile("shared cores", deadline=None)
settings.load_profile("shared cores")


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str


Train = Callable[..., Ran]
Write = Callable[[Path, Sequence[dict[str, Any]]], Path]


@pytest.fixture(scope="session", autouse=True)
def triptych_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of this session; ``TRIPTYCH_TEST_HOME`` keeps one from session to session."""
    given = os.environ.get("TRIPTYCH_TEST_HOME")
    base = tmp_path_factory.getbasetemp()
    # Workers of one session share a home, so that models are fetched and converted once.
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    home = Path(given).expanduser().resolve() if given else shared / "home"
    home.mkdir(parents=True, exist_ok=True)
    before = os.environ.get("TRIPTYCH_HOME")
    os.environ["TRIPTYCH_HOME"] = str(home)
    yield home
    if before is None:
        del os.environ["TRIPTYCH_HOME"]
    else:
        os.environ["TRIPTYCH_HOME"] = before


@pytest.fixture(scope="session")
def new_home(triptych_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Makes a home with an empty store that shares the session's models: nothing is found ready-made there."""
    (triptych_home / "models").mkdir(exist_ok=True)

    def make() -> Path:
        home = tmp_path_factory.mktemp("home")
        (home / "models").symlink_to(triptych_home / "models")
        return home

    return make


@pytest.fixture(scope="session")
def start() -> Callable[..., subprocess.Popen[str]]:
    """Starts ``python train.py ...`` in the project's folder; ``env`` adds to the environment."""

    def run(*arguments: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "train.py", *arguments],
            cwd=PROJECT,
            env={**os.environ, **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return run


@pytest.fixture(scope="session")
def train(start: Callable[..., subprocess.Popen[str]]) -> Train:
    """Runs ``python train.py ...`` to its end, as a user does."""

    def run(*arguments: str, env: dict[str, str] | None = None, timeout: float = 300.0, typed: str = "") -> Ran:
        process = start(*arguments, env=env)
        try:
            out, err = process.communicate(typed, timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return Ran(process.returncode, out, err)

    return run


@pytest.fixture(scope="session")
def write_rows() -> Write:
    """Writes rows as JSON lines and returns the path."""

    def write(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        return path

    return write


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of whole runs first: one that came last would keep one worker busy and the others waiting."""
    first = ("end_to_end", "launchers", "train", "faults")
    items.sort(key=lambda item: item.path.parent.name not in first)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What was counted of faults; a hook in a folder's own conftest is not loaded by the process that hears of all."""
    from tests.faults.table import write_table

    write_table(terminalreporter)
