"""Masks proved by spans, over templates that behave as the known families do and contents of every kind.

The templates are written for these tests after the behaviour of the families that they are named for.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from framework.data.chat import ChatTokenizer, Encoded, Unproved
from framework.data.formats import to_row
from framework.data.rows import Call, Conversation, Role, Turn
from framework.sources.base import Record

# A default system prompt unless one is given.
SMOLLM2 = """{% for m in messages %}
{% if loop.first and m.role != 'system' %}{{ '<|im_start|>system\\nA helper.<|im_end|>\\n' }}{% endif %}
{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>' + '\\n' }}{% endfor %}
{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""
# Contents trimmed; definitions before the first user's text; a call is JSON alone; results quoted under another role.
LLAMA3 = """{{- bos_token }}{% set defined = tools if tools else [] %}
{% for m in messages %}
{% if m.tool_calls %}
{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% set call = m.tool_calls[0].function %}
{% if m.tool_calls | length > 1 %}{{ raise_exception('One call at a time') }}{% endif %}
{{- '{"name": "' + call.name + '", "parameters": ' }}{{ call.arguments | tojson }}{{ '}<|eot_id|>' }}
{% else %}
{{- '<|start_header_id|>' + ('ipython' if m.role == 'tool' else m.role) + '<|end_header_id|>\\n\\n' }}
{% if m.role == 'user' and loop.index0 < 2 and defined %}{% for t in defined %}{{ t | tojson(indent=4) + '\\n\\n' }}
{% endfor %}{% set defined = [] %}{% endif %}
{{- m.content | tojson if m.role == 'tool' else m.content | trim }}{{ '<|eot_id|>' }}{% endif %}{% endfor %}
{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"""
# Thoughts of earlier turns removed, an empty thought before the last reply, calls in tags, results in a user's turn.
QWEN3 = """{% set ns = namespace(last=0) %}
{% for m in messages %}{% if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}
{% if tools %}{{ '<|im_start|>system\\n' + (messages[0].content + '\\n\\n' if messages[0].role == 'system' else '') }}
{{- '# Tools\\n<tools>' }}{% for t in tools %}{{ '\\n' ~ (t | tojson) }}{% endfor %}{{ '\\n</tools><|im_end|>\\n' }}
{% endif %}
{% for m in messages %}
{% if m.role == 'system' and tools and loop.first %}
{% elif m.role == 'assistant' %}
{{- '<|im_start|>assistant\\n' }}
{% if loop.index0 > ns.last %}{{ '<think>\\n\\n</think>\\n\\n' }}{% endif %}
{{- (m.content.split('</think>')[-1] if '</think>' in m.content else m.content).lstrip('\\n') }}
{% for c in m.tool_calls %}{% if not loop.first or m.content %}{{ '\\n' }}{% endif %}
{{- '<tool_call>\\n{"name": "' + c.function.name + '", "arguments": ' }}{{ c.function.arguments | tojson }}
{{- '}\\n</tool_call>' }}{% endfor %}{{ '<|im_end|>\\n' }}
{% elif m.role == 'tool' %}
{% if messages[loop.index0 - 1].role != 'tool' %}{{ '<|im_start|>user' }}{% endif %}
{{- '\\n<tool_response>\\n' + m.content + '\\n</tool_response>' }}
{% if loop.last or messages[loop.index0 + 1].role != 'tool' %}{{ '<|im_end|>\\n' }}{% endif %}
{% else %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endif %}{% endfor %}
{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}
{% if enable_thinking is false %}{{ '<think>\\n\\n</think>\\n\\n' }}{% endif %}{% endif %}"""
# The system prompt joins the user's first text; roles alternate; calls are a JSON list with ids of nine characters.
MISTRAL = """{{- bos_token }}{% set ns = namespace(system='', users=0) %}
{% for m in messages %}
{% if m.role == 'system' %}{% set ns.system = m.content + '\\n\\n' %}
{% elif m.role == 'user' %}
{% if loop.index0 and messages[loop.index0 - 1].role == 'user' %}
{{ raise_exception('Roles must alternate') }}{% endif %}
{% if tools and not ns.users %}{{ '[AVAILABLE_TOOLS] ' ~ (tools | tojson) ~ '[/AVAILABLE_TOOLS]' }}{% endif %}
{% set ns.users = ns.users + 1 %}{{ '[INST] ' + ns.system + m.content + '[/INST]' }}{% set ns.system = '' %}
{% elif m.tool_calls %}{{ '[TOOL_CALLS] [' }}
{% for c in m.tool_calls %}{% if c.id | length != 9 %}{{ raise_exception('Ids have nine characters') }}{% endif %}
{{- ', ' if not loop.first }}{{ (c.function | tojson)[:-1] ~ ', "id": "' ~ c.id ~ '"}' }}{% endfor %}
{{ ']' + eos_token }}
{% elif m.role == 'assistant' %}{{ ' ' + m.content + eos_token }}
{% elif m.role == 'tool' %}
{{- '[TOOL_RESULTS] {"content": ' ~ (m.content | tojson) ~ ', "call_id": "' ~ m.tool_call_id ~ '"}[/TOOL_RESULTS]' }}
{% endif %}{% endfor %}"""
# No system prompts, no tools, an own name for the assistant, trimmed contents.
GEMMA = """{{- bos_token }}{% for m in messages %}
{% if m.role not in ('user', 'assistant') %}{{ raise_exception(m.role + ' turns are not supported') }}{% endif %}
{{- '<start_of_turn>' + ('model' if m.role == 'assistant' else 'user') + '\\n' + m.content | trim }}
{{- '<end_of_turn>\\n' }}
{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"""
PHI = """{% for m in messages %}{{ '<|' + m.role + '|>' + m.content + '<|end|>' }}{% endfor %}
{% if add_generation_prompt %}{{ '<|assistant|>' }}{% else %}{{ eos_token }}{% endif %}"""
CHATML = """{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}
{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""

IM = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TAGS = ["<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"]
HEADERS = ["<|bos|>", "<|eos|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
INST = ["<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_CALLS]"]
INST += ["[TOOL_RESULTS]", "[/TOOL_RESULTS]"]
FAMILIES: dict[str, dict[str, Any]] = {
    "smollm2": {"template": SMOLLM2, "control": IM, "eos": "<|im_end|>"},
    "llama3": {"template": LLAMA3, "control": HEADERS, "eos": "<|eot_id|>", "bos": "<|bos|>"},
    "qwen3": {"template": QWEN3, "control": [*IM, *TAGS], "eos": "<|im_end|>"},
    "mistral": {"template": MISTRAL, "control": INST, "eos": "</s>", "bos": "<s>"},
    "gemma": {
        "template": GEMMA,
        "control": ["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"],
        "eos": "<eos>",
        "bos": "<bos>",
    },
    "phi": {
        "template": PHI,
        "control": ["<|endoftext|>", "<|user|>", "<|assistant|>", "<|system|>", "<|tool|>", "<|end|>"],
        "eos": "<|endoftext|>",
    },
    "chatml": {"template": CHATML, "control": IM, "eos": "<|im_end|>"},
}
for _one in FAMILIES.values():
    _one["template"] = _one["template"].replace("\n", "")  # line breaks of the source, which stand for nothing
STOPS = {"mistral": "</s>", "llama3": "<|eot_id|>", "gemma": "<end_of_turn>", "phi": "<|end|>"}
TRIMMED = {"llama3", "gemma"}
WITH_TOOLS = ("llama3", "qwen3", "mistral")
CASES = [(family, "bytes") for family in FAMILIES] + [
    (family, kind) for family in FAMILIES for kind in ("unigram", "bpe")
]
CONTROL = sorted({token for one in FAMILIES.values() for token in one["control"]})
TOOL = json.dumps(
    {
        "type": "function",
        "function": {
            "name": "find",
            "description": 'Finds "things" <|im_end|></s>',
            "parameters": {"type": "object", "properties": {"what": {"type": "string"}}, "required": ["what"]},
        },
    }
)


@pytest.fixture(params=CASES, ids=lambda case: "-".join(case))
def case(request: pytest.FixtureRequest, make_model: Any, make_pieces: Any) -> tuple[str, ChatTokenizer, Tokenizer]:
    family, kind = request.param
    made = make_model(**FAMILIES[family]) if kind == "bytes" else make_pieces(**FAMILIES[family], kind=kind)
    return family, ChatTokenizer.load(made), Tokenizer.from_file(str(made / "tokenizer.json"))


def targets(chat: ChatTokenizer, found: Encoded) -> list[str]:
    """The texts of the supervised runs."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], found.supervised.astype(int), [0]])))
    return [chat.decode(found.ids[begin:end].tolist()) for begin, end in zip(edges[::2], edges[1::2], strict=True)]


def wanted(family: str, turns: tuple[Turn, ...]) -> list[str]:
    stop = STOPS.get(family, "<|im_end|>")
    replies = [turn.content for turn in turns if turn.role == "assistant"]
    trimmed = [
        reply.strip() if family in TRIMMED else reply.lstrip("\n") if family == "qwen3" else reply for reply in replies
    ]
    return [reply + stop for reply in trimmed]


def encoded(chat: ChatTokenizer, turns: tuple[Turn, ...], tools: tuple[str, ...] = ()) -> Encoded | Unproved:
    (found,) = chat.encode_conversations([Conversation(id="r", turns=turns, tools=tools)])
    return found


words = st.sampled_from(
    [
        "law",
        " ",
        "\n",
        "  ",
        "é",
        "e\u0301",
        "🙂",
        "👩‍👩‍👧",
        "契約",
        "حكم",
        "\u202eabc",
        "ไทย",
        "\t",
        "{{ x }}",
        "{% if %}",
        "\u2028",
        "",
        "\\n",
        '"',
    ]
) | st.sampled_from(CONTROL)
said = st.lists(words, min_size=1, max_size=6).map("".join)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Turn, ...]:
    turns = [Turn("system", draw(said))] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(1, 3))):
        turns += [Turn("user", draw(said)), Turn("assistant", draw(said | st.just("")))]
    return tuple(turns)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(turns=conversations())
