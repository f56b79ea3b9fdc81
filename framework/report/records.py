"""The files of a run directory as typed records. Fields that a later version adds are passed over."""

from __future__ import annotations

from typing import Annotated, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from framework.data.convert import Conversion

Measures = Literal["instruct", "domain", "align", "reward", "general"]
MEASURES: tuple[Measures, ...] = get_args(Measures)
Level = Literal["error", "warning", "info"]
Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0)]


class Record(BaseModel):
    """Finite numbers only; a NaN makes the record unusable, and the report says so."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class SourceUse(Record):
    """A source of a stage in plan.json."""

    rows: Count
    rows_used: Count
    tokens: Count
    supervised_tokens: Count
    epochs: Amount
    planned: Amount | None = None
    weight: Amount
    dropped: dict[str, Count] = {}
    truncated: Count = 0
    format: str = ""
    records: Count = 0
    available_tokens: Count = 0
    budget_spent: bool = False
    conversion: Conversion | None = None


class Cost(Record):
    """The estimate of a stage."""

    memory_bytes: Amount
    flops: Amount
    seconds: Amount


class PlanStage(Record):
    """A stage in plan.json."""

    name: str
    kind: str
    key: str
    parent: str
    reused: bool
    objective: str
    adapter: str
    strength: Amount = 1.0
    """Share of what it learns that its model takes."""
    sources: dict[str, SourceUse]
    steps: Count
    tokens: Count
    supervised_tokens: Count
    packing_efficiency: Amount
    estimate: Cost


class Finding(Record):
    """What a check said."""

    code: str
    level: Level
    stage: str
    message: str
    fix: str


class PlanModel(Record):
    """The model that the run starts from."""

    name: str = ""
    fingerprint: str = ""
    dtype: str = ""


class PlanFile(Record):
    """plan.json."""

    plan_key: str
    seed: int
    model: PlanModel = PlanModel()
    stages: list[PlanStage]
    findings: list[Finding] = []


class StageFile(Record):
    """stage.json; a failed stage has its name, kind, key and status alone."""

    name: str
    kind: str
    key: str
    status: Literal["trained", "reused", "failed"]
    parent: str = ""
    steps: Count = 0
    tokens: Count = 0
    supervised_tokens: Count = 0
    seconds: Amount = 0.0
    seconds_by_phase: dict[str, Amount] = {}
    peak_memory_bytes: Count = 0
    versions: dict[str, str] = {}
    device: str = ""
    world_size: Count = 0


class Step(Record):
    """A line of metrics.jsonl."""

    step: Count
    loss: float
    loss_by_source: dict[str, float | None] = {}
    lr: float = 0.0
    grad_norm: float | None = None
    tokens: Count = 0
    tokens_per_second: Amount = 0.0
    reward_margin: float | None = None
    reward_accuracy: float | None = None


class Sliced(Record):
    """A metric over some of the items."""

    value: float
    n: Count


class Example(Record):
    """One item and the model's reply."""

    id: str
    prompt: str
    reply: str
    expected: str
    correct: bool


class Result(Record):
    """A suite's result."""

    metric: str
    value: float
    n: Count
    higher_is_better: bool
    measures: Measures = "general"
    slices: dict[str, Sliced] = {}
    metrics: dict[str, float] = {}
    examples: list[Example] = []


class EvalsFile(Record):
    """evals.json."""

    before: dict[str, Result] | None
    after: dict[str, Result] | None


class Cell(Record):
    """A suite's value in one column of the retention table."""

    value: float
    n: Count
    best: float
    change: float
    change_percent: float | None = None


class RetentionRow(Record):
    """A suite through the run."""

    suite: str
    measures: Measures = "general"
    metric: str
    higher_is_better: bool
    cells: list[Cell | None]

    @property
    def first(self) -> Cell | None:
        """The first cell that was measured."""
        return next((cell for cell in self.cells if cell is not None), None)

    @property
    def last(self) -> Cell | None:
        """The last cell that was measured: a reward stage measures no policy, and others no reward model."""
        return next((cell for cell in reversed(self.cells) if cell is not None), None)


class Retention(Record):
    """The retention table."""

    columns: list[str]
    rows: list[RetentionRow]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for row in self.rows:
            if len(row.cells) != len(self.columns):
                raise ValueError(f"{row.suite} has {len(row.cells)} cells for {len(self.columns)} columns")
        return self

    def grouped(self) -> list[tuple[Measures, list[RetentionRow]]]:
        """The rows by what they measure, in the order of the stages; groups without rows are left out."""
        groups: list[tuple[Measures, list[RetentionRow]]] = [
            (group, [row for row in self.rows if row.measures == group]) for group in MEASURES
        ]
        return [(group, rows) for group, rows in groups if rows]


class MixShare(Record):
    """A source's planned and realised share of a stage."""

    planned: Amount
    realised: Amount
    tokens: Count = 0
    epochs: Amount = 0.0
    rows_used: Count = 0


class Totals(Record):
    """Sums over the stages."""

    steps: Count = 0
    tokens: Count = 0
    supervised_tokens: Count = 0
    seconds: Amount = 0.0


Moment = Annotated[float, Field(ge=0, lt=253402300800)]
"""Seconds since 1970, before the year 10000."""


class SummaryFile(Record):
    """summary.json; its stages are read from their own files."""

    status: Literal["finished", "gate_failed", "failed", "interrupted", "running"]
    plan_key: str = ""
    name: str = ""
    seed: int = 0
    model: str = ""
    command: str = ""
    started: Moment | None = None
    ended: Moment | None = None
    stages: list[StageFile] = []
    retention: Retention | None = None
    mix: dict[str, dict[str, MixShare]] = {}
    totals: Totals = Totals()
    findings: list[Finding] = []
    gates: list[str] = []
    error: str | None = None
