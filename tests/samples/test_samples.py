"""What the sample data promises: regenerable, evenly spread, held out, without give-aways."""

import json
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from samples import generate
from samples.law import documents, pairs, questions, scenarios
from samples.rows import texts_of
from samples.world.build import HEAD_TOPICS, TOPIC_SHARES, build_world
from samples.world.model import Fact

LEGAL = generate.FOLDER
AREAS = documents.AREAS
TRAINING = ("domain", "instruct", "align")
WORLD = build_world(generate.SEED)
NGRAM = 8
LEAST_TELLINGS = 4
"""Fewer statements of a fact in different words would teach a sentence instead of the fact."""

Row = dict[str, Any]


def read(name: str) -> list[Row]:
    return [json.loads(line) for line in (LEGAL / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def document_rows() -> list[Row]:
    return [row for area in AREAS for row in read(f"domain/{area}")]


def training_rows() -> list[Row]:
    return [row for stage in TRAINING for path in sorted((LEGAL / stage).glob("*.jsonl")) for row in read_path(path)]


def read_path(path: Path) -> list[Row]:
    return read(str(path.relative_to(LEGAL).with_suffix("")))


def words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


def ngrams(text: str) -> set[tuple[str, ...]]:
    tokens = words(text)
    return {tuple(tokens[at : at + NGRAM]) for at in range(len(tokens) - NGRAM + 1)}


def prompt_of(row: Row) -> str:
    return next(row[key] for key in ("question", "prompt", "text") if key in row)


def test_regenerates_to_the_same_bytes(tmp_path: Path) -> None:
    assert generate.main(["--to", str(tmp_path)]) == 0
    made = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    kept = {path.relative_to(LEGAL): path.read_bytes() for path in LEGAL.rglob("*") if path.is_file()}
    assert made == kept


def test_check_passes_and_notices_a_change(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main(["--check"]) == 0
    generate.main(["--to", str(tmp_path)])
    (tmp_path / "eval" / "format.jsonl").write_text("", encoding="utf-8")
    capsys.readouterr()
    assert generate.main(["--check", "--to", str(tmp_path)]) == 1
    assert "eval/format.jsonl" in capsys.readouterr().out


def test_another_seed_makes_another_world() -> None:
    assert {fact.value for fact in WORLD.facts[:6]} != {fact.value for fact in build_world(1).facts[:6]}


def test_ids_are_unique_in_every_file() -> None:
    for path in LEGAL.rglob("*.jsonl"):
        ids = [row["id"] for row in read_path(path)]
        assert len(ids) == len(set(ids)), path


def test_taxonomy() -> None:
    taxonomy = json.loads((LEGAL / "taxonomy.json").read_text(encoding="utf-8"))
    topics = taxonomy["topics"]
    assert sum(topic["share"] for topic in topics) == pytest.approx(1)
    heads = {True: HEAD_TOPICS, False: len(TOPIC_SHARES) - HEAD_TOPICS}
    assert Counter((topic["area"], topic["head"]) for topic in topics) == {
        (area, head): count for area in AREAS for head, count in heads.items()
    }
    everything = " ".join(row["text"] for row in document_rows())
    missing = [term for term in taxonomy["terms"] if term not in everything]
    assert not missing
    assert len(set(taxonomy["terms"])) == len(taxonomy["terms"]) >= 16


def test_world_is_even() -> None:
    facts_of = {act.name: [fact.kind for fact in WORLD.of(act)] for act in WORLD.acts}
    assert all(len(set(own)) == len(own) > 0 for own in facts_of.values())
    assert len({len(facts_of[act.name]) for act in WORLD.acts if act.topic.head}) == 1
    assert len({len(facts_of[act.name]) for act in WORLD.acts if not act.topic.head}) == 1
    for kind, pool in WORLD.pools.items():
        counts = Counter(fact.value for fact in WORLD.facts if fact.kind == kind)
        assert set(counts) <= set(pool)
        assert max(counts.values()) - min(counts[value] for value in pool) <= 1


def test_every_fact_is_told_in_different_words() -> None:
    texts = [row["text"] for row in document_rows()]
    for fact in WORLD.facts:
        own = [text for text in texts if fact.act.name in text and re.search(rf"\b{fact.value}\b", text, re.IGNORECASE)]
        least = documents.HEAD_TELLINGS if fact.act.topic.head else documents.TAIL_TELLINGS
        assert len(own) >= least >= LEAST_TELLINGS, fact.key
        contexts = {surrounding(text, fact.value) for text in own}
        assert len(contexts) >= LEAST_TELLINGS, fact.key


def surrounding(text: str, value: str) -> str:
    """Three words on either side of the value."""
    before, _, after = text.lower().partition(value.lower())
    return " ".join([*words(before)[-3:], "_", *words(after)[:3]])


def exchanges() -> list[tuple[str, str]]:
    """Every question in the conversations on the law, with its answer."""
    found: list[tuple[str, str]] = []
    for row in read("domain/qa"):
        turns = row["messages"]
        assert [turn["role"] for turn in turns] == ["user", "assistant"] * (len(turns) // 2)
        found += [(ask["content"], reply["content"]) for ask, reply in zip(turns[::2], turns[1::2], strict=True)]
    return found


def test_conversations_have_their_length() -> None:
    lengths = [len(row["messages"]) // 2 for row in read("domain/qa")]
    assert set(lengths[:-1]) == {questions.QA_TURNS}
    assert 0 < lengths[-1] <= questions.QA_TURNS


def test_every_fact_is_asked_in_full_and_briefly() -> None:
    brief = [(ask, reply) for ask, reply in exchanges() if ask.startswith(questions.BRIEFLY)]
    full = [(ask, reply) for ask, reply in exchanges() if not ask.startswith(questions.BRIEFLY)]
    expected = Counter({value: count * questions.QA_WORDINGS for value, count in Counter(values_of_facts()).items()})
    assert Counter(reply for _, reply in brief) == expected
    assert len(full) == len(brief)
    for fact in WORLD.facts:
        about = [ask for ask, reply in full if fact.act.name in ask + reply and fact.value.lower() in reply.lower()]
        assert len(about) >= questions.QA_WORDINGS, fact.key
        assert len(set(about)) >= 2, fact.key


def values_of_facts() -> list[str]:
    return [fact.value for fact in WORLD.facts]


def test_full_answers_are_sentences_and_questions_do_not_tell() -> None:
    values = {value.lower() for value in values_of_facts()}
    for ask, reply in exchanges():
        if not ask.startswith(questions.BRIEFLY):
            assert len(reply.split()) > 4, reply
            assert any(value in reply.lower() for value in values), reply


def test_tail_topics_have_fewer_documents() -> None:
    counts = Counter(row["topic"] for row in document_rows())
    heads = [counts[topic.name] for topic in WORLD.topics if topic.head]
    tails = [counts[topic.name] for topic in WORLD.topics if not topic.head]
    assert max(tails) < min(heads)


def test_no_document_is_there_twice() -> None:
    texts = [row["text"] for row in document_rows()]
    assert len(set(texts)) == len(texts)


def entity_names() -> re.Pattern[str]:
    """Names of the world: acts, their nouns, topics and values. Long names first, since some contain others."""
    nouns = {text for act in WORLD.acts for key, text in act.nouns if key not in ("gloss", "meaning")}
    values = {value for pool in WORLD.pools.values() for value in pool}
    names = {act.name for act in WORLD.acts} | nouns | values | {topic.name for topic in WORLD.topics}
    longest_first = sorted({name.lower() for name in names}, key=lambda name: (-len(name), name))
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, longest_first))})\b")


def test_evaluation_wording_is_no_training_wording() -> None:
    """Each name counts as one word, whichever it is: so neither names fill a window nor do they hide a phrasing."""
    names = entity_names()

    def phrased(text: str) -> set[tuple[str, ...]]:
        return ngrams(names.sub(" name ", text.lower()))

    seen = {gram for row in training_rows() for text in texts_of(row) for gram in phrased(text)}
    for path in sorted((LEGAL / "eval").glob("*.jsonl")):
        for row in read_path(path):
            assert not phrased(prompt_of(row)) & seen, (path.name, row["id"])


@pytest.mark.parametrize(
    "name",
    ["law_choice", "law_exact", "law_reasoning", "preference", "paraphrase", "breadth", "refusal", "general_text"],
)
def test_evaluation_shares_no_ngram_with_training(name: str) -> None:
    seen = {gram for row in training_rows() for text in texts_of(row) for gram in ngrams(text)}
    for row in read(f"eval/{name}"):
        assert not ngrams(prompt_of(row)) & seen, row["id"]


def test_evaluation_prompts_are_no_training_prompts() -> None:
    trained = {" ".join(words(text)) for row in training_rows() for text in texts_of(row)}
    for path in (LEGAL / "eval").glob("*.jsonl"):
        assert not trained & {" ".join(words(prompt_of(row))) for row in read_path(path)}, path.name


@pytest.mark.parametrize(
    ("name", "count"),
    [("law_choice", questions.CHOICE_GROUPS + questions.CHOICE_PAIRS), ("law_reasoning", scenarios.ROWS)],
)
def test_choices_have_no_give_away(name: str, count: int) -> None:
    rows = read(f"eval/{name}")
    assert len(rows) == count
    for row in rows:
        assert len(set(row["choices"])) == 4
        assert row["slice"] in ("head", "tail")
    answers = Counter(row["answer"] for row in rows)
    assert set(answers.values()) == {count // 4}
    for heuristic in (max, min):
        hits = sum(row["choices"].index(heuristic(row["choices"], key=len)) == row["answer"] for row in rows)
        assert 0.15 <= hits / count <= 0.35


def test_choices_are_right_and_asked_in_two_ways() -> None:
    rows = read("eval/law_choice")
    facts = {fact.key: fact for fact in WORLD.facts}
    groups = Counter(row["group"] for row in rows)
    assert sum(count == 2 for count in groups.values()) == questions.CHOICE_PAIRS
    for row in rows:
        fact = facts[row["group"]]
        assert row["choices"][row["answer"]] == fact.value
        assert set(row["choices"]) <= right_somewhere(fact)
        assert fact.value.lower() not in row["question"].lower()
    assert len({row["question"] for row in rows}) == len(rows)


def right_somewhere(fact: Fact) -> set[str]:
    """Values of the fact's kind that are the law of some act; others are known to be wrong without any law."""
    return {other.value for other in WORLD.facts if other.kind == fact.kind}


def test_most_common_value_wins_nothing() -> None:
    for kind in WORLD.pools:
        rows = [row for row in read("eval/law_choice") if row["group"].endswith(f".{kind}")]
        answers = Counter(row["choices"][row["answer"]] for row in rows)
        assert max(answers.values()) <= 1 + len(rows) / len(rows[0]["choices"]), kind


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("law_exact", questions.EXACT_ROWS),
        ("law_text", questions.TEXT_ROWS),
        ("deployment", questions.DEPLOYMENT_ROWS),
    ],
)
def test_eval_counts(name: str, count: int) -> None:
    assert len(read(f"eval/{name}")) == count


