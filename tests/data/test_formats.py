"""Formats: what columns mean, and what cannot be represented is refused with a reason."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.data.formats import detect, to_row
from framework.data.rows import Conversation, Labels, Pair, Row, Text, Turn
from framework.sources.base import Bad, Format, Record

ASK, ANSWER = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}


def row(format: Format, **fields: Any) -> Row | Bad:
    return to_row(Record(fields, "f:1"), format, {"task": "qa"})


@pytest.mark.parametrize(
    ("columns", "format"),
    [
        ({"instruction", "context", "response"}, "instruction"),
        ({"instruction", "input", "output", "id"}, "instruction"),
        ({"messages"}, "messages"),
        ({"conversations", "tools"}, "sharegpt"),
        ({"prompt", "completion"}, "prompt_completion"),
        ({"text", "title"}, "text"),
        ({"messages", "chosen", "rejected"}, "preference"),
        ({"prompt", "chosen", "rejected"}, "preference"),
        ({"question", "answer"}, None),
        (set(), None),
    ],
)
def test_columns_decide(columns: set[str], format: Format | None) -> None:
    assert detect(frozenset(columns)) == format


def test_instruction_and_context_are_one_turn() -> None:
    found = row("instruction", instruction="do", context="with", response="done", id=7, topic="law")
    assert found == Conversation(
        id="7",
        labels=Labels(task="qa", topic="law"),
        turns=(Turn("user", "do\n\nwith"), Turn("assistant", "done")),
    )
    found = row("instruction", instruction="do", input=" ", output="done", system="be brief")
    assert isinstance(found, Conversation) and found.id == "f:1"
    assert found.turns == (Turn("system", "be brief"), Turn("user", "do"), Turn("assistant", "done"))


def test_openai_and_sharegpt_messages_mean_the_same() -> None:
    parts = [{"type": "text", "text": "q"}]
    one = row(
        "messages",
        messages=[{"role": "developer", "content": "s"}, {"role": "user", "content": parts}, ANSWER],
    )
    said = [("system", "s"), ("human", "q"), ("gpt", "a")]
    two = row("sharegpt", conversations=[{"from": who, "value": what} for who, what in said], tools="[]")
    assert one == two
    assert isinstance(one, Conversation)
    assert one.turns == (Turn("system", "s"), Turn("user", "q"), Turn("assistant", "a"))


def test_preferences_in_every_form_mean_the_same() -> None:
    wanted = Pair(id="f:1", labels=Labels(task="qa"), prompt=(Turn("user", "q"),), chosen="a", rejected="b")
    other = {"role": "assistant", "content": "b"}
    assert row("preference", prompt="q", chosen="a", rejected="b") == wanted
    assert row("preference", messages=[ASK], chosen=[ANSWER], rejected=[other]) == wanted
    assert row("preference", prompt="q", chosen=[ASK, ANSWER], rejected=[ASK, other]) == wanted
    assert row("preference", chosen=[ASK, ANSWER], rejected=[ASK, other]) == wanted
    assert row("preference", instruction="q", chosen="a", rejected="b") == wanted


def test_text_and_prompt_completion() -> None:
    assert row("text", text="t") == Text(id="f:1", labels=Labels(task="qa"), text="t")
    wanted = (Turn("user", "q"), Turn("assistant", "a"))
    for found in (
        row("prompt_completion", prompt="q", completion="a"),
        row("prompt_completion", prompt=[ASK], completion=[ANSWER]),
    ):
        assert isinstance(found, Conversation) and found.turns == wanted


@pytest.mark.parametrize(
    ("format", "fields", "reason"),
    [
        ("instruction", {"instruction": "q", "response": " "}, "empty response"),
        ("instruction", {"instruction": "", "response": "a"}, "empty prompt"),
        ("instruction", {"instruction": "q"}, "response is missing"),
        ("instruction", {"instruction": {"a": 1}, "response": "a"}, "instruction is not text"),
        ("instruction", {"instruction": "q", "response": 3}, "response is not text"),
        ("instruction", {"instruction": "q", "response": "\ud800"}, "response has a lone surrogate"),
        ("instruction", {"instruction": "q", "response": "a", "history": [["x", "y"]]}, "history"),
        ("instruction", {"instruction": "q", "response": "a", "task": ["x"]}, "task is not text"),
        ("messages", {"messages": None}, "messages is missing"),
        ("messages", {"messages": "q"}, "messages is not a list"),
        ("messages", {"messages": []}, "messages is empty"),
        ("messages", {"messages": [ASK]}, "last message is not the assistant's"),
        ("messages", {"messages": [ANSWER]}, "starts with the assistant"),
        ("messages", {"messages": [ASK, "a"]}, "message is not an object"),
        ("messages", {"messages": [ASK, {**ANSWER, "role": "critic"}]}, "unknown role"),
        ("messages", {"messages": [ASK, {**ANSWER, "role": ["user"]}]}, "unknown role"),
        ("messages", {"messages": [ASK, {**ANSWER, "tool_calls": [{}]}]}, "tool calls"),
        ("messages", {"messages": [ASK, {**ANSWER, "content": None}]}, "message content is missing"),
        ("messages", {"messages": [ASK, {**ANSWER, "weight": 0}]}, "message weights"),
        ("messages", {"messages": [ASK, ANSWER], "tools": [{"name": "f"}]}, "tool definitions"),
        ("messages", {"messages": [{**ASK, "content": [{"type": "image_url"}]}, ANSWER]}, "not text"),
        ("sharegpt", {"conversations": [{"from": "function_call", "value": "{}"}]}, "tool calls"),
        ("prompt_completion", {"prompt": "q", "completion": None}, "response is missing"),
        ("text", {"text": "\n"}, "empty text"),
        ("text", {"text": None}, "text is missing"),
        ("preference", {"prompt": "", "chosen": "a", "rejected": "b"}, "empty prompt"),
        ("preference", {"prompt": "q", "chosen": "", "rejected": "b"}, "empty chosen"),
        ("preference", {"prompt": "q", "chosen": "a", "rejected": None}, "rejected is missing"),
        ("preference", {"prompt": [ASK, ANSWER], "chosen": "a", "rejected": "b"}, "ends with the assistant"),
        ("preference", {"chosen": "a", "rejected": "b"}, "prompt is missing"),
        ("preference", {"chosen": [ASK, ANSWER], "rejected": [{**ASK, "content": "p"}, ANSWER]}, "different"),
        ("preference", {"prompt": "q", "chosen": [ASK], "rejected": "b"}, "chosen is not one message"),
    ],
)
def test_what_cannot_be_a_row_is_refused(format: Format, fields: dict[str, Any], reason: str) -> None:
    found = row(format, **fields)
    assert isinstance(found, Bad) and reason in found.reason and found.where == "f:1"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.binary(max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "from", "content", "value", "type", "text"]), inner, max_size=4)
    ),
    max_leaves=12,
)
NAMES = ["instruction", "context", "input", "response", "output", "messages", "conversations", "prompt"]
NAMES += [
    "completion",
    "chosen",
    "rejected",
    "text",
    "system",
    "tools",
    "history",
    "id",
    "task",
    "topic",
    "slice",
]


@given(
    st.dictionaries(st.sampled_from(NAMES), values),
    st.sampled_from(["instruction", "messages", "sharegpt", "prompt_completion", "text", "preference"]),
)
def test_no_record_raises(fields: dict[str, Any], format: Format) -> None:
    found = to_row(Record(fields, "f:1"), format, {})
    assert isinstance(found, Bad) or found.id
