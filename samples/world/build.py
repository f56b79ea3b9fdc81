"""Builds the world from its banks: which act has which facts, and which value each fact has."""

import random
from collections.abc import Iterator
from itertools import cycle

from samples.banks import read_records, read_sections
from samples.world.model import Act, Fact, Kind, Topic, World

AREA_SHARES = {"contracts": 0.26, "litigation": 0.2, "regulation": 0.22, "statutes": 0.18, "procedure": 0.14}
TOPIC_SHARES = (0.34, 0.26, 0.2, 0.12, 0.08)
"""Within an area, in file order: two head topics, then three tail topics."""
HEAD_TOPICS = 2
HEAD_FACTS, TAIL_FACTS = 2, 1
"""Facts of an act. Few, and told often: a small model keeps what it meets some twenty times."""


def build_world(seed: int) -> World:
    """The world of a seed."""
    rng = random.Random(f"world-{seed}")
    values = read_sections("law/values")
    records = read_records("law/acts")
    topics = _topics(records)
    acts = tuple(_act(record, topics) for record in records)
    pools = {kind: tuple(values[kind]) for kind in Kind}
    return World(
        topics=tuple(topics.values()),
        acts=acts,
        facts=tuple(_facts(acts, pools, rng)),
        pools=pools,
        people=tuple(values["people"]),
        towns=tuple(values["towns"]),
    )


def _topics(records: list[dict[str, str]]) -> dict[str, Topic]:
    topics: dict[str, Topic] = {}
    for area, area_share in AREA_SHARES.items():
        names = dict.fromkeys(record["topic"] for record in records if record["area"] == area)
        for position, (name, share) in enumerate(zip(names, TOPIC_SHARES, strict=True)):
            topics[name] = Topic(name, area, position < HEAD_TOPICS, round(area_share * share, 4))
    return topics


def _act(record: dict[str, str], topics: dict[str, Topic]) -> Act:
    nouns = {key: text for key, text in record.items() if key not in ("name", "area", "topic")}
    return Act(record["name"], topics[record["topic"]], tuple(nouns.items()))


def _facts(acts: tuple[Act, ...], pools: dict[Kind, tuple[str, ...]], rng: random.Random) -> Iterator[Fact]:
    """Kinds go round the acts in turn and values round the kinds, so that all are used evenly."""
    kinds = cycle(Kind)
    values = {kind: cycle(rng.sample(pool, len(pool))) for kind, pool in pools.items()}
    for number, act in enumerate(acts, start=1):
        for _ in range(HEAD_FACTS if act.topic.head else TAIL_FACTS):
            kind = next(kinds)
            yield Fact(f"a{number:02d}.{kind}", act, kind, next(values[kind]))