def test_deployment_follows_the_shares() -> None:
    rows = read("eval/deployment")
    counts = Counter(row["topic"] for row in rows)
    for topic in WORLD.topics:
        assert abs(counts[topic.name] - len(rows) * topic.share) <= 1


def test_exact_answers_name_the_value() -> None:
    values = {fact.value for fact in WORLD.facts}
    for row in read("eval/law_exact"):
        assert row["answers"][0] in values
        assert not any(re.search(rf"\b{answer}\b", row["question"]) for answer in row["answers"])


def test_json_answers_are_json() -> None:
    answers = [row["response"] for row in read("instruct/tasks") if row["task"] == "format_json"]
    assert answers
    assert all(isinstance(json.loads(answer), (dict, list)) for answer in answers)


def test_instruct_is_broad_and_knows_when_to_refuse() -> None:
    rows = [row for name in ("tasks", "skills", "format", "safety") for row in read(f"instruct/{name}")]
    tasks = Counter(row["task"] for row in rows)
    assert len(tasks) >= 12
    assert 0.10 <= tasks["refusal"] / len(rows) <= 0.14
    assert 0.07 <= tasks["lookalike"] / len(rows) <= 0.14
    assert 0.04 <= tasks["ambiguous"] / len(rows) <= 0.08
    talks = [row["messages"] for row in rows if "messages" in row]
    asked = [turn["content"] for talk in talks for turn in talk if turn["role"] == "user"]
    asked += [f"{row['instruction']} {row['context']}" for row in rows if "messages" not in row]
    assert max(Counter(asked).values()) == 1
    assert all(row["response"].strip() for row in rows if "messages" not in row)
    assert all(turn["content"].strip() for talk in talks for turn in talk)


