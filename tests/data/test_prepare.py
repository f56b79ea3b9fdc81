"""From sources to packs: exact counts, every kind of row, cut to fit, cached by content, safe when raced."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from framework.data.chat import ChatTokenizer
from framework.data.mix import Mix
from framework.data.packs import Field, Packs, SegmentRole
from framework.data.prepare import Prepared, Request, prepare
from framework.errors import DataError
from framework.paths import PROJECT, home
from framework.sources.jsonl import JsonLines

TEMPLATE = "{% for m in messages %}{{ '<s>' + m.role + '\\n' + m.content + '<e>' }}{% endfor %}"
TEMPLATE += "{% if add_generation_prompt %}{{ '<s>assistant\\n' }}{% endif %}"


@pytest.fixture
def model(make_model: Any) -> Path:
    return make_model(TEMPLATE, ["<s>", "<e>"], "<e>")


def source(path: Path, rows: list[dict[str, Any]], **settings: Any) -> JsonLines:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return JsonLines(path=str(path), **settings)


def talk(count: int, long: int = 1) -> list[dict[str, Any]]:
    rows = [{"instruction": f"question {n} " * (n % 7 + 1), "response": f"answer {n} " * long} for n in range(count)]
    return [{**row, "id": f"id{n}"} for n, row in enumerate(rows)]


def request(model: Path, sources: dict[str, JsonLines], **changes: Any) -> Request:
    made = Request(
        name="instruct",
        path="data.instruct",
        rows="sft",
        sources=sources,
        replay={},
        mix=Mix(),
        max_length=128,
        long="truncate",
        epochs=1.0,
        max_steps=None,
        batch_tokens=512,
        seed=0,
        model_dir=model,
    )
    return replace(made, **changes)


def sequences(packs: Packs) -> list[tuple[str, int, np.ndarray, np.ndarray]]:
    """(id, role, tokens, mask) of every segment, after checking that packs are whole and in bounds."""
    ids = packs.ids()
    found: list[tuple[str, int, np.ndarray, np.ndarray]] = []
    at = 0
    for pack in range(len(packs.packs) - 1):
        held = packs.pack_segments(pack)
        assert 0 < held[:, Field.LENGTH].sum() <= packs.capacity
        for segment in held:
            start, length = int(segment[Field.START]), int(segment[Field.LENGTH])
            assert start == at
            at += length
            tokens, mask = packs.tokens[start:at], packs.supervised[start:at]
            found.append((ids[segment[Field.UNIT]], int(segment[Field.ROLE]), np.array(tokens), np.array(mask)))
    assert at == len(packs.tokens) == len(packs.supervised)
    assert packs.steps[-1] == len(packs.packs) - 1
    return found


def checked(prepared: Prepared) -> Packs:
    """The packs, whose own counts are those that were promised."""
    packs = Packs.open(prepared.directory)
    assert prepared.tokens == len(packs.tokens) == sum(use.tokens for use in prepared.sources.values())
    assert prepared.supervised_tokens == int(packs.supervised.sum())
    assert prepared.steps == len(packs.steps) - 1 and prepared.packs == len(packs.packs) - 1
    assert prepared.units == packs.units == sum(use.units for use in prepared.sources.values())
    assert sum(use.weight for use in prepared.sources.values()) == pytest.approx(1.0)
    segments = np.array(packs.segments)
    for index, name in enumerate(packs.sources):
        own = segments[segments[:, Field.SOURCE] == index]
        assert prepared.sources[name].tokens == own[:, Field.LENGTH].sum()
        assert prepared.sources[name].units == len(np.unique(own[:, Field.UNIT]))
    assert np.array_equal(np.unique(segments[:, Field.UNIT]), np.arange(packs.units))
    return packs


def test_packs_hold_what_the_tokenizer_says(tmp_path: Path, model: Path) -> None:
    rows = talk(200)
    prepared = prepare(request(model, {"talk": source(tmp_path / "t.jsonl", rows)}, epochs=2.0))
    packs = checked(prepared)
    chat = ChatTokenizer.load(model)
    seen: dict[str, int] = {}
    for id, role, tokens, mask in sequences(packs):
        row = rows[int(id.removeprefix("id"))]
        seen[id] = seen.get(id, 0) + 1
        assert role == SegmentRole.ALONE
        assert chat.decode(tokens.tolist()) == f"<s>user\n{row['instruction']}<e><s>assistant\n{row['response']}<e>"
        assert chat.decode(tokens[mask].tolist()) == f"{row['response']}<e>"
    assert seen == {row["id"]: 2 for row in rows}
    use = prepared.sources["talk"]
    assert (use.rows, use.rows_used, use.units, use.epochs) == (200, 200, 400, 2.0)
    assert prepared.packs_per_step == 4 and prepared.packing_efficiency > 0.9


def test_pairs_share_their_prompt(tmp_path: Path, model: Path) -> None:
    rows = [{"prompt": f"ask {n}", "chosen": "good " * (n % 5 + 1), "rejected": "bad", "id": str(n)} for n in range(60)]
    packs = checked(prepare(request(model, {"p": source(tmp_path / "p.jsonl", rows)}, rows="pair")))
    chat = ChatTokenizer.load(model)
    found = sequences(packs)
    assert packs.pairs == 60
    for at in range(0, len(found), 3):
        (id, *prompt), (_, *chosen), (_, *rejected) = found[at : at + 3]
        assert [prompt[0], chosen[0], rejected[0]] == [
            SegmentRole.PREFIX,
            SegmentRole.CHOSEN,
            SegmentRole.REJECTED,
        ]
        assert chat.decode(prompt[1].tolist()) == f"<s>user\nask {id}<e><s>assistant\n"
        assert chat.decode(chosen[1].tolist()) == rows[int(id)]["chosen"] + "<e>"
        assert chat.decode(rejected[1].tolist()) == "bad<e>"
        assert not prompt[2].any() and chosen[2].all() and rejected[2].all()
        assert packs.segments[at : at + 3, Field.PREFIX].tolist() == [-1, at, at]


@pytest.mark.parametrize("sizes", [(300, 5, 5), (300, 90, 90), (300, 300, 5), (5, 300, 300), (40, 5, 300)])
def test_long_pairs_are_cut_to_fit(tmp_path: Path, model: Path, sizes: tuple[int, int, int]) -> None:
    prompt, chosen, rejected = (f"{name} " * count for name, count in zip("pcr", sizes, strict=True))
    rows = [{"prompt": prompt + "END", "chosen": chosen, "rejected": rejected}]
    prepared = prepare(request(model, {"p": source(tmp_path / "p.jsonl", rows)}, rows="pair"))
    first, second, third = sequences(checked(prepared))
    chat = ChatTokenizer.load(model)
    assert prepared.sources["p"].truncated == 1 and prepared.tokens == 128
    assert chat.decode(first[2].tolist()).endswith("END<e><s>assistant\n")
    assert chosen.startswith(chat.decode(second[2].tolist()).removesuffix("<e>"))
    assert rejected.startswith(chat.decode(third[2].tolist()).removesuffix("<e>"))
    assert min(len(first[2]), len(second[2]), len(third[2])) >= 5


def test_texts_are_targets_but_for_their_first_token(tmp_path: Path, model: Path) -> None:
    rows = [{"text": "word " * 200}, {"text": "short <e> text"}]
    made = source(tmp_path / "t.jsonl", rows)
    split = sequences(checked(prepare(request(model, {"t": made}, rows="clm", long="split"))))
    chat = ChatTokenizer.load(model)
    text = "".join(chat.decode(tokens.tolist()) for id, _, tokens, _ in sorted(split) if "#" in id)
    assert text == "word " * 200 + "<e>"
    assert all(not mask[0] and mask[1:].all() for *_, mask in split)
    drop = prepare(request(model, {"t": made}, rows="clm", long="drop"))
    assert drop.sources["t"].dropped["longer than max_length"].count == 1 and drop.units == 1
    cut = prepare(request(model, {"t": made}, rows="clm"))
    assert cut.sources["t"].truncated == 1 and cut.units == 2
    mixed = prepare(request(model, {"t": made, "c": source(tmp_path / "c.jsonl", talk(5))}, rows="clm"))
    assert mixed.units == 7


def test_rows_of_the_wrong_kind_are_counted(tmp_path: Path, model: Path) -> None:
    text = source(tmp_path / "t.jsonl", [{"text": "raw"}] * 3)
    prepared = prepare(request(model, {"t": text, "c": source(tmp_path / "c.jsonl", talk(5))}))
    use = prepared.sources["t"]
    assert use.kinds == {"text": 3} and use.dropped["wrong kind: text"].count == 3 and use.units == 0
    nothing = prepare(request(model, {"t": text}))
    assert (nothing.steps, nothing.packs, nothing.tokens, nothing.packing_efficiency) == (0, 0, 0, 0.0)
    assert nothing.sources["t"].dropped["wrong kind: text"].count == 3
    assert len(Packs.open(nothing.directory).steps) == 1


def test_rows_without_a_target_are_counted(tmp_path: Path, model: Path) -> None:
    rows = [{"instruction": "long " * 500, "response": "a"}, *talk(3)]
    use = prepare(request(model, {"c": source(tmp_path / "c.jsonl", rows)})).sources["c"]
    assert (use.no_target_rows, use.truncated, use.units, use.dropped["no target token"].count) == (
        1,
        1,
        3,
        1,
    )


def test_unproved_rows_are_named(tmp_path: Path, make_model: Any) -> None:
    template = "{% if messages | length > 2 %}{{ raise_exception('too long') }}{% endif %}" + TEMPLATE
    bad = {"messages": [{"role": role, "content": "x"} for role in ("user", "assistant", "user", "assistant")]}
    good = {"messages": bad["messages"][:2]}
    made = source(tmp_path / "m.jsonl", [good, bad, bad, bad, bad])
    prepared = prepare(request(make_model(template, ["<s>", "<e>"], "<e>"), {"m": made}))
    ((reason, ids),) = prepared.unproved["m"].items()
    assert "too long" in reason and ids == ["m.jsonl:2", "m.jsonl:3", "m.jsonl:4"]
    assert prepared.sources["m"].dropped[f"mask not proved: {reason}"].count == 4


def test_max_steps_cut_and_counts_follow(tmp_path: Path, model: Path) -> None:
    made = {"a": source(tmp_path / "a.jsonl", talk(200)), "b": source(tmp_path / "b.jsonl", talk(300))}
    whole = prepare(request(model, made))
    cut = prepare(request(model, made, max_steps=2))
    checked(cut)
    assert (cut.steps, cut.packs) == (2, 8) and cut.tokens < whole.tokens
    assert cut.sources["a"].weight == pytest.approx(whole.sources["a"].weight, abs=0.1)
    assert cut.sources["a"].epochs < 0.5 and cut.sources["a"].rows == 200


def test_replay_has_its_share_and_name(tmp_path: Path, model: Path) -> None:
    own = {"law": source(tmp_path / "a.jsonl", talk(300))}
    earlier = {"talk": source(tmp_path / "b.jsonl", talk(250, long=2))}
    prepared = prepare(request(model, own, replay={"instruct": (earlier, 0.2)}))
    checked(prepared)
    assert prepared.sources["law"].epochs == 1.0
    assert prepared.sources["replay:instruct/talk"].weight == pytest.approx(0.2, abs=0.005)


def test_all_problems_come_at_once(tmp_path: Path, model: Path) -> None:
    bad = source(tmp_path / "bad.jsonl", [{"instruction": "q", "response": ""}])
    with pytest.raises(DataError) as caught:
        prepare(request(model, {"x": JsonLines(path=str(tmp_path / "x")), "y": JsonLines(path=str(tmp_path / "y"))}))
    assert [one.path for one in caught.value.problems] == [f"data.instruct.sources.{n}.path" for n in "xy"]
    with pytest.raises(DataError) as caught:
        prepare(request(model, {"x": bad, "y": bad}))
    assert len(caught.value.problems) == 2


def test_a_stricter_bound_holds_for_cached_data(tmp_path: Path, model: Path) -> None:
    rows = [{"instruction": "q", "response": ""}, *talk(3)]
    loose = source(tmp_path / "c.jsonl", rows, max_bad_rows=1)
    assert prepare(request(model, {"c": loose})).sources["c"].dropped["empty response"].count == 1
    with pytest.raises(DataError, match="1 rows cannot be read"):
        prepare(request(model, {"c": loose.model_copy(update={"max_bad_rows": 0})}))


def test_the_key_follows_everything_that_matters(tmp_path: Path, model: Path) -> None:
    base = request(model, {"c": source(tmp_path / "c.jsonl", talk(40))})
    changes: list[dict[str, Any]] = [
        {},
        {"seed": 1},
        {"max_length": 64},
        {"epochs": 2.0},
        {"max_steps": 1},
        {"batch_tokens": 256},
        {"long": "drop"},
        {"mix": Mix(temperature=2.0)},
        {"rows": "clm"},
        {"sources": {"d": base.sources["c"]}},
        {"sources": {"c": source(tmp_path / "d.jsonl", talk(41))}},
    ]
    keys = [prepare(replace(base, **change)).fingerprint for change in changes]
    assert len(set(keys)) == len(keys)
    assert prepare(replace(base, name="other", path="elsewhere")).fingerprint == keys[0]
    tokens = list((home() / "cache" / "tokens").iterdir())
    assert len(tokens) == 5  # one for each of length, policy, layout and content, none for the mix


def test_steps_below_max_length_are_packs_of_their_own_size(tmp_path: Path, model: Path) -> None:
    base = request(model, {"c": source(tmp_path / "c.jsonl", talk(40))})
    whole = Packs.open(prepare(base).directory)
    longest = max(len(tokens) for _, _, tokens, _ in sequences(whole))
    for tokens in (1, longest, (longest + base.max_length) // 2):
        found = prepare(replace(base, batch_tokens=tokens))
        packs = Packs.open(found.directory)
        assert packs.capacity == found.capacity == max(tokens, longest) < base.max_length
        assert found.packs_per_step == 1 and found.steps == found.packs == len(packs.steps) - 1
        assert sorted(id for id, *_ in sequences(packs)) == sorted(id for id, *_ in sequences(whole))
    assert prepare(replace(base, batch_tokens=3 * base.max_length)).capacity == base.max_length


def test_order_depends_on_the_seed_alone(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = request(model, {"c": source(tmp_path / "c.jsonl", talk(100))})
    first = prepare(base).directory
    monkeypatch.setenv("TRIPTYCH_HOME", str(tmp_path / "again"))
    second = prepare(base).directory
    assert first != second
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes(), path.name


def test_the_order_of_declaration_changes_nothing(tmp_path: Path, model: Path) -> None:
    made = {name: source(tmp_path / f"{name}.jsonl", talk(30 + n)) for n, name in enumerate("cab")}
    first = prepare(request(model, made, replay={"instruct": (made, 0.2)}))
    turned = dict(reversed(made.items()))
    assert prepare(request(model, turned, replay={"instruct": (turned, 0.2)})).fingerprint == first.fingerprint
    assert list(first.sources) == ["a", "b", "c", "replay:instruct/a", "replay:instruct/b", "replay:instruct/c"]


def test_the_same_inputs_are_neither_encoded_nor_packed_again(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = request(model, {"c": source(tmp_path / "c.jsonl", talk(60))})
    first = prepare(base)

    def stamps() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in (home() / "cache").rglob("*") if path.is_file()}

    before = stamps()

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a cached source was encoded again")

    monkeypatch.setattr("framework.data.prepare.encode_source", never)
    again = prepare(replace(base, name="domain", path="data.domain"))
    assert again == first and stamps() == before
    other = prepare(replace(base, seed=1))  # other packs of the same tokens
    assert other.fingerprint != first.fingerprint
    assert {path: stamp for path, stamp in stamps().items() if path in before} == before


def test_two_processes_may_prepare_at_once(tmp_path: Path, model: Path) -> None:
    made = source(tmp_path / "c.jsonl", talk(400))
    code = f"""
