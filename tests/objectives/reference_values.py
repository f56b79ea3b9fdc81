"""Losses and gradients that TRL computes on random log-probabilities, written to ``reference_values.json``.

The tests read the file and need no TRL. To make it again, each call adds the cases that its version of TRL has:

    python -m venv /tmp/trl && /tmp/trl/bin/pip install torch==2.13.0 transformers==5.23.0 trl==1.16.0
    /tmp/trl/bin/python tests/objectives/reference_values.py
    /tmp/trl/bin/pip install trl==1.8.0 && /tmp/trl/bin/python tests/objectives/reference_values.py

How TRL's own code is driven, in fp32 on the CPU:

- ``DPOTrainer._compute_loss`` and ``KTOTrainer._compute_loss`` run whole, with a namespace as ``self`` that holds their
  settings and an accelerator of one process, and a model that returns the log-probabilities as its fused head would.
- ``ORPOTrainer`` and ``CPOTrainer`` run ``get_batch_loss_metrics`` whole where the chosen responses are equally long:
  their supervised loss is a mean over the batch's tokens, ours over pairs, and both are one then. ORPO's takes prompts
  along: here they are one token, which is never predicted. The model returns logits over two tokens, (log(1 - p), log
  p), whose softmax has the given log-probabilities. On unequal lengths ``odds_ratio_loss`` and ``cpo_loss`` are called
  alone.
- TRL has no conservative DPO: it is its CPO loss with ``label_smoothing`` on log-ratios to the reference.
- BCO with its running mean is in TRL 1.8 and no longer in 1.16. ``BCOTrainer.bco_loss`` is called with its own
  ``RunningMoments``; in 1.16 there is DPO's ``bco_pair``, without a shift.
- ``RewardTrainer.compute_loss`` runs whole, with a model that returns the given scores. ODPO is not in TRL: it is that
  loss on implicit rewards, with the margins.

Every gradient is of the mean loss with respect to the token log-probabilities of the policy, or the scores, in the
order of ``logps``.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

FILE = Path(__file__).with_suffix(".json")
PAIRS = 6
ONE = SimpleNamespace(
    device=torch.device("cpu"),
    gather=lambda value: value,
    gather_for_metrics=lambda value: value,
    use_distributed=False,
)


def batch_of(lengths: list[int], seed: int) -> dict[str, Any]:
    """Token log-probabilities of responses of these lengths, and sums under a reference near them."""
    generator = torch.Generator().manual_seed(seed)
    logps = -torch.empty(sum(lengths)).exponential_(0.8, generator=generator) - 0.01
    sums = torch.stack([part.sum() for part in logps.split(lengths)])
    reference = sums + 2.0 * torch.randn(len(lengths), generator=generator)
    return {"lengths": lengths, "logps": logps.tolist(), "reference": reference.tolist()}


def scores_of(pairs: int, seed: int) -> dict[str, Any]:
    """Scores of pairs, in the place of log-probabilities of one token each, and the margins of the pairs."""
    generator = torch.Generator().manual_seed(seed)
    scores = 1.5 * torch.randn(2 * pairs, generator=generator)
    margins = torch.rand(pairs, generator=generator) * 2
    margins[1] = 0.0
    nothing = [0.0] * (2 * pairs)
    return {"lengths": [1] * (2 * pairs), "logps": scores.tolist(), "reference": nothing, "margins": margins.tolist()}


def batches() -> dict[str, dict[str, Any]]:
    """Pairs as chosen, rejected, chosen, ...; judged responses with their labels and exchanged responses."""
    judged = batch_of([3, 9, 1, 6, 4, 8, 2], 5)
    generator = torch.Generator().manual_seed(6)
    exchanged = -20.0 + torch.randn(7, generator=generator)
    drift = torch.randn(7, generator=generator)
    labels = [True, False, True, True, False, True, False]
    beside = {
        "labels": labels,
        "exchanged": (exchanged + 0.7 + drift).tolist(),
        "exchanged_reference": exchanged.tolist(),
    }
    return {
        "uneven": batch_of([5, 8, 1, 2, 12, 3, 7, 7, 2, 9, 6, 4], 3),
        "even": batch_of([6, 8, 6, 2, 6, 3, 6, 7, 6, 9, 6, 4], 4),
        "judged": {**judged, **beside},
        "scores": scores_of(6, 7),
        "offset": {**batch_of([4, 8, 1, 2, 10, 3, 7, 7, 2, 9, 6, 4], 9), "margins": scores_of(6, 8)["margins"]},
        "apart": {**judged, **beside, "exchanged": (exchanged - 0.7).tolist()},
    }


def short(value: Any) -> Any:
    """Nine digits: all that fp32 has."""
    if isinstance(value, dict):
        return {name: short(one) for name, one in value.items()}
    if isinstance(value, list):
        return [short(one) for one in value]
    return float(f"{value:.9g}") if isinstance(value, float) else value


def padded(parts: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Responses behind a prompt of one token: log-probabilities [n, T - 1], and which of T tokens are of a response."""
    width = max(len(part) for part in parts)
    values = torch.stack([torch.nn.functional.pad(part, (0, width - len(part))) for part in parts])
    mask = torch.tensor([[0] + [1] * len(part) + [0] * (width - len(part)) for part in parts])
    return values, mask