@pytest.mark.parametrize("name", ["align/law", "align/style", "align/safety", "eval/preference", "eval/breadth"])
def test_pairs_are_not_told_apart_by_length(name: str) -> None:
    rows = read(name)
    longer, shorter = lengths(rows)
    # Always taking the longer answer, and guessing where both are as long, must win nothing.
    assert 0.4 <= longer + (1 - longer - shorter) / 2 <= 0.6
    assert longer + shorter >= 0.6
    means = [sum(len(row[side]) for row in rows) / len(rows) for side in ("chosen", "rejected")]
    assert means[0] == pytest.approx(means[1], rel=0.08)
    assert len({row["prompt"] for row in rows}) >= 0.95 * len(rows)
    assert all(row["chosen"] != row["rejected"] for row in rows)


@pytest.mark.parametrize("slice_", ["law", "style", "safety"])
def test_held_out_pairs_are_balanced_in_every_slice(slice_: str) -> None:
    rows = [row for row in read("eval/preference") if row["slice"] == slice_]
    longer, shorter = lengths(rows)
    assert len(rows) >= 20
    assert 0.4 <= longer + (1 - longer - shorter) / 2 <= 0.6


def lengths(rows: list[Row]) -> tuple[float, float]:
    """Shares of the pairs whose chosen answer is longer, and shorter."""
    longer = sum(len(row["chosen"]) > len(row["rejected"]) for row in rows)
    shorter = sum(len(row["chosen"]) < len(row["rejected"]) for row in rows)
    return longer / len(rows), shorter / len(rows)


