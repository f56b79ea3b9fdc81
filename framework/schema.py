"""The configuration, as frozen typed objects. YAML chooses; defaults and meaning stand here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from pydantic import BeforeValidator, Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, create_model

from framework.adapters.base import Adapter
from framework.checks.base import Check
from framework.data.contract import Contract
from framework.data.mix import Mix
from framework.devices import Dtype, fast_dtype
from framework.launchers.base import Launcher
from framework.objectives.base import Objective
from framework.registry import Plugin, Section, component, kinds
from framework.retention import Gate
from framework.sources.base import Source
from framework.suites.base import Suite

Kind = Literal["instruct", "domain", "align", "reward"]
"""The three interventions, and the training of a reward model, which leaves the policy as it is. A stage has one of
them as its purpose."""


def _resolved(dtype: Any) -> Any:
    return fast_dtype() if dtype == "auto" else dtype


Attention = Literal["auto", "segments", "varlen"]
Kernels = Literal["standard", "liger"]


class Model(Section):
    """The model to start from."""

    kind: Literal["wheel", "hub", "path", "tiny"]
    name: str = ""
    """The name shown to people, and of exported models."""
    path: str = ""
    """A directory or hub id (``kind: path``), or a hub id (``kind: hub``)."""
    revision: str = ""
    """The commit of a hub model; empty takes the newest and records it."""
    instruct: bool | None = None
    """Whether it already follows instructions; ``null`` decides by whether it has a chat template."""
    dtype: Annotated[Dtype, BeforeValidator(_resolved)] = Field(default="auto", validate_default=True)  # type: ignore[assignment]
    """``auto`` becomes what this machine trains fastest in, and the plan and the stage keys hold what it became."""
    attention: Attention = "auto"
    """``varlen`` (PyTorch's variable-length FlashAttention), ``segments`` (fused attention, segment by segment), or
    ``auto``: the first on GPUs that have kernels for it, else the second."""
    kernels: Kernels = "standard"
    """``liger``: Liger's fused kernels for norms, rotary positions and the feed-forward (Hsu et al. 2024,
    arXiv:2410.10989), on GPUs."""
    compile: bool = False
    """Compile norms and feed-forwards with ``torch.compile``; attention and the head stay as they are."""
    checkpointing: bool | Literal["auto"] = "auto"
    """Recompute activations in the backward pass; ``auto`` when the estimate says that memory needs it."""


class Batch(Section):
    """The global batch of one optimizer step, over all processes."""

    tokens: PositiveInt = 2048
    """Capacity in tokens: a multiple of ``max_length``; or less, and a step is one pack of so many tokens, or of as
    many as the longest row has."""
    micro_tokens: PositiveInt | None = None
    """Capacity of one forward pass; ``null`` takes what fits."""


class Stage(Section):
    """How one stage trains."""

    lr: PositiveFloat
    epochs: PositiveFloat = 1.0
    max_steps: PositiveInt | None = None
    max_length: PositiveInt = 1024
    long: Literal["truncate", "split", "drop"] = "truncate"
    """What happens to rows longer than ``max_length``; each is counted."""
    batch: Batch = Field(default_factory=Batch)
    warmup: float = Field(default=0.1, ge=0, lt=1)
    """Share of the steps over which the learning rate rises."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    weight_decay: NonNegativeFloat = 0.0
    betas: tuple[float, float] = Field(default=(0.9, 0.999), strict=False)
    clip: PositiveFloat = 1.0
    """Bound on the norm of the gradient."""
    not_finite: Literal["stop", "skip"] = "stop"
    """What happens at a step whose loss or gradient is NaN, infinite, or a spike: the stage stops there and names the
    rows, or the step changes nothing and is counted."""
    spike: float | None = Field(default=None, gt=1)
    """A loss over so many times the mean of the last 20 steps counts as a spike; ``null`` for none."""
    strength: float = Field(default=1.0, gt=0, le=1)
    """Share of what the stage learnt that its model takes: the weights saved lie there on the line from those that it
    began with to those that it trained (WiSE-FT, Wortsman et al. 2022, arXiv:2109.01903). Less forgets less."""


class Stages(Section):
    """The stage order, and the settings of each kind in it."""

    order: list[Kind] = Field(min_length=1)
    instruct: Stage | None = None
    domain: Stage | None = None
    align: Stage | None = None
    reward: Stage | None = None

    def settings(self, kind: Kind) -> Stage | None:
        """The settings of a kind."""
        found: Stage | None = getattr(self, kind)
        return found


class StageData(Section):
    """The data of one stage."""

    sources: dict[str, Annotated[Source, Plugin("sources")]] = Field(default_factory=dict)
    mix: Mix = Field(default_factory=Mix)
    contract: Contract = Field(default_factory=Contract)
    """What the data is held against: read for domain alone."""