def split(batch: dict[str, Any], logps: Tensor) -> tuple[list[Tensor], Tensor]:
    """Each response's tokens, and the reference."""
    return list(logps.split(batch["lengths"])), torch.tensor(batch["reference"])


def fused(values: Tensor) -> SimpleNamespace:
    """What a fused head returns; what no loss reads is 0."""
    nothing = torch.zeros_like(values)
    return SimpleNamespace(log_probs=values, entropy=nothing, mean_logits=nothing, is_top1=nothing.bool(), aux_loss=0.0)


def trainer(**settings: Any) -> SimpleNamespace:
    """The parts of a trainer that the loss of a batch reads."""
    own = SimpleNamespace(
        accelerator=ONE, model=SimpleNamespace(training=True), aux_loss_enabled=False, is_encoder_decoder=False
    )
    own._metrics = {"train": defaultdict(list)}
    own._total_train_tokens, own._tp_size = 0, 1
    for name, value in settings.items():
        setattr(own, name, value)
    return own


def dpo(batch: dict[str, Any], logps: Tensor, losses: dict[str, float], **settings: Any) -> Tensor:
    """The mean of a weighted sum of DPO's kinds of loss."""
    from trl.trainer.dpo_trainer import DPOTrainer

    parts, reference = split(batch, logps)
    values, mask = padded([*parts[0::2], *parts[1::2]])
    own = trainer(
        ld_alpha=None,
        precompute_ref_logps=True,
        f_divergence_type="reverse_kl",
        loss_types=list(losses),
        loss_weights=list(losses.values()),
        use_weighting=False,
        **settings,
    )
    inputs = {
        "input_ids": torch.zeros_like(mask),
        "attention_mask": torch.ones_like(mask),
        "completion_mask": mask,
        "ref_chosen_logps": reference[0::2],
        "ref_rejected_logps": reference[1::2],
    }
    return DPOTrainer._compute_loss(own, lambda **_: fused(values), inputs, False)


