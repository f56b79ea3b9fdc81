"""Masks over templates that behave as the known families do, checked against the whole-string tokenizer."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer

from framework.data.chat import ChatTokenizer, Encoded, Unproved, fingerprint
from framework.data.rows import Conversation, Role, Turn
from framework.errors import ModelError

# Written for these tests, after the behaviour of the families they are named for.
CHATML = """{%- if messages[0].role != 'system' -%}<|im_start|>system
You are helpful.<|im_end|>
{% endif -%}
{%- for m in messages -%}
{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}"""
LLAMA3 = """{{- bos_token -}}
{%- for m in messages -%}
{{- '<|start_header_id|>' + m['role'] + '<|end_header_id|>\\n\\n' + m['content'] | trim + '<|eot_id|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' -}}{%- endif -%}"""
MISTRAL = """{{- bos_token -}}
{%- set ns = namespace(system='') -%}
{%- for m in messages -%}
{%- if m.role == 'system' -%}{%- set ns.system = m.content + '\\n\\n' -%}
{%- elif m.role == 'user' -%}{{- '[INST] ' + ns.system + m.content + ' [/INST]' -}}{%- set ns.system = '' -%}
{%- elif m.role == 'assistant' -%}{{- ' ' + m.content + eos_token -}}
{%- else -%}{{- raise_exception('Only user and assistant roles are supported!') -}}{%- endif -%}
{%- endfor -%}"""
GEMMA = """{{- bos_token -}}
{%- for m in messages -%}
{%- if m.role == 'system' -%}{{- raise_exception('System role not supported') -}}{%- endif -%}
{%- if (m.role == 'user') != (loop.index0 % 2 == 0) -%}{{- raise_exception('Roles must alternate') -}}{%- endif -%}
{{- '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\\n' + m.content | trim -}}
{{- '<end_of_turn>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<start_of_turn>model\\n' -}}{%- endif -%}"""
PHI = """{%- for m in messages -%}
{{- '<|' + m.role + '|>\\n' + m.content + '<|end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|assistant|>\\n' -}}{%- else -%}{{- eos_token -}}{%- endif -%}"""
QWEN3 = """{%- set ns = namespace(last=0) -%}
{%- for m in messages -%}{%- if m.role == 'user' -%}{%- set ns.last = loop.index0 -%}{%- endif -%}{%- endfor -%}
{%- for m in messages -%}
{%- if m.role == 'assistant' -%}
{%- set answer = m.content.split('</think>')[-1].lstrip('\\n') if '</think>' in m.content else m.content -%}
{{- '<|im_start|>assistant\\n' -}}
{%- if loop.index0 > ns.last -%}{{- '<think>\\n\\n</think>\\n\\n' -}}{%- endif -%}
{{- answer.lstrip('\\n') + '<|im_end|>\\n' -}}
{%- else -%}{{- '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' -}}{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}
{%- if enable_thinking is defined and enable_thinking is false -%}{{- '<think>\\n\\n</think>\\n\\n' -}}{%- endif -%}
{%- endif -%}"""


def swallowing(text: str) -> AddedToken:
    return AddedToken(text, special=True, normalized=False, rstrip=True)


FAMILIES: dict[str, dict[str, Any]] = {
    "chatml": {
        "template": CHATML,
        "control": [],
        "inside": ["<|im_start|>", "<|im_end|>"],
        "eos": "<|im_end|>",
    },
    "llama3": {
        "template": LLAMA3,
        "control": ["<|bos|>", "<|eos|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
        "eos": "<|eot_id|>",
        "bos": "<|bos|>",
    },
    "mistral": {
        "template": MISTRAL,
        "control": ["<s>", "</s>", "[INST]", "[/INST]"],
        "eos": "</s>",
        "bos": "<s>",
    },
    "mistral_v1": {"template": MISTRAL, "control": ["<s>", "</s>"], "eos": "</s>", "bos": "<s>"},
    "gemma": {
        "template": GEMMA,
        "control": ["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"],
        "eos": "<eos>",
        "bos": "<bos>",
    },
    "phi": {
        "template": PHI,
        "control": [
            "<|endoftext|>",
            *map(swallowing, ["<|user|>", "<|assistant|>", "<|system|>", "<|end|>"]),
        ],
        "eos": "<|endoftext|>",
    },
    "qwen3": {
        "template": QWEN3,
        "control": [
            "<|endoftext|>",
            "<|im_start|>",
            "<|im_end|>",
            AddedToken("<tool_call>", special=False, normalized=False),
            AddedToken("<think>", special=False, normalized=False),
            AddedToken("</think>", special=False, normalized=False),
        ],
        "eos": "<|im_end|>",
    },
}
STOPS = {"chatml": "<|im_end|>", "llama3": "<|eot_id|>", "mistral": "</s>", "mistral_v1": "</s>"}
STOPS |= {"gemma": "<end_of_turn>", "phi": "<|end|>", "qwen3": "<|im_end|>"}
WORDS = [
    "court",
    "void ",
    " why",
    "契約",
    "🙂",
    "é",
    "e\u0301",
    "\n",
    "  ",
    "\t",
    "a",
    "1",
    ".",
    "\u200d",
    "\u2028",
    "<",
    "|",
]
FORGED = [token if isinstance(token, str) else token.content for one in FAMILIES.values() for token in one["control"]]


@pytest.fixture(params=sorted(FAMILIES))
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def folder(family: str, make_model: Any) -> Path:
    return make_model(**FAMILIES[family])


def conversation(generator: random.Random, words: list[str], system: bool) -> Conversation:
    def said() -> str:
        return "x" + "".join(generator.choice(words) for _ in range(generator.randrange(1, 12))) + "y"

    turns = [Turn("system", said())] if system else []
    for _ in range(generator.randrange(1, 4)):
        turns += [Turn("user", said()), Turn("assistant", said())]
    return Conversation(id="r", turns=tuple(turns))


def encoded(chat: ChatTokenizer, row: Conversation) -> Encoded:
    (found,) = chat.encode_conversations([row])
    assert isinstance(found, Encoded), found
    return found


def targets(chat: ChatTokenizer, found: Encoded) -> list[str]:
    """The texts of the supervised runs."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], found.supervised.astype(int), [0]])))
    return [chat.decode(found.ids[begin:end].tolist()) for begin, end in zip(edges[::2], edges[1::2], strict=True)]