class Data(Section):
    """The data of each kind of stage."""

    name: str = ""
    instruct: StageData = Field(default_factory=StageData)
    domain: StageData = Field(default_factory=StageData)
    align: StageData = Field(default_factory=StageData)
    reward: StageData = Field(default_factory=StageData)

    def of(self, kind: Kind) -> StageData:
        """The data of a kind."""
        found: StageData = getattr(self, kind)
        return found


class Engine(Section):
    """DeepSpeed."""

    zero: Literal[0, 1, 2, 3] = 1
    offload: bool = False
    """Keep optimizer states in the host's memory."""
    checkpoint_minutes: PositiveFloat = 15.0
    """Training time between checkpoints; one more is written when a run is stopped."""
    out_of_memory: Literal["halve", "stop"] = "halve"
    """What happens when a worker runs out of memory: another attempt with half the micro-batch and the same global
    batch, or the stage fails."""


class Tracker(Section):
    """Where curves and tables go, besides the run's own files."""

    kind: Literal["wandb", "none"]
    project: str = "triptych"
    entity: str | None = None
    group: str | None = None
    tags: list[str] = Field(default_factory=list)
    timeout: PositiveFloat = 60.0
    """Seconds that the tracker has after the run to send what is left; what it could not send stays in the run's
    ``wandb`` folder."""


class Evaluation(Section):
    """What is measured before and after every stage, and what must not be lost."""

    suites: dict[str, Annotated[Suite, Plugin("suites")]] = Field(default_factory=dict)
    gates: list[Gate] = Field(default_factory=list)


class Audit(Section):
    """What ``do=audit`` shows."""

    show_harmful: bool = False
    """Show the texts of rows whose prompt seems harmful."""


class _Checks(Section):
    """How findings are treated, and the thresholds of each check under its name."""

    allow: list[str] = Field(default_factory=list)
    """Codes whose error findings become warnings."""
    strict: bool = True
    """``false`` turns all error findings into warnings."""

    def all(self) -> list[Check]:
        """Every check with its thresholds."""
        return [getattr(self, kind) for kind in kinds("checks")]


if TYPE_CHECKING:
    Checks = _Checks
else:
    # A field for every file in framework/checks: a new one needs no table.
    Checks = create_model(
        "Checks",
        __base__=_Checks,
        **{kind: (component("checks", kind), component("checks", kind)(kind=kind)) for kind in kinds("checks")},
    )


def _bradley_terry() -> Objective:
    return cast("Objective", component("objectives", "bradley_terry")(kind="bradley_terry"))


class Config(Section):
    """The whole composed configuration of a run."""

    do: Literal["plan", "run", "audit", "evaluate", "compare", "reproduce", "export", "chat"] = "run"
    name: str = Field(pattern=r"^[A-Za-z0-9._-]+$")
    run_dir: str | None = None
    run: str | None = None
    """For verbs that read a finished run: its directory."""
    runs: str | None = None
    to: str | None = None
    resume: Literal["auto", "never"] = "auto"
    seed: NonNegativeInt = 0
    model: Model
    stage: Stages
    data: Data
    adapter: Annotated[Adapter, Plugin("adapters")]
    align: Annotated[Objective, Plugin("objectives")]
    reward: Annotated[Objective, Plugin("objectives")] = Field(default_factory=_bradley_terry)
    """What a reward stage minimises."""
    engine: Engine
    launch: Annotated[Launcher, Plugin("launchers")]
    tracker: Tracker
    eval: Evaluation
    checks: Checks = Field(default_factory=Checks)
    audit: Audit = Field(default_factory=Audit)

    def objective(self, kind: Kind) -> Objective:
        """What a stage minimises: responses for instruct, next tokens for domain, the chosen method for align."""
        if kind == "align":
            return self.align
        if kind == "reward":
            return self.reward
        name = "sft" if kind == "instruct" else "clm"
        return cast("Objective", component("objectives", name).model_validate({"kind": name}))

    def adapter_of(self, kind: Kind) -> Adapter:
        """The adapter of a stage. A reward model starts one of its own: no later stage could go on with it."""
        return self.adapter.model_copy(update={"between": "merge"}) if kind == "reward" else self.adapter

    def suites_of(self, kind: Kind) -> dict[str, Suite]:
        """The suites that measure what a stage of a kind makes: a reward model, or the policy."""
        return {name: suite for name, suite in self.eval.suites.items() if suite.of_reward_model == (kind == "reward")}

    def replayed(self, kind: Kind) -> dict[Kind, float]:
        """The stages whose sources a stage replays, with their shares.

        A kind that comes later in the order is left out: what was not taught yet cannot be kept by replaying it.
        """
        order = self.stage.order
        later = set(order[order.index(kind) + 1 :]) - set(order[: order.index(kind)])
        return {other: share for other, share in self.data.of(kind).mix.replay.items() if other not in later}

    def public(self) -> dict[str, Any]:
        """The configuration as plain values."""
        return self.model_dump(mode="json")