def kto(batch: dict[str, Any], logps: Tensor, **settings: Any) -> Tensor:
    """KTO's loss with its KL from the exchanged responses."""
    from trl.trainer.kto_trainer import KTOTrainer

    parts, reference = split(batch, logps)
    values, mask = padded(parts)
    exchanged = torch.tensor(batch["exchanged"])[:, None]
    other = torch.zeros(len(parts), 2, dtype=torch.int64)
    own = trainer(calculate_KL=True, precompute_ref_logps=True, loss_type="kto", **settings)
    own._compute_kl_logps = lambda model, inputs: KTOTrainer._compute_kl_logps(own, model, inputs)
    inputs = {
        "input_ids": torch.zeros_like(mask),
        "attention_mask": torch.ones_like(mask),
        "completion_mask": mask,
        "KL_input_ids": other,
        "KL_attention_mask": torch.ones_like(other),
        "KL_completion_mask": torch.ones_like(other),
        "label": torch.tensor(batch["labels"]),
        "ref_logps": reference,
        "ref_KL_logps": torch.tensor(batch["exchanged_reference"]),
    }

    def model(**given: Any) -> SimpleNamespace:
        return fused(exchanged if given["input_ids"] is other else values)

    return KTOTrainer._compute_loss(own, model, inputs, False)


def logits_of(logps: Tensor, mask: Tensor) -> Tensor:
    """Logits over two tokens, [n, T, 2], whose softmax gives the second one these log-probabilities."""
    safe = torch.where(mask[:, 1:] == 1, logps, -1.0)
    shown = torch.stack([torch.log(-torch.expm1(safe)), safe], dim=-1)
    return torch.nn.functional.pad(shown, (0, 0, 0, 1))


