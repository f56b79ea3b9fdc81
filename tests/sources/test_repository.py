"""Which files of a repository are a split's: the hub's rules, and a question instead of a guess."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.errors import DataError, Problem
from framework.sources._repository import choose

CARD = "---\nlicense: mit\nconfigs:\n{}\n---\n# Title\n"


def problem(paths: list[str], card: str = "", subset: str | None = None, split: str = "train", **more: str) -> Problem:
    with pytest.raises(DataError) as caught:
        choose(paths, card, subset, split, more.get("path"))
    return caught.value.problems[0]


@pytest.mark.parametrize(
    ("paths", "split", "wanted"),
    [
        (["data/train-00001-of-00002.parquet", "data/train-00000-of-00002.parquet", "data/test-00000-of-00001.parquet"],
         "train", ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"]),
        (["data/odd-00000-of-00001-0a1b.parquet", "x/train.parquet"], "odd", ["data/odd-00000-of-00001-0a1b.parquet"]),
        (["train/a.jsonl", "dev/b.jsonl", "dev/c.jsonl"], "validation", ["dev/b.jsonl", "dev/c.jsonl"]),
        (["my_train.csv", "my-eval.csv", "README.md", ".gitattributes"], "test", ["my-eval.csv"]),
        (["a.jsonl.gz", "sub/b.jsonl", "dataset_infos.json", "LICENSE"], "train", ["a.jsonl.gz", "sub/b.jsonl"]),
        (["contest.csv"], "train", ["contest.csv"]),
    ],
)  # fmt: skip
def test_names_tell_splits(paths: list[str], split: str, wanted: list[str]) -> None:
    assert choose(paths, "", None, split, None) == wanted


def test_a_card_tells_subsets_and_splits() -> None:
    card = CARD.format(
        "- config_name: one\n  data_files:\n  - split: train\n    path: [x/*.jsonl, y.jsonl]\n"
        "  - split: test\n    path: z/**\n"
        "- config_name: two\n  default: true\n  data_files: y.jsonl\n"
        "- config_name: three\n  data_dir: z\n"
    )
    paths = ["README.md", "x/a.jsonl", "x/deep/b.jsonl", "y.jsonl", "z/c/test.jsonl"]
    assert choose(paths, card, "one", "train", None) == ["x/a.jsonl", "y.jsonl"]
    assert choose(paths, card, "one", "test", None) == ["z/c/test.jsonl"]
    assert choose(paths, card, None, "train", None) == ["y.jsonl"]
    assert choose(paths, card, "three", "test", None) == ["z/c/test.jsonl"]
    assert problem(paths, card, "four").fix == "its subsets are one, two, three"
    assert problem(paths, card, "one", "dev").fix == "its splits are test, train"


def test_without_a_card_a_subset_is_a_folder() -> None:
    paths = ["harmless/train.jsonl.gz", "harmless/test.jsonl.gz", "helpful/train.jsonl.gz"]
    assert choose(paths, "", "harmless", "train", None) == ["harmless/train.jsonl.gz"]
    assert "harmless, helpful" in problem(paths, "", "harmles").fix


def test_a_pattern_chooses_instead() -> None:
    paths = ["a.csv", "a.jsonl", "x/b.jsonl"]
    assert choose(paths, "", None, "train", "*.jsonl") == ["a.jsonl"]
    assert choose(paths, "", None, "train", "**/*.jsonl") == ["a.jsonl", "x/b.jsonl"]
    assert choose(paths, "", None, "train", "[!b].csv") == ["a.csv"]
    assert "a.csv" in problem(paths, path="*.parquet").fix


def test_what_would_be_a_guess_is_asked() -> None:
    assert "several kinds (csv, jsonl)" in problem(["a.csv", "a.jsonl"]).message
    assert "train-1.jsonl.bz2" in problem(["train-0.jsonl", "train-1.jsonl.bz2"]).message
    assert "x.bin" in problem(["x.bin", "y.jsonl"], CARD.format("- config_name: a\n  data_files: ['*']")).message
    several = CARD.format("- config_name: a\n  data_files: x.csv\n- config_name: b\n  data_files: y.csv")
    assert "none is the default" in problem(["x.csv", "y.csv"], several).message


def test_code_and_files_elsewhere_are_refused() -> None:
    assert "loading script (rows.py)" in problem(["rows.py", "raw/train.csv"]).message
    for outside in ("https://example.org/x.csv", "../x.csv", "/etc/x.csv", "a/../../x.csv"):
        card = CARD.format(f"- config_name: a\n  data_files: '{outside}'")
        assert "outside of it" in problem(["x.csv"], card).message
    assert "cannot be read" in problem(["x.csv"], "---\nconfigs: [\n---\n").message


@given(
    st.lists(st.text("abtrain-./_0\\", min_size=1, max_size=12).map(lambda name: name + ".jsonl"), max_size=5),
    st.text(max_size=30) | st.text("---\nconfigs: [{}]*&!", max_size=60).map(lambda text: f"---\n{text}\n---\n"),
    st.none() | st.text(max_size=5),
    st.none() | st.text("ab*?[]!^/\\.", max_size=10),
)
def test_whatever_stands_there_files_or_a_question(
    paths: list[str], card: str, subset: str | None, path: str | None
) -> None:
    try:
        found = choose(paths, card, subset, "train", path)
    except DataError as error:
        if not error.problems[0].fix:
            pytest.fail(repr(error))
    else:
        assert found and set(found) <= set(paths)
