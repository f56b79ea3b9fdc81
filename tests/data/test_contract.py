"""What a contract declares: taxonomies, deployment samples and votes; mistakes are messages."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from framework.compose import compose
from framework.contradictions import problems_of
from framework.data.contract import Asked, Contract, Topic
from framework.data.fields import agreement
from framework.data.formats import to_row
from framework.data.rows import Pair
from framework.errors import DataError
from framework.sources.base import Bad, Record


def taxonomy(path: Path, value: Any) -> str:
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return str(path)


def test_files_and_settings_are_put_together(tmp_path: Path) -> None:
    topics = [
        {"topic": "a", "share": 0.5, "area": "x", "head": True},
        {"topic": "b", "head": False, "terms": ["bee"]},
    ]
    path = taxonomy(tmp_path / "t.json", {"topics": topics, "terms": ["Salt Chamber"]})
    asked = tmp_path / "asked.jsonl.gz"
    rows = [
        {"text": "One?", "topic": "a"},
        {"instruction": "Say.", "context": "This."},
        {"messages": [{"role": "user", "content": "Two?"}, {"role": "assistant", "content": "No."}]},
    ]
    asked.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    found = Contract(taxonomy=path, deployment=str(asked), topics={"b": 3.0, "c": 1.0}, terms=["more"]).read()
    assert found.topics == (Topic("b", 0.75, True, ("bee",)), Topic("c", 0.25), Topic("a", 0.5))
    assert found.terms == ("Salt Chamber", "more")
    assert found.asked == (Asked("One?", "a"), Asked("Say.\n\nThis.", ""), Asked("Two?", ""))
    assert not Contract().read()


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("{", "not JSON"),
        ([], "neither topics nor terms"),
        ({"topics": {"a": 1}}, "topics is not a list"),
        ({"topics": [{"name": "a"}]}, "topics[0] has no topic"),
        ({"topics": [{"topic": "a", "share": "much"}]}, "topics[0].share"),
        ({"topics": [{"topic": "a", "share": 7}]}, "topics[0].share"),
        ({"topics": [{"topic": "a", "head": "no"}]}, "topics[0].head"),
        ({"topics": [{"topic": "a", "terms": "bee"}]}, "topics[0].terms"),
        ({"topics": [{"topic": "a", "shares": 0.1}]}, "unknown keys: shares"),
        ({"topics": [{"topic": "a"}, {"topic": "a"}]}, "names 'a' again"),
        ({"terms": [1]}, "terms is not a list of words"),
    ],
)
def test_a_wrong_taxonomy_is_a_message(value: Any, says: str, tmp_path: Path) -> None:
    path = taxonomy(tmp_path / "t.json", value)
    with pytest.raises(DataError) as raised:
        Contract(taxonomy=path).read()
    assert any(says in problem.message and path in problem.message and problem.fix for problem in raised.value.problems)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.jsonl", '{"text": "x"}\n{"reply": "y"}\n', "a.jsonl:2 (no text)"),
        ("a.jsonl", '{"text": "x"}\n{\n', "a.jsonl:2"),
        ("a.jsonl", "", "no rows"),
        ("a.pdf", "x", "cannot be told from its ending"),
    ],
)
def test_a_wrong_sample_is_a_message(name: str, content: str, says: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError) as raised:
        Contract(deployment=str(tmp_path / name)).read()
    assert says in raised.value.problems[0].message and raised.value.problems[0].path == "deployment"


def test_problems_name_the_key_before_anything_is_read(tmp_path: Path) -> None:
    base = ["model=tiny", "data=legal", "eval=none", "stage=domain"]
    assert not problems_of(compose(base))
    (missing,) = problems_of(compose([*base, "data.domain.contract.taxonomy=nowhere.json"]))
    assert missing.path == "data.domain.contract.taxonomy" and "nowhere.json" in missing.message
    unread = problems_of(compose(["model=tiny", "stage=instruct", "eval=none", "data.instruct.contract.terms=[a]"]))
    assert [problem.path for problem in unread] == ["data.instruct.contract"]


def test_what_is_declared_changes_the_fingerprint_with_the_file(tmp_path: Path) -> None:
    path = taxonomy(tmp_path / "t.json", {"terms": ["a"]})
    contract = Contract(taxonomy=path)
    before = contract.fingerprint()
    assert contract.fingerprint() == before and contract.read().terms == ("a",)
    taxonomy(tmp_path / "t.json", {"terms": ["b"]})
    assert contract.fingerprint() != before and contract.read().terms == ("b",)


@pytest.mark.parametrize(
    ("votes", "share"),
    [
        (None, None),
        ([], None),
        (0.75, 0.75),
        (1, 1.0),
        ({"chosen": 3, "rejected": 1}, 0.75),
        ({"chosen": 2}, 1.0),
        (["chosen", "rejected"], 0.5),
    ],
)
def test_votes(votes: Any, share: float | None) -> None:
    assert agreement({"annotators": votes}, "annotators") == share
    row = to_row(Record({"prompt": "p", "chosen": "c", "rejected": "r", "annotators": votes}, "f:1"), "preference", {})
    assert isinstance(row, Pair) and row.agreement == share


@pytest.mark.parametrize("votes", [3, -0.1, True, "chosen", ["a1"], {"chosen": 0}, {"chosen": -1}, {"a": 1}, [["x"]]])
def test_votes_that_say_nothing_are_counted(votes: Any) -> None:
    row = to_row(Record({"prompt": "p", "chosen": "c", "rejected": "r", "annotators": votes}, "f:1"), "preference", {})
    assert isinstance(row, Bad) and row.reason.startswith("annotators")