def without_reference(kind: Any, batch: dict[str, Any], logps: Tensor, **settings: Any) -> Tensor:
    """The whole loss of ORPO or CPO, with its supervised part."""
    parts, _ = split(batch, logps)
    values, mask = padded([*parts[0::2], *parts[1::2]])
    logits = logits_of(values, mask)
    own = trainer(padding_value=0, pad_token_id=0, label_smoothing=0.0, alpha=0.0, **settings)
    own.concatenated_inputs = kind.concatenated_inputs
    own.get_batch_logps = kind.get_batch_logps
    own.concatenated_forward = lambda model, inputs: kind.concatenated_forward(own, model, inputs)
    for name in ("odds_ratio_loss", "cpo_loss"):
        if hasattr(kind, name):
            setattr(own, name, lambda *sums, name=name: getattr(kind, name)(own, *sums))
    inputs: dict[str, Tensor] = {}
    for name, rows in (("chosen", mask[: len(mask) // 2]), ("rejected", mask[len(mask) // 2 :])):
        seen = rows.clone()
        seen[:, 0] = 1
        inputs[f"{name}_input_ids"] = rows
        inputs[f"{name}_labels"] = rows.masked_fill(rows == 0, -100)
        inputs[f"{name}_attention_mask"] = seen
    loss, _ = kind.get_batch_loss_metrics(own, lambda *_, **__: SimpleNamespace(logits=logits), inputs)
    return loss


def orpo(batch: dict[str, Any], logps: Tensor, beta: float) -> Tensor:
    """ORPO whole."""
    from trl.experimental.orpo.orpo_trainer import ORPOTrainer

    return without_reference(ORPOTrainer, batch, logps, beta=beta)


def cpo(batch: dict[str, Any], logps: Tensor, beta: float) -> Tensor:
    """CPO whole."""
    from trl.experimental.cpo.cpo_trainer import CPOTrainer

    return without_reference(CPOTrainer, batch, logps, beta=beta, cpo_alpha=1.0, loss_type="sigmoid")


def odds(batch: dict[str, Any], logps: Tensor, beta: float) -> Tensor:
    """ORPO's odds ratio loss alone."""
    from trl.experimental.orpo.orpo_trainer import ORPOTrainer

    means = torch.stack([part.mean() for part in split(batch, logps)[0]])
    return -ORPOTrainer.odds_ratio_loss(trainer(beta=beta), means[0::2], means[1::2])[0].mean()


def compared(batch: dict[str, Any], logps: Tensor, of: str, **settings: Any) -> Tensor:
    """CPO's comparison alone, of sums, means or log-ratios."""
    from trl.experimental.cpo.cpo_trainer import CPOTrainer

    parts, reference = split(batch, logps)
    sums = torch.stack([part.sum() for part in parts])
    values = {"sums": sums, "means": sums / torch.tensor(batch["lengths"]), "ratios": sums - reference}[of]
    own = trainer(**{"label_smoothing": 0.0, "alpha": 0.0, "loss_type": "sigmoid", **settings})
    return CPOTrainer.cpo_loss(own, values[0::2], values[1::2])[0].mean()


def bco(batch: dict[str, Any], logps: Tensor, beta: float, before: list[list[float]]) -> tuple[Tensor, float]:
    """BCO after batches with these rewards: TRL counts the batch's own rewards in, so the shift is told."""
    from trl.experimental.bco.bco_trainer import BCOTrainer, RunningMoments

    parts, reference = split(batch, logps)
    sums = torch.stack([part.sum() for part in parts])
    own = trainer(beta=beta, running=RunningMoments(accelerator=ONE), match_underlying_distribution=False)
    for rewards in before:
        own.running.update(torch.tensor(rewards))
    losses, _, _, shift = BCOTrainer.bco_loss(own, sums[0::2], sums[1::2], reference[0::2], reference[1::2], None, None)
    return losses.mean(), float(shift)


def reward(scores: Tensor, margins: list[float] | None, centring: float | None = None) -> Tensor:
    """The loss of a reward model, from the scores of chosen, rejected, chosen, ..."""
    from trl.trainer.reward_trainer import RewardTrainer

    own = trainer(args=SimpleNamespace(center_rewards_coefficient=centring))
    logits = torch.cat([scores[0::2], scores[1::2]])[:, None]
    inputs: dict[str, Any] = {"attention_mask": torch.ones_like(logits)}
    if margins is not None:
        inputs["margin"] = torch.tensor(margins)
    return RewardTrainer.compute_loss(own, lambda **_: SimpleNamespace(logits=logits), inputs)


def offset(batch: dict[str, Any], logps: Tensor, beta: float, alpha: float) -> Tensor:
    """ODPO as the loss of a reward model on implicit rewards."""
    parts, reference = split(batch, logps)
    sums = torch.stack([part.sum() for part in parts])
    return reward(beta * (sums - reference), [alpha * margin for margin in batch["margins"]])


BEFORE = [[0.3, -0.1, 0.2, 0.6], [0.9, 0.5, -0.4, 0.1]]
Case = tuple[str, dict[str, Any], str, Callable[[dict[str, Any], Tensor], Any]]


def recent() -> list[Case]:
    """Cases of TRL 1.16: our kind, our settings, the batch, TRL's loss."""
    smooth = {"beta": 0.3, "label_smoothing": 0.15}
    cases: list[Case] = [
        ("dpo", {"beta": 0.3}, "uneven", lambda b, x: dpo(b, x, {"sigmoid": 1.0}, beta=0.3)),
        (
            "dpo",
            {"beta": 5.0, "length_normalised": True},
            "uneven",
            lambda b, x: dpo(b, x, {"sigmoid_norm": 1.0}, beta=5.0),
        ),
        (
            "dpo",
            {"beta": 0.3, "sft_weight": 0.7},
            "even",
            lambda b, x: dpo(b, x, {"sigmoid": 1.0, "sft": 0.7}, beta=0.3),
        ),
        ("cdpo", smooth, "uneven", lambda b, x: compared(b, x, "ratios", **smooth)),
        ("robust_dpo", smooth, "uneven", lambda b, x: dpo(b, x, {"robust": 1.0}, **smooth)),
        ("ipo", {"beta": 0.3}, "uneven", lambda b, x: dpo(b, x, {"ipo": 1.0}, beta=0.3)),
        ("hinge", {"beta": 0.3}, "uneven", lambda b, x: dpo(b, x, {"hinge": 1.0}, beta=0.3)),
        ("apo_zero", {"beta": 0.3}, "uneven", lambda b, x: dpo(b, x, {"apo_zero": 1.0}, beta=0.3)),
        ("apo_down", {"beta": 0.3}, "uneven", lambda b, x: dpo(b, x, {"apo_down": 1.0}, beta=0.3)),
        ("sft_chosen", {}, "even", lambda b, x: dpo(b, x, {"sft": 1.0}, beta=0.3)),
        (
            "simpo",
            {"beta": 2.5, "gamma": 1.2},
            "uneven",
            lambda b, x: compared(b, x, "means", beta=2.5, simpo_gamma=1.2, loss_type="simpo"),
        ),
        ("cpo", {"beta": 0.3, "sft_weight": 0.0}, "uneven", lambda b, x: compared(b, x, "sums", beta=0.3)),
        ("cpo", {"beta": 0.3}, "even", lambda b, x: cpo(b, x, 0.3)),
        ("orpo", {"beta": 0.3, "sft_weight": 0.0}, "uneven", lambda b, x: odds(b, x, 0.3)),
        ("orpo", {"beta": 0.3}, "even", lambda b, x: orpo(b, x, 0.3)),
        ("odpo", {"beta": 0.3, "alpha": 0.7}, "offset", lambda b, x: offset(b, x, 0.3, 0.7)),
        ("bradley_terry", {}, "scores", lambda b, x: reward(x, b["margins"])),
        ("bradley_terry", {"margin_scale": 0.0}, "scores", lambda b, x: reward(x, None)),
        ("bradley_terry", {"centring": 0.05}, "scores", lambda b, x: reward(x, b["margins"], 0.05)),
        # A pair's two losses are one there, and two responses here.
        ("bco", {"beta": 0.3}, "uneven", lambda b, x: (dpo(b, x, {"bco_pair": 0.5}, beta=0.3), 0.0)),
    ]
    for batch in ("judged", "apart"):
        for weights in ({}, {"desirable_weight": 1.3, "undesirable_weight": 0.6}):
            own = {"desirable_weight": 1.0, "undesirable_weight": 1.0, **weights}
            settings = {"beta": 0.3, **weights}
            cases.append(("kto", settings, batch, lambda b, x, own=own: kto(b, x, beta=0.3, **own)))
    return cases


def old() -> list[Case]:
    """Cases of TRL 1.8."""
    return [
        ("bco", {"beta": 0.3}, "uneven", lambda b, x: bco(b, x, 0.3, [])),
        ("bco", {"beta": 0.3}, "uneven", lambda b, x: bco(b, x, 0.3, BEFORE)),
    ]


def main() -> None:
    """Compute what this version of TRL has and keep what another has given."""
    used = f"trl {version('trl')}, transformers {version('transformers')}, torch {torch.__version__}"
    given: dict[str, Any] = short(batches())
    found: dict[str, Any] = {"batches": given, "before": BEFORE, "cases": []}
    if FILE.exists():
        earlier = json.loads(FILE.read_text(encoding="utf-8"))
        same = all(given.get(name) == batch for name, batch in earlier["batches"].items())
        assert same, "the batches have changed: remove the file and make all cases again"
        found["cases"] = [case for case in earlier["cases"] if case["versions"] != used]
    for kind, settings, batch, of in recent() if version("trl") != "1.8.0" else old():
        logps = torch.tensor(given[batch]["logps"]).requires_grad_(True)
        result = of(given[batch], logps)
        loss, shift = result if isinstance(result, tuple) else (result, None)
        loss.backward()
        case = {
            "kind": kind,
            "settings": settings,
            "batch": batch,
            "loss": loss.item(),
            "gradient": logps.grad.tolist(),
        }
        found["cases"].append({**case, **({"anchor": shift} if shift is not None else {}), "versions": used})
    cases = ",\n".join(json.dumps(case) for case in short(found.pop("cases")))
    FILE.write_text(f'{json.dumps(found)[:-1]}, "cases": [\n{cases}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