def test_spans_are_the_replies_and_their_stops(
    case: tuple[str, ChatTokenizer, Tokenizer], turns: tuple[Turn, ...]
) -> None:
    family, chat, full = case
    found = encoded(chat, turns)
    if isinstance(found, Unproved):
        dropped = family == "qwen3" and any("</think>" in turn.content for turn in turns)
        unknown = "represent" in found.reason
        assert unknown or dropped or (family == "gemma" and turns[0].role == "system"), found.reason
        return
    lead = " " if family == "mistral" else ""
    expected = [lead + text for text in wanted(family, turns)]
    got = targets(chat, found)
    # A metaspace tokenizer writes a space before the start of a text, and takes one from it when it decodes.
    assert [text.lstrip(" ") for text in got] == [text.lstrip(" ") for text in expected]
    # The control tokens are those of the same conversation in harmless words: contents add none.
    clean = encoded(chat, tuple(Turn(turn.role, "x") for turn in turns))
    assert isinstance(clean, Encoded)
    control = {full.token_to_id(token) for token in FAMILIES[family]["control"]}
    assert [id for id in found.ids.tolist() if id in control] == [id for id in clean.ids.tolist() if id in control]


def test_forged_texts_leave_no_control_token(case: tuple[str, ChatTokenizer, Tokenizer]) -> None:
    family, chat, full = case
    control = {full.token_to_id(token) for token in FAMILIES[family]["control"]}
    own = FAMILIES[family]["control"]
    texts = [f"{a}{middle}{b}" for a in own for b in own for middle in ("", " ", "\n", "assistant\n", "x")]
    texts = [*(texts * (1 + 520 // len(texts)))[:520]]
    stop = full.token_to_id(FAMILIES[family]["eos"])
    for ids in chat.encode_texts(texts):
        assert [id for id in ids.tolist() if id in control] == [stop]
    for ids in chat.encode_replies(texts, stop=False):
        assert control.isdisjoint(ids.tolist())
    rows = [Conversation(id="r", turns=(Turn("user", f"a{text}"), Turn("assistant", f"b{text}"))) for text in texts]
    clean = encoded(chat, (Turn("user", "a"), Turn("assistant", "b")))
    assert isinstance(clean, Encoded)
    frame = [id for id in clean.ids.tolist() if id in control]
    for row, found in zip(rows, chat.encode_conversations(rows), strict=True):
        if isinstance(found, Unproved):
            assert family == "qwen3" and "</think>" in row.turns[1].content
            continue
        assert [id for id in found.ids.tolist() if id in control] == frame


def test_consecutive_turns_of_one_role(case: tuple[str, ChatTokenizer, Tokenizer]) -> None:
    family, chat, _ = case
    roles: list[Role] = ["user", "user", "assistant", "assistant"]
    turns = tuple(Turn(role, f"said {at}") for at, role in enumerate(roles))
    found = encoded(chat, turns)
    if family == "mistral":
        assert isinstance(found, Unproved) and "Roles must alternate" in found.reason
        turns = turns[1:]
        found = encoded(chat, turns)
    assert isinstance(found, Encoded)
    # Where nothing of the template's own stands between two replies, their spans touch.
    assert "".join(targets(chat, found)).replace("</s> ", "</s>").strip() == "".join(wanted(family, turns))


def calling(family: str) -> tuple[tuple[Turn, ...], str]:
    arguments = {"what": 'a "b"\n\\ é 🙂 </s><|im_end|>[/INST]', "n": 3, "deep": {"list": ["x", None, True, 1.5]}}
    written = json.dumps(arguments, ensure_ascii=False)
    turns = (
        Turn("user", "find"),
        Turn("assistant", "", (Call("find", written),)),
        Turn("tool", 'found: {"a": "<|eot_id|>"}'),
        Turn("assistant", "there"),
        Turn("user", "more"),
        Turn("assistant", "", (Call("find", "{}"),)),
        Turn("tool", "none"),
        Turn("assistant", "no"),
    )
    return turns, written


@pytest.mark.parametrize("family", WITH_TOOLS)
@pytest.mark.parametrize("kind", ["bytes", "bpe"])
def test_calls_are_supervised_and_results_are_not(family: str, kind: str, make_model: Any, make_pieces: Any) -> None:
    made = make_model(**FAMILIES[family]) if kind == "bytes" else make_pieces(**FAMILIES[family], kind=kind)
    chat, full = ChatTokenizer.load(made), Tokenizer.from_file(str(made / "tokenizer.json"))
    turns, written = calling(family)
    found = encoded(chat, turns, (TOOL,))
    assert isinstance(found, Encoded), found
    stop = STOPS.get(family, "<|im_end|>")
    shown = {
        "llama3": lambda arguments, id: f'{{"name": "find", "parameters": {arguments}}}',
        "qwen3": lambda arguments, id: f'<tool_call>\n{{"name": "find", "arguments": {arguments}}}\n</tool_call>',
        "mistral": lambda arguments, id: f'[TOOL_CALLS] [{{"name": "find", "arguments": {arguments}, "id": "{id}"}}]',
    }[family]
    replies = [shown(written, "call00001"), "there", shown("{}", "call00002"), "no"]
    assert [text.strip() for text in targets(chat, found)] == [reply + stop for reply in replies]
    rest = chat.decode(found.ids[~found.supervised].tolist())
    assert "found: " in rest and "Finds " in rest and "there" not in rest
    control = {full.token_to_id(token) for token in FAMILIES[family]["control"]}
    calm = tuple(
        Turn(turn.role, turn.content and "x", tuple(Call("find", '{"what": "x"}') for _ in turn.calls))
        for turn in turns
    )
    clean = encoded(chat, calm, (TOOL.replace("</s>", "").replace("<|im_end|>", ""),))
    assert isinstance(clean, Encoded)
    assert [id for id in found.ids.tolist() if id in control] == [id for id in clean.ids.tolist() if id in control]


def test_several_calls_with_words_before_them(make_model: Any) -> None:
    chat = ChatTokenizer.load(make_model(**FAMILIES["qwen3"]))
    calls = (Call("a", '{"x": "1"}'), Call("b", '{"x": "1"}'))
    turns = (
        Turn("user", "q"),
        Turn("assistant", "wait", calls),
        Turn("tool", "one"),
        Turn("tool", "two"),
        Turn("assistant", "so"),
    )
    found = encoded(chat, turns)
    assert isinstance(found, Encoded)
    said = [f'<tool_call>\n{{"name": "{name}", "arguments": {{"x": "1"}}}}\n</tool_call>' for name in "ab"]
    assert targets(chat, found) == [f"wait\n{said[0]}\n{said[1]}<|im_end|>", "so<|im_end|>"]


def test_ids_of_calls_are_kept_and_answered(make_model: Any) -> None:
    chat = ChatTokenizer.load(make_model(**FAMILIES["mistral"]))
    turns = (
        Turn("user", "q"),
        Turn("assistant", "", (Call("a", "{}", "abcdef123"),)),
        Turn("tool", "r", (), "abcdef123"),
    )
    found = encoded(chat, (*turns, Turn("assistant", "so")))
    assert isinstance(found, Encoded)
    assert chat.decode(found.ids.tolist()).count("abcdef123") == 2
    short = (turns[0], Turn("assistant", "", (Call("a", "{}", "abc"),)), Turn("tool", "r"), Turn("assistant", "so"))
    refused = encoded(chat, short)
    assert isinstance(refused, Unproved) and "nine characters" in refused.reason


@pytest.mark.parametrize(
    ("family", "turns", "tools", "reason"),
    [
        ("chatml", (Turn("user", "q"), Turn("assistant", "a")), (TOOL,), "leaves out the tool definitions"),
        ("chatml", (Turn("user", "q"), Turn("assistant", "", (Call("f", "{}"),))), (), "leaves out the tool calls"),
        ("phi", (Turn("user", "q"), Turn("assistant", "w", (Call("f", "{}"),))), (), "leaves out the tool calls"),
        (
            "gemma",
            (Turn("user", "q"), Turn("assistant", "w"), Turn("tool", "r"), Turn("assistant", "a")),
            (),
            "tool turns",
        ),
        (
            "gemma",
            (Turn("system", "s"), Turn("user", "q"), Turn("assistant", "w")),
            (),
            "system turns are not supported",
        ),
        ("mistral", (Turn("user", "q"), Turn("assistant", "w", (Call("f", "{}"),))), (), "leaves out the content"),
        ("llama3", (Turn("user", "q"), Turn("assistant", "", (Call("f", "{}"),) * 2)), (), "One call at a time"),
    ],
)
def test_what_a_template_cannot_say_is_refused(
    family: str, turns: tuple[Turn, ...], tools: tuple[str, ...], reason: str, make_model: Any
) -> None:
    found = encoded(ChatTokenizer.load(make_model(**FAMILIES[family])), turns, tools)
    assert isinstance(found, Unproved) and reason in found.reason


@pytest.mark.parametrize("family", [*WITH_TOOLS, "chatml"])
def test_real_tool_conversations_are_proved_or_refused(family: str, make_model: Any, shared: Path) -> None:
    chat = ChatTokenizer.load(make_model(**FAMILIES[family]))
    with gzip.open(shared / "llamafactory_demo" / "glaive_toolcall_en.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [to_row(Record(json.loads(line), str(at)), "sharegpt", {}) for at, line in enumerate(file)]
    assert len(rows) == 300 and all(isinstance(row, Conversation) for row in rows)
    spoken = [row for row in rows if isinstance(row, Conversation)]
    refused = 0
    for row, found in zip(spoken, chat.encode_conversations(spoken), strict=True):
        if isinstance(found, Unproved):
            assert family == "chatml" and (row.tools or any(turn.calls for turn in row.turns))
            refused += 1
            continue
        assert family != "chatml" or not row.tools
        texts = [text.strip() for text in targets(chat, found)]
        replies = [turn for turn in row.turns if turn.role == "assistant"]
        assert len(texts) == len(replies)
        for text, turn in zip(texts, replies, strict=True):
            assert text.endswith(STOPS.get(family, "<|im_end|>"))
            assert turn.content.strip() in text
            assert all(call.name in text and call.arguments in text for call in turn.calls)
    assert bool(refused) == (family == "chatml")
