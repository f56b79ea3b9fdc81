"""Small data for every stage, and the settings of a run that takes seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

STAGES = ("instruct", "domain", "align")


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory, write_rows: Any) -> dict[str, Path]:
    """Data by name: two sources of instruct, one each of domain and align, and pairs of which some have margins."""
    folder = tmp_path_factory.mktemp("data")
    rows: dict[str, list[dict[str, Any]]] = {
        "talk": [
            {"id": f"t{n}", "instruction": f"What holds for case {n % 7}? ({n})", "response": f"By rule {n % 5}."}
            for n in range(40)
        ],
        "more": [
            {"id": f"m{n}", "instruction": f"Name the class of boat {n}.", "response": f"Class {n % 6}, of the river."}
            for n in range(25)
        ],
        "law": [
            {
                "id": f"l{n}",
                "text": f"Section {n}. Who keeps a boat of class {n % 6} pays {n} marks a year. " * (n % 3 + 1),
            }
            for n in range(40)
        ],
        "pairs": [
            {
                "id": f"p{n}",
                "prompt": f"What is owed for boat {n}?",
                "chosen": f"{n} marks, by rule {n % 3}.",
                "rejected": "No.",
            }
            for n in range(30)
        ],
    }
    rows["margins"] = [{**row, "margin": n % 3} if n % 4 else row for n, row in enumerate(rows["pairs"])]
    return {name: write_rows(folder / f"{name}.jsonl", found) for name, found in rows.items()}


@pytest.fixture(scope="session")
def small(files: dict[str, Path]) -> list[str]:
    """Arguments of a small run of any stages; the choice of stages comes with each test."""
    return [
        "model=tiny",
        "data=files",
        "eval=none",
        "tracker=none",
        f"data.instruct.sources.talk.path={files['talk']}",
        f"data.instruct.sources.more.path={files['more']}",
        f"data.domain.sources.law.path={files['law']}",
        f"data.align.sources.pairs.path={files['pairs']}",
    ]


@pytest.fixture(scope="session")
def settings() -> Any:
    """Lengths and batches of the named stages, a few steps each."""

    def of(*stages: str) -> list[str]:
        found: list[str] = []
        for stage in stages or STAGES:
            found += [
                f"stage.{stage}.max_length=256",
                f"stage.{stage}.batch.tokens=1024",
                f"stage.{stage}.epochs=1",
                f"stage.{stage}.lr=1e-3",
            ]
        return found

    return of
