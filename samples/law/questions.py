"""Questions about single facts: for training (domain instruction pairs) and for the evaluations."""

import random
from collections.abc import Iterator, Sequence

from samples.banks import read_sections, split_pair
from samples.law.choices import arrange, draw_balanced, pick_choices
from samples.law.documents import Register, compose
from samples.rows import Row, said
from samples.world.model import Fact, Kind, Topic, World
from samples.world.speech import Speaker

QA_WORDINGS = 3
QA_TURNS = 3
BRIEFLY = ("Briefly:", "In a few words:", "Short answer, please.", "Just the essential:")
CHOICE_GROUPS, CHOICE_PAIRS = 34, 34
EXACT_ROWS, TEXT_ROWS, DEPLOYMENT_ROWS = 30, 16, 80


def qa_rows(world: World, seed: int) -> list[Row]:
    """Conversations that ask about a few acts in turn: in sentences, or briefly after a word that says so."""
    speaker = Speaker(world, f"qa-{seed}")
    asked: list[tuple[Topic, Row, Row]] = []
    full, brief = read_sections("law/qa"), read_sections("law/brief")
    for turn in range(QA_WORDINGS):
        for place, fact in enumerate(world.facts):
            slots = speaker.about(fact.act, fact.value)
            question, answer = split_pair(full[fact.kind][(place + turn) % len(full[fact.kind])])
            exchange = said("user", speaker.say(question, slots)), said("assistant", speaker.say(answer, slots))
            asked.append((fact.act.topic, *exchange))
            short = speaker.say(brief[fact.kind][(place + turn) % len(brief[fact.kind])], slots)
            request = f"{BRIEFLY[(place + turn) % len(BRIEFLY)]} {short}"
            asked.append((fact.act.topic, said("user", request), said("assistant", fact.value)))
    speaker.rng.shuffle(asked)
    rows: list[Row] = []
    for start in range(0, len(asked), QA_TURNS):
        group = asked[start : start + QA_TURNS]
        messages = [turn for _, question, answer in group for turn in (question, answer)]
        rows.append({"messages": messages, "task": "domain_qa"})
    return rows


def choice_rows(world: World, seed: int) -> list[Row]:
    """Four-way questions; some facts are asked twice in other words under one group."""
    speaker = Speaker(world, f"choice-{seed}")
    bank = read_sections("law/choice")
    facts = sorted(spread(world.facts, CHOICE_GROUPS, speaker.rng), key=lambda fact: fact.key)
    asked = [(fact, place % 2) for place, fact in enumerate(facts)]
    asked += [(fact, 1 - way) for fact, way in asked[:: CHOICE_GROUPS // CHOICE_PAIRS]]

    def draw() -> list[Row]:
        items: list[tuple[Row, list[str]]] = []
        for fact, way in asked:
            row = {"question": speaker.state(fact, bank[fact.kind][way]), **labels(fact)}
            items.append((row, pick_choices(fact, world, speaker.rng)))
        return arrange(items, speaker.rng)

    return draw_balanced(draw)


def exact_rows(world: World, seed: int) -> list[Row]:
    """Completions with a short answer."""
    speaker = Speaker(world, f"exact-{seed}")
    bank = read_sections("law/exact")
    return [
        {
            "question": speaker.state(fact, bank[fact.kind][place % 2]),
            "answers": accepted(fact),
            "slice": fact.slice,
            "topic": fact.act.topic.name,
        }
        for place, fact in enumerate(spread(world.facts, EXACT_ROWS, speaker.rng))
    ]


def text_rows(world: World, seed: int) -> list[Row]:
    """Held-out documents: known law in a register no training document uses."""
    speaker = Speaker(world, f"texts-{seed}")
    register = Register("heldout", speaker.rng)
    rows: list[Row] = []
    for act in speaker.rng.sample(world.acts, TEXT_ROWS):
        facts = world.of(act)
        rows.append({"text": compose(act, facts, register, speaker), "topic": act.topic.name})
    return rows


def deployment_rows(world: World, seed: int) -> list[Row]:
    """Questions as users put them, in the shares of the taxonomy."""
    speaker = Speaker(world, f"deployment-{seed}")
    bank = read_sections("law/deployment")
    rows: list[Row] = []
    for topic, count in _counts(world.topics, DEPLOYMENT_ROWS):
        facts = [fact for fact in world.facts if fact.act.topic == topic]
        for fact in speaker.rng.choices(facts, k=count):
            text = speaker.state(fact, speaker.rng.choice(bank[fact.kind]))
            rows.append({"text": text, "topic": topic.name})
    speaker.rng.shuffle(rows)
    return rows


def spread(facts: Sequence[Fact], count: int, rng: random.Random) -> list[Fact]:
    """`count` facts, the kinds as even as can be."""
    by_kind = {kind: rng.sample(own, len(own)) for kind in Kind if (own := [f for f in facts if f.kind == kind])}
    longest = max(len(own) for own in by_kind.values())
    ordered = [own[turn] for turn in range(longest) for own in by_kind.values() if turn < len(own)]
    return ordered[:count]


def labels(fact: Fact) -> Row:
    """What a question about the fact says of itself."""
    topic = fact.act.topic
    return {"slice": fact.slice, "topic": topic.name, "area": topic.area, "group": fact.key}


def accepted(fact: Fact) -> list[str]:
    """The value, and the value without its article or unit."""
    words = fact.value.split()
    shorter = " ".join(words[1:]) if words[0] in ("the", "a", "an") else words[0]
    return list(dict.fromkeys([fact.value, shorter]))


def _counts(topics: Sequence[Topic], total: int) -> Iterator[tuple[Topic, int]]:
    """Whole numbers in the topics' shares, by largest remainder."""
    counts = [int(topic.share * total) for topic in topics]
    by_remainder = sorted(range(len(topics)), key=lambda at: counts[at] - topics[at].share * total)
    for at in by_remainder[: total - sum(counts)]:
        counts[at] += 1
    yield from zip(topics, counts, strict=True)
