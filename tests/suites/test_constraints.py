from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from framework.errors import DataError
from framework.suites._constraints import AnyConstraint, Constraint, loosely_satisfied, satisfied
from framework.suites.constraints import Constraints

ADAPTER: TypeAdapter[Constraint] = TypeAdapter(AnyConstraint)


def make(**arguments: Any) -> Constraint:
    return ADAPTER.validate_json(json.dumps(arguments))


word = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=8)
words = st.lists(word, min_size=1, max_size=6, unique=True)
phrase = words.map(" ".join)


@dataclass(frozen=True)
class Case:
    """A constraint with a reply that satisfies it and one that violates it."""

    arguments: dict[str, Any]
    good: str
    bad: str


@st.composite
def bullets(draw: st.DrawFn) -> Case:
    count, mark = draw(st.integers(1, 6)), draw(st.sampled_from("-*+\u2022"))
    lines = [f"{mark} {draw(phrase)}" for _ in range(count)]
    wrong = draw(st.sampled_from([lines[1:], [*lines, f"{mark} more"]]))
    return Case({"kind": "bullets", "count": count}, "\n".join(["intro", *lines]), "\n".join(["intro", *wrong]))


@st.composite
def numbered(draw: st.DrawFn) -> Case:
    count, mark = draw(st.integers(2, 6)), draw(st.sampled_from(".)"))
    lines = [f"{number}{mark} {draw(phrase)}" for number in range(1, count + 1)]
    wrong = draw(st.sampled_from([lines[1:], lines[:-1], [*lines, "1. again"], lines[::-1]]))
    return Case({"kind": "numbered", "count": count}, "\n".join(lines), "\n".join(wrong))


@st.composite
def json_keys(draw: st.DrawFn) -> Case:
    keys = draw(words)
    text = json.dumps(dict.fromkeys(keys, "x"))
    good = draw(st.sampled_from([text, f"```json\n{text}\n```", f"\n{text}\n"]))
    bad = draw(
        st.sampled_from([json.dumps(dict.fromkeys(keys[1:], "x")), text[:-1], f"Here: {text}", json.dumps(keys)])
    )
    return Case({"kind": "json_keys", "keys": keys}, good, bad)


@st.composite
def max_words(draw: st.DrawFn) -> Case:
    count = draw(st.integers(1, 20))
    size = draw(st.integers(1, count))
    arguments = {"kind": "max_words", "count": count}
    return Case(arguments, "word " * size, "word\n" * (count + draw(st.integers(1, 3))))


@st.composite
def includes(draw: st.DrawFn) -> Case:
    wanted = draw(words)
    missing = draw(st.sampled_from(wanted))
    rest = [w for w in wanted if w != missing]
    good = ", ".join(wanted).upper() + "."
    return Case({"kind": "includes", "words": wanted}, good, " ".join([*rest, f"{missing}zz9", "end"]))


@st.composite
def excludes(draw: st.DrawFn) -> Case:
    banned = draw(words)
    used = draw(st.sampled_from(banned))
    return Case({"kind": "excludes", "words": banned}, f"0 {used}zz9 1", f"So ({used.upper()}) it is.")


@st.composite
def two_parts(draw: st.DrawFn) -> Case:
    separator = draw(st.sampled_from(["******", "---", "[next]"]))
    first, second = draw(phrase), draw(phrase) + " 2"
    bad = draw(
        st.sampled_from([first, f"{first}{separator}{first}", f"{separator}{first}", f"a{separator}b{separator}c"])
    )
    return Case({"kind": "two_parts", "separator": separator}, f"{first}\n{separator}\n{second}", bad)


@st.composite
def simple(draw: st.DrawFn) -> Case:
    text, other = draw(phrase), "0 unlike"
    return draw(
        st.sampled_from(
            [
                Case({"kind": "lowercase"}, f"{text}, {text}!", f"{text} X"),
                Case({"kind": "uppercase"}, f"{text}, {text}!".upper(), f"{text} X"),
                Case({"kind": "starts_with", "text": text}, f'"{text.upper()} and on', f"{other} {text}"),
                Case({"kind": "ends_with", "text": text}, f"so {text.upper()}\n", f"{text} {other}"),
                Case({"kind": "one_word", "options": ["yes", text.split()[0] + "q"]}, "**Yes.**", "yes indeed"),
                Case({"kind": "title"}, f"<<{text}>>\n\nBody", f"<{text}>\n<< >>"),
                Case({"kind": "quoted"}, f' "{text}" ', f'"{text}'),
            ]
        )
    )


ANY = st.one_of(bullets(), numbered(), json_keys(), max_words(), includes(), excludes(), two_parts(), simple())


@given(ANY)
def test_good_replies_satisfy_and_bad_ones_do_not(case: Case) -> None:
    constraint = make(**case.arguments)
    assert satisfied(constraint, case.good)
    assert not satisfied(constraint, case.bad)


@given(ANY)
def test_an_empty_reply_satisfies_nothing(case: Case) -> None:
    assert not satisfied(make(**case.arguments), " \n")
    assert not loosely_satisfied(make(**case.arguments), " \n")


@given(ANY, st.text(max_size=80))
def test_what_holds_strictly_holds_loosely(case: Case, reply: str) -> None:
    constraint = make(**case.arguments)
    assert loosely_satisfied(constraint, case.good)
    assert loosely_satisfied(constraint, reply) or not satisfied(constraint, reply)


@pytest.mark.parametrize(
    "reply",
    [
        'Sure!\n"so"',
        '"so"\nHope this helps.',
        'Sure!\n"so"\nHope this helps.',
        '**"so"**',
        'Sure!\n*"so"*\nBye',
    ],
)
def test_loose_forgives_frame_lines_and_asterisks(reply: str) -> None:
    assert not satisfied(make(kind="quoted"), reply)
    assert loosely_satisfied(make(kind="quoted"), reply)


def test_loose_forgives_no_second_frame_line() -> None:
    assert not loosely_satisfied(make(kind="quoted"), 'Sure!\nHere:\n"so"')


def test_the_generators_cover_every_kind() -> None:
    kinds = {get_args(model.model_fields["kind"].annotation)[0] for model in get_args(get_args(AnyConstraint)[0])}
    generated = {"bullets", "numbered", "json_keys", "max_words", "includes", "excludes", "two_parts"}
    generated |= {"lowercase", "uppercase", "starts_with", "ends_with", "one_word", "title", "quoted"}
    assert kinds == generated


@pytest.mark.parametrize(
    "arguments",
    [
        {"kind": "rhymes"},
        {"kind": "bullets"},
        {"kind": "bullets", "count": 0},
        {"kind": "bullets", "count": "3"},
        {"kind": "lowercase", "count": 3},
        {"kind": "json_keys", "keys": []},
        {"kind": "includes", "words": [" "]},
        {"kind": "one_word", "options": ["yes"]},
        {"kind": "one_word", "options": ["yes", "not now"]},
        {"kind": "two_parts", "separator": ""},
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make(**arguments)


def test_wrong_constraints_are_reported_with_line_and_place(items: Callable[..., str]) -> None:
    path = items(
        {"prompt": "p", "constraints": [{"kind": "lowercase"}, {"kind": "bullets", "count": 0}]},
        {"prompt": "p", "constraints": []},
    )
    with pytest.raises(DataError) as caught:
        Constraints(path=path, measures="instruct").load()
    first, second = caught.value.problems
    assert first.path == "constraints.1.bullets.count"
    assert first.origin.endswith("items.jsonl:1")
    assert second.origin.endswith("items.jsonl:2")