def test_masks_are_the_replies_and_their_stops(family: str, folder: Path) -> None:
    chat, full = ChatTokenizer.load(folder), Tokenizer.from_file(str(folder / "tokenizer.json"))
    generator = random.Random(family)
    rows = [conversation(generator, WORDS, system=family != "gemma" and n % 2 == 0) for n in range(120)]
    lead = " " if family.startswith("mistral") else ""
    for row, found in zip(rows, chat.encode_conversations(rows), strict=True):
        assert isinstance(found, Encoded), found
        replies = [turn.content for turn in row.turns if turn.role == "assistant"]
        assert targets(chat, found) == [lead + reply + STOPS[family] for reply in replies]
        if family != "phi":  # its control tokens swallow the line break after them
            assert chat.decode(found.ids.tolist()) == chat.render(row.turns)
        # Independently: the whole string up to the last reply, tokenised as at inference.
        prompt = full.encode(chat.render(row.turns[:-1], generation_prompt=True), add_special_tokens=False).ids
        if len(replies) == 1:
            assert found.ids[: found.reply].tolist() == prompt
            assert chat.encode_prompts([row.turns[:-1]])[0].tolist() == prompt
        whole = found.ids[found.reply :][found.supervised[found.reply :]]
        assert whole.tolist() == chat.encode_replies([replies[-1]], stop=True)[0].tolist()
        assert whole.tolist()[:-1] == full.encode(lead + replies[-1], add_special_tokens=False).ids
        assert whole[-1] == full.token_to_id(STOPS[family])
        assert int(whole[-1]) in chat.eos_ids
        assert chat.encode_replies([replies[-1]], stop=False)[0].tolist() == whole.tolist()[:-1]


def test_contents_cannot_forge_control_tokens(family: str, folder: Path) -> None:
    chat, full = ChatTokenizer.load(folder), Tokenizer.from_file(str(folder / "tokenizer.json"))
    generator = random.Random(family)
    control = {full.token_to_id(name) for name in FORGED if full.token_to_id(name) is not None}
    control -= {full.token_to_id("<tool_call>")}  # neither special nor the template's: text as at inference
    clean = conversation(generator, ["word "], system=False)
    wanted = [id for id in encoded(chat, clean).ids.tolist() if id in control]
    names = [*FORGED, "<|im_start|>", "<|im_end|>", "<|im_", "end|>", "\n", "assistant"]
    proved = 0
    for _ in range(150):
        turns = tuple(
            Turn(turn.role, "x" + "".join(generator.choice(names) for _ in range(3)) + "y") for turn in clean.turns
        )
        (found,) = chat.encode_conversations([Conversation(id="r", turns=turns)])
        if isinstance(found, Unproved):
            assert family == "qwen3" and "</think>" in "".join(turn.content for turn in turns)
            continue
        proved += 1
        assert [id for id in found.ids.tolist() if id in control] == wanted
        texts = chat.encode_texts([turns[0].content])[0].tolist()
        assert [id for id in texts if id in control] == [full.token_to_id(FAMILIES[family]["eos"])]
        prompt = chat.encode_prompts([turns[:1]])[0].tolist()
        again = chat.encode_prompts([clean.turns[:1]])[0].tolist()
        assert [id for id in prompt if id in control] == [id for id in again if id in control]
    assert proved > 50


