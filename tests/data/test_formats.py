"""Formats: what columns mean, and what cannot be represented is refused with a reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from framework.data.formats import detect, to_row
from framework.data.load import load
from framework.data.rows import Call, Conversation, Judged, Labels, Pair, Row, Text, Turn
from framework.sources.base import Bad, Format, Record
from framework.sources.jsonl import JsonLines

ASK, ANSWER = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}


FIND = {"type": "function", "function": {"name": "find", "arguments": '{"what": "é"}'}}


def called(arguments: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": arguments}}]}


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
        ({"messages", "label"}, "messages"),
        ({"messages", "chosen", "rejected"}, "preference"),
        ({"prompt", "chosen", "rejected"}, "preference"),
        ({"question", "answer"}, None),
        (set(), None),
    ],
)
def test_columns_decide(columns: set[str], format: Format | None) -> None:
    assert detect(frozenset(columns)) == format


@pytest.mark.parametrize(
    ("columns", "labels", "format"),
    [
        ({"messages", "label"}, [True, False], "binary_preference"),
        ({"prompt", "completion", "label"}, ["True", "0", 1], "binary_preference"),
        ({"conversations", "label"}, [0, 1.0], "binary_preference"),
        ({"messages", "label"}, ["law", True], "messages"),
        ({"prompt", "completion", "label"}, [2, 1], "prompt_completion"),
        ({"prompt", "chosen", "rejected", "label"}, [True], "preference"),
        ({"text", "label"}, [1, 0], "text"),
    ],
)
def test_labels_tell_judged_replies(columns: set[str], labels: list[Any], format: Format) -> None:
    assert detect(frozenset(columns), labels) == format


def test_tool_calls_of_openai_and_sharegpt_mean_the_same() -> None:
    tool = {"name": "find", "description": "Finds.", "parameters": {}}
    one = row(
        "messages",
        messages=[
            ASK,
            {"role": "assistant", "content": None, "tool_calls": [FIND]},
            {"role": "tool", "content": "r"},
            ANSWER,
        ],
        tools=[{"type": "function", "function": tool}],
    )
    said = [("human", "q"), ("function_call", json.dumps({"name": "find", "arguments": {"what": "é"}}))]
    said += [("observation", "r"), ("gpt", "a")]
    two = row("sharegpt", conversations=[{"from": who, "value": what} for who, what in said], tools=json.dumps([tool]))
    assert one == two and isinstance(one, Conversation)
    assert one.turns[1] == Turn("assistant", "", (Call("find", '{"what": "é"}'),))
    assert [json.loads(text) for text in one.tools] == [{"type": "function", "function": tool}]
    assert one.turns[1].said == 'find({"what": "é"})'
    ids = [{**FIND, "id": "c1"}, {**FIND, "id": "c2"}]
    messages = [ASK, {**ANSWER, "tool_calls": ids}, {"role": "tool", "content": "r", "tool_call_id": "c2"}, ANSWER]
    three = row("messages", messages=messages)
    assert isinstance(three, Conversation)
    assert three.turns[1].content == "a" and [call.id for call in three.turns[1].calls] == ["c1", "c2"]
    assert three.turns[2].answers == "c2"


def test_judged_replies_in_every_form_mean_the_same() -> None:
    wanted = Judged(id="f:1", labels=Labels(task="qa"), prompt=(Turn("user", "q"),), completion="a", desirable=False)
    assert row("binary_preference", prompt="q", completion="a", label=False) == wanted
    assert row("binary_preference", prompt=[ASK], completion=[ANSWER], label="false") == wanted
    assert row("binary_preference", messages=[ASK, ANSWER], label=0) == wanted
    assert row("binary_preference", messages=[ASK], completion="a", label="0") == wanted
    assert row("binary_preference", conversations=[{"from": "human", "value": "q"}, ANSWER], label=0.0) == wanted


def test_agreement_and_margin_of_a_comparison() -> None:
    def pair(**fields: Any) -> Pair:
        found = row("preference", prompt="q", chosen="a", rejected="b", **fields)
        assert isinstance(found, Pair)
        return found

    assert (pair().agreement, pair().margin) == (None, None)
    assert (pair(annotators=0.75).agreement, pair(margin="-1.5").margin) == (0.75, -1.5)
    assert pair(annotators=["chosen", "chosen", "rejected", True]).agreement == 0.75
    assert pair(annotators=[]).agreement is None


def test_real_judged_replies_are_read(shared: Path) -> None:
    source = JsonLines(path=str(shared / "llamafactory_demo" / "kto_en.jsonl.gz"))
    loaded = load("kto", source)
    assert loaded.format == "binary_preference" and len(loaded.rows) == 300 and not loaded.dropped
    assert sum(isinstance(row, Judged) and row.desirable for row in loaded.rows) == 150


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
        ("messages", {"messages": [ASK, {**ANSWER, "tool_calls": [{}]}]}, "tool call without a name"),
        ("messages", {"messages": [ASK, {**ANSWER, "content": None}]}, "message content is missing"),
        ("messages", {"messages": [ASK, {**ANSWER, "weight": 0}]}, "message weights"),
        ("messages", {"messages": [ASK, ANSWER], "tools": [{"nom": "f"}]}, "tool definition without a name"),
        ("messages", {"messages": [{**ASK, "content": [{"type": "image_url"}]}, ANSWER]}, "not text"),
        ("messages", {"messages": [ASK, ANSWER], "tools": "{"}, "tools is not JSON"),
        ("messages", {"messages": [ASK, ANSWER], "tools": {"a": 1}}, "tools is not a list"),
        ("messages", {"messages": [ASK, {**ANSWER, "tool_calls": [FIND | {"type": "code"}]}]}, "not a function's"),
        ("messages", {"messages": [{**ASK, "tool_calls": [FIND]}, ANSWER]}, "not the assistant's"),
        ("messages", {"messages": [ASK, called("[1]")]}, "arguments are not a JSON object"),
        ("messages", {"messages": [ASK, called('{"a": 1, "a": 2}')]}, "repeats a key"),
        ("messages", {"messages": [ASK, called('{"a": NaN}')]}, "holds NaN"),
        ("messages", {"messages": [ASK, called("[" * 99999)]}, "arguments is not JSON"),
        ("messages", {"messages": [ASK, called({"a": b"x"})]}, "cannot be written as JSON"),
        ("messages", {"messages": [ASK, called('{"a": "\\ud800"}')]}, "lone surrogate"),
        ("sharegpt", {"conversations": [{"from": "function_call", "value": "{}"}]}, "tool call without a name"),
        ("sharegpt", {"conversations": [{"from": "function_call", "value": "find"}]}, "tool call is not JSON"),
        ("binary_preference", {"prompt": "q", "completion": "a"}, "label is missing"),
        ("binary_preference", {"prompt": "q", "completion": "a", "label": "law"}, "neither true nor false"),
        ("binary_preference", {"prompt": "q", "completion": " ", "label": True}, "empty completion"),
        ("binary_preference", {"messages": [ANSWER], "label": True}, "not the assistant's reply"),
        ("binary_preference", {"messages": [ASK, called("{}")], "label": True}, "calls a tool"),
        ("preference", {"prompt": "q", "chosen": "a", "rejected": "b", "margin": "much"}, "margin is not a number"),
        ("preference", {"prompt": "q", "chosen": "a", "rejected": "b", "margin": float("inf")}, "not a number"),
        ("preference", {"prompt": "q", "chosen": "a", "rejected": "b", "annotators": 3}, "neither a share"),
        ("preference", {"prompt": "q", "chosen": "a", "rejected": "b", "annotators": ["x"]}, "no vote"),
        ("preference", {"prompt": "q", "chosen": [called("{}")], "rejected": "b"}, "calls a tool"),
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


KEYS = ["role", "from", "content", "value", "type", "text", "tool_calls", "name", "arguments", "id"]
FORMATS: list[Format] = ["instruction", "messages", "sharegpt", "prompt_completion", "text", "preference"]
FORMATS += ["binary_preference"]
NAMES = ["instruction", "context", "input", "response", "output", "messages", "conversations", "prompt", "completion"]
NAMES += ["chosen", "rejected", "text", "system", "tools", "functions", "history", "id", "task", "topic", "slice"]
NAMES += ["label", "margin", "annotators"]
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.binary(max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), values), st.sampled_from(FORMATS))
def test_no_record_raises(fields: dict[str, Any], format: Format) -> None:
    found = to_row(Record(fields, "f:1"), format, {})
    assert isinstance(found, Bad) or found.id