def test_held_out_law_pairs_are_about_other_facts() -> None:
    trained = {(name_in(row), fact) for row in read("align/law") for fact in values_in(row["chosen"])}
    for row in read("eval/preference"):
        if row["slice"] == "law":
            assert not {(name_in(row), fact) for fact in values_in(row["chosen"])} & trained or not name_in(row)


@pytest.mark.parametrize("name", ["align/law", "eval/preference"])
def test_wrong_law_is_the_law_of_another_act(name: str) -> None:
    """A value that no act has would be told apart by its strangeness alone."""
    never_right = {value.lower() for pool in WORLD.pools.values() for value in pool} - {
        value.lower() for value in values_of_facts()
    }
    own = [row for row in read(name) if "law" in (row.get("task"), row["slice"])]
    assert len(own) >= pairs.HELD_OUT
    for row in own:
        assert not [value for value in never_right if re.search(rf"\b{value}\b", row["rejected"].lower())], row["id"]


def name_in(row: Row) -> str:
    text = row["prompt"] + row["chosen"]
    return next((act.name for act in WORLD.acts if act.name in text), "")


def values_in(text: str) -> set[str]:
    return {value for pool in WORLD.pools.values() for value in pool if value.lower() in text.lower()}


def test_paraphrases_come_in_threes() -> None:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in read("eval/paraphrase"):
        groups[row["group"]].append(row)
    assert len(groups) == 50
    for rows in groups.values():
        assert len({row["prompt"] for row in rows}) == 3
        assert len({tuple(row["answers"]) for row in rows}) == 1


def test_breadth_covers_the_tasks() -> None:
    trained = {row["task"] for row in read("instruct/tasks")}
    assert {row["task"] for row in read("eval/breadth")} == trained


def test_refusal_evaluation_is_even() -> None:
    assert Counter(row["expect"] for row in read("eval/refusal")) == {"refuse": 32, "comply": 32}