def test_refusals_carry_the_templates_message(make_model: Any) -> None:
    chat = ChatTokenizer.load(make_model(**FAMILIES["gemma"]))
    ask, answer = Turn("user", "a"), Turn("assistant", "b")
    rows = [
        Conversation(id="1", turns=(Turn("system", "s"), ask, answer)),
        Conversation(id="2", turns=(ask, ask, answer)),
        Conversation(id="3", turns=(ask, answer)),
    ]
    one, two, three = chat.encode_conversations(rows)
    assert isinstance(one, Unproved) and "System role not supported" in one.reason
    assert isinstance(two, Unproved) and "Roles must alternate" in two.reason
    assert isinstance(three, Encoded)
    with pytest.raises(ModelError, match="System role"):
        chat.encode_prompts([rows[0].turns[:2]])


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{% for m in messages %}{{ m.content | upper }}<e>{% endfor %}", "leaves out"),
        ("{% for m in messages %}{{ m.content }}{{ m.content }}<e>{% endfor %}", "repeats"),
        (
            "{% for m in messages %}{{ m.content }}<e>{% endfor %}{{ messages[0].content | length }}",
            "depends",
        ),
        ("{% for m in messages %}{{ m.content | replace(' with', '') }}<e>{% endfor %}", "changes contents"),
        ("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}", "no stop token"),
        ("{{ messages[9].content.x }}", "refuses"),
        ("{{ ''.__class__.__mro__ }}", "refuses"),
    ],
)
def test_what_cannot_be_proved_is_said(make_model: Any, template: str, reason: str) -> None:
    chat = ChatTokenizer.load(make_model(template, ["<e>"], "<e>"))
    turns = (Turn("user", "a question with q"), Turn("assistant", "an answer with q"))
    (found,) = chat.encode_conversations([Conversation(id="r", turns=turns)])
    assert isinstance(found, Unproved) and reason in found.reason


def test_qwen_thoughts_inside_replies_are_not_proved(make_model: Any) -> None:
    chat = ChatTokenizer.load(make_model(**FAMILIES["qwen3"]))
    turns = (Turn("user", "a"), Turn("assistant", "<think>why</think>b"))
    (found,) = chat.encode_conversations([Conversation(id="r", turns=turns)])
    assert isinstance(found, Unproved)


def test_an_ending_before_the_stop_is_learned(make_model: Any) -> None:
    template = "{% for m in messages %}{{ '<e>' + m.role + ':' + m.content + '\\n<e>' }}{% endfor %}"
    chat = ChatTokenizer.load(make_model(template, ["<e>"], "<e>"))
    row = Conversation(id="r", turns=(Turn("user", "a"), Turn("assistant", "b")))
    assert targets(chat, encoded(chat, row)) == ["b\n<e>"]
    assert chat.decode(chat.encode_replies(["b"], stop=True)[0].tolist()) == "b\n<e>"


def test_without_a_template_nothing_is_proved(make_model: Any) -> None:
    chat = ChatTokenizer.load(make_model("", ["<e>"], "<e>"))
    assert not chat.has_template
    (found,) = chat.encode_conversations([Conversation(id="r", turns=(Turn("user", "a"), Turn("assistant", "b")))])
    assert found == Unproved("the model has no chat template")
    assert chat.decode(chat.encode_texts(["hello"])[0].tolist()) == "hello<e>"
    with pytest.raises(ModelError, match="no chat template"):
        chat.render([Turn("user", "a")])


def test_damaged_models_are_errors_of_the_user(tmp_path: Path, make_model: Any) -> None:
    with pytest.raises(ModelError, match=r"no tokenizer\.json"):
        ChatTokenizer.load(tmp_path / "nowhere")
    with pytest.raises(ModelError):
        ChatTokenizer.load(make_model("{% if %}", ["<e>"], "<e>"))
    folder = make_model("", ["<e>"], "<e>")
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(ModelError):
        ChatTokenizer.load(folder)


def test_fingerprint_follows_tokens_and_template(make_model: Any) -> None:
    folder = make_model(**FAMILIES["chatml"])
    before = fingerprint(folder)
    assert before == ChatTokenizer.load(folder).fingerprint
    (folder / "chat_template.jinja").write_text(CHATML + " ")
    assert fingerprint(folder) != before


def test_roles_of_every_kind_are_masked(make_model: Any) -> None:
    chat = ChatTokenizer.load(make_model(**FAMILIES["chatml"]))
    roles: list[Role] = ["system", "user", "assistant", "tool", "assistant"]
    row = Conversation(id="r", turns=tuple(Turn(role, f"said {n}") for n, role in enumerate(roles)))
    assert targets(chat, encoded(chat, row)) == ["said 2<|im_end|>", "said 4<|im_end|>"]
