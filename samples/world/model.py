"""What exists in Quorrin: typed, frozen, and the same for every reader."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The relation a fact states; facts of one kind draw their values from one pool."""

    OFFICE = "office"
    DEADLINE = "deadline"
    FEE = "fee"
    PENALTY = "penalty"
    COURT = "court"
    EXEMPT = "exempt"
    ROLL = "roll"
    TERM = "term"


@dataclass(frozen=True)
class Topic:
    """A topic of the declared taxonomy with its share of the expected questions."""

    name: str
    area: str
    head: bool
    share: float


@dataclass(frozen=True)
class Act:
    """An enactment and the nouns that texts about it need."""

    name: str
    topic: Topic
    nouns: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Fact:
    """One atomic rule: `act` has `value` for `kind`."""

    key: str
    act: Act
    kind: Kind
    value: str

    @property
    def slice(self) -> str:
        """`head` or `tail`, after the topic."""
        return "head" if self.act.topic.head else "tail"


@dataclass(frozen=True)
class World:
    """The whole jurisdiction."""

    topics: tuple[Topic, ...]
    acts: tuple[Act, ...]
    facts: tuple[Fact, ...]
    pools: dict[Kind, tuple[str, ...]]
    people: tuple[str, ...]
    towns: tuple[str, ...]

    def of(self, act: Act) -> tuple[Fact, ...]:
        """The facts of one act."""
        return tuple(fact for fact in self.facts if fact.act == act)
