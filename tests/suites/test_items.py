from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ConfigDict

from framework.errors import DataError
from framework.suites._items import MAX_PROBLEMS, STRICT, Filled, read_items, subset


@dataclass(frozen=True, slots=True)
class Thing:
    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    id: str
    name: Filled
    group: str = ""

    def __post_init__(self) -> None:
        if self.name == "bad":
            raise ValueError("name: must not be bad")


def read(path: Path) -> list[Thing]:
    return read_items(str(path), Thing)


def test_plain_and_gzipped_files_hold_the_same_items(tmp_path: Path) -> None:
    text = '\ufeff{"id": "a", "name": "x"}\n\n{"id": "b", "name": "é"}'.encode()
    (tmp_path / "plain.jsonl").write_bytes(text)
    (tmp_path / "packed.jsonl.gz").write_bytes(gzip.compress(text))
    expected = [Thing("a", "x"), Thing("b", "é")]
    assert read(tmp_path / "plain.jsonl") == expected
    assert read(tmp_path / "packed.jsonl.gz") == expected


def test_every_problem_is_reported_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text(
        '{"id": "a", "name": "x"}\n'
        "not json\n"
        '{"id": "a", "name": "again"}\n'
        '{"id": 3, "name": " "}\n'
        '{"id": "d", "name": "x", "topc": "y"}\n'
        '{"id": "e", "name": "bad"}\n'
        "[]\n"
    )
    with pytest.raises(DataError) as caught:
        read(file)
    found = [(problem.path, problem.origin.rpartition(":")[2]) for problem in caught.value.problems]
    assert found == [
        ("", "2"),
        ("id", "3"),
        ("id", "4"),
        ("name", "4"),
        ("topc", "5"),
        ("", "6"),
        ("", "7"),
    ]
    assert "must not be bad" in str(caught.value)
    assert "line 1" in caught.value.problems[1].message


def test_the_problems_past_the_limit_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text("{}\n" * 40)  # two missing fields a line
    with pytest.raises(DataError) as caught:
        read(file)
    assert len(caught.value.problems) == MAX_PROBLEMS + 1
    assert "30 more" in caught.value.problems[-1].message


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.jsonl", b"\n \n", "no items"),
        ("broken.jsonl.gz", b"not gzip", "cannot be read"),
        ("cut.jsonl.gz", gzip.compress(b'{"id": "a", "name": "x"}\n' * 99, mtime=0)[:40], "cannot be read"),
        ("latin.jsonl", b'{"id": "a", "name": "\xe9"}\n', "at column 22"),
    ],
)
def test_damaged_files_are_errors(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=r"(?s).*" + says):
        read(tmp_path / name)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.jsonl"):
        read(tmp_path / "nowhere.jsonl")


def test_a_subset_is_spread_over_the_file() -> None:
    things = [Thing(str(index), "x") for index in range(10)]
    assert [thing.id for thing in subset(things, 4)] == ["0", "2", "5", "7"]
    assert subset(things, None) == things
    assert subset(things, 10) == things


def test_a_subset_keeps_groups_whole() -> None:
    things = [Thing(str(index), "x", group="gh"[index % 2]) for index in range(4)]
    by_group: Callable[[Thing], str] = lambda thing: thing.group  # noqa: E731
    assert [thing.id for thing in subset(things, 3, by_group)] == ["0", "2"]
    assert [thing.id for thing in subset(things, 1, by_group)] == ["0", "2"]


@given(st.lists(st.sampled_from(["", "g", "h", "i"]), min_size=1, max_size=30), st.integers(1, 30))
def test_subsets_are_ordered_whole_and_within_the_bound(groups: list[str], bound: int) -> None:
    things = [Thing(str(index), "x", group) for index, group in enumerate(groups)]
    kept = subset(things, bound, lambda thing: thing.group)
    positions = [int(thing.id) for thing in kept]
    assert positions == sorted(set(positions))
    assert kept
    assert len(kept) <= bound or len({thing.group for thing in kept}) == 1
    for name in {thing.group for thing in kept} - {""}:
        assert sum(thing.group == name for thing in kept) == groups.count(name)