from pathlib import Path
from framework.data.mix import Mix
from framework.data.packs import Packs
from framework.data.prepare import Request, prepare
from framework.sources.jsonl import JsonLines
found = prepare(Request(name="instruct", path="p", rows="sft", sources={{"c": JsonLines(path={made.path!r})}},
    replay={{}}, mix=Mix(), max_length=128, long="truncate", epochs=1.0, max_steps=None, batch_tokens=512, seed=0,
    model_dir=Path({str(model)!r})))
print(found.fingerprint, Packs.open(found.directory).tokens.sum())
"""
    started = [
        subprocess.Popen([sys.executable, "-c", code], cwd=PROJECT, stdout=subprocess.PIPE, text=True) for _ in "ab"
    ]
    said = [process.communicate()[0] for process in started]
    assert [process.returncode for process in started] == [0, 0]
    expected = prepare(request(model, {"c": made}))
    assert said[0] == said[1] == f"{expected.fingerprint} {Packs.open(expected.directory).tokens.sum()}\n"
    assert len(list((home() / "cache" / "packs").iterdir())) == 1 == len(list((home() / "cache" / "tokens").iterdir()))


def test_racing_preparations_agree(tmp_path: Path, model: Path) -> None:
    base = request(model, {"c": source(tmp_path / "c.jsonl", talk(100))})
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: prepare(base), range(6)))
    assert all(one == found[0] for one in found)
    left = list((home() / "cache").rglob(".*"))
    assert left == []


def test_a_cached_request_imports_nothing_heavy(tmp_path: Path, model: Path) -> None:
    made = source(tmp_path / "c.jsonl", talk(5))
    code = f"""
import sys
from pathlib import Path
from framework.data.mix import Mix
from framework.data.prepare import Request, prepare
from framework.sources.jsonl import JsonLines
prepare(Request(name="instruct", path="p", rows="sft", sources={{"c": JsonLines(path={made.path!r})}}, replay={{}},
    mix=Mix(), max_length=128, long="truncate", epochs=1.0, max_steps=None, batch_tokens=512, seed=0,
    model_dir=Path({str(model)!r})))
print(sorted({{"numpy", "tokenizers", "jinja2", "pyarrow", "torch", "datasets"}} & set(sys.modules)))
"""
    prepare(request(model, {"c": made}))
    ran = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_damaged_packs_are_noticed(tmp_path: Path, model: Path) -> None:
    prepared = prepare(request(model, {"c": source(tmp_path / "c.jsonl", talk(5))}))
    np.save(prepared.directory / "tokens.npy", np.zeros(3, dtype=np.int32))
    with pytest.raises(ValueError, match="damaged"):
        Packs.open(prepared.directory)
