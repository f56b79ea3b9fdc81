"""Secrets stay out of everything that a run leaves and prints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from framework.secrets import HIDDEN, Redactor, is_secret_name

CANARIES = {
    "WANDB_API_KEY": "canary0wandb0" * 4,
    "HF_TOKEN": "hf_canary1hub1hub1hub",
    "MY_SECRET": "canary2 with spaces and 'quotes'",
    "DB_PASSWORD": "canary3\u00e9passw\u00f6rt",
    "SOME_API_KEY": "canary4canary4",
}
USER = "canary5user"
URL = f"https://{USER}:canary5password@data.example/rows"


@pytest.mark.parametrize(
    "name",
    ["HF_TOKEN", "WANDB_API_KEY", "api_key", "APIKEY", "password", "PGPASSWD", "MY_SECRET", "secrets", "auth_token"],
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["tokens", "micro_tokens", "batch_tokens", "keys", "seed", "max_new_tokens", "passes"])
def test_names_of_ordinary_settings(name: str) -> None:
    settings = {name: 2048, "list": [name]}
    assert Redactor([]).tree(settings) == settings


def test_values_are_found_wherever_they_stand() -> None:
    redact = Redactor.from_environment({"A_TOKEN": "abcdefgh", "B_TOKEN": "abcdefgh-and-more", "HOME": "/home/abc"})
    assert redact("x abcdefgh-and-more y abcdefgh z") == f"x {HIDDEN} y {HIDDEN} z"
    tree = {"deep": [{"note": "is abcdefgh", "api_key": "anything", "n": 3}]}
    assert redact.tree(tree) == {"deep": [{"note": f"is {HIDDEN}", "api_key": HIDDEN, "n": 3}]}
    assert redact("/home/abc") == "/home/abc"


def test_the_user_part_of_urls_goes() -> None:
    redact = Redactor([])
    assert redact(f"fetching {URL} now") == f"fetching https://{HIDDEN}@data.example/rows now"
    assert redact("https://data.example/a@b") == "https://data.example/a@b"


def test_a_run_with_a_tracker_leaks_nothing(train: Any, write_rows: Any, tmp_path: Path) -> None:
    rows = [{"id": str(n), "instruction": f"Ask {n} of {URL}", "response": f"Answer {n}"} for n in range(12)]
    file = write_rows(tmp_path / "talk.jsonl", rows)
    run = tmp_path / "run"
    ran = train(
        "model=tiny",
        "stage=instruct",
        "data=files",
        "eval=none",
        "tracker=wandb",
        f"data.instruct.sources.talk.path={file}",
        "stage.instruct.max_length=256",
        "stage.instruct.batch.tokens=512",
        f"tracker.tags=[{CANARIES['SOME_API_KEY']}]",
        f"tracker.group='{URL}'",
        f"run_dir={run}",
        env={**CANARIES, "WANDB_MODE": "offline"},
    )
    assert ran.code == 0, ran
    files = [path for path in run.rglob("*") if path.is_file()]
    assert any(path.suffix == ".wandb" for path in files), "the tracker has not run"
    words = [*CANARIES.values(), "canary5password"]
    for path in files:
        content = path.read_bytes()
        found = [word for word in words if word.encode() in content]
        assert not found, f"{path.relative_to(run)} holds {found}"
    for word in words:
        assert word not in ran.out and word not in ran.err


def test_a_mistake_is_shown_without_its_secret(train: Any) -> None:
    ran = train(f"trackr={CANARIES['HF_TOKEN']}", f"seed={CANARIES['SOME_API_KEY']}", env=CANARIES)
    assert ran.code == 2 and "seed" in ran.err
    assert not any(word in ran.out + ran.err for word in CANARIES.values())
