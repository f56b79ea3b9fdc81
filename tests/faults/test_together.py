"""Several runs at once, the clock, a reboot, the tracker, and runs that go on elsewhere or otherwise."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import Job

pytestmark = pytest.mark.faults


@pytest.mark.sample
def test_of_many_starts_one_wins(tmp_path: Path, promise: Any) -> None:
    """Processes that take the lock of one directory at once, twenty times over."""
    from multiprocessing import get_context

    rounds, starts = 20, 5
    with promise("simultaneous starts", f"{starts} processes at once in one run_dir", rounds):
        context = get_context("fork")
        for turn in range(rounds):
            barrier, done, answers = context.Barrier(starts), context.Event(), context.Queue()
            folder = tmp_path / str(turn % 2)  # every other round finds the words of an earlier holder
            made = [
                context.Process(target=take, args=(folder, barrier, done, answers), daemon=True) for _ in range(starts)
            ]
            for process in made:
                process.start()
            found = [answers.get(timeout=60) for _ in made]
            done.set()
            for process in made:
                process.join(60)
            (winner,) = [process for process, said in found if said == "mine"]
            refused = [said for _, said in found if said != "mine"]
            assert len(refused) == starts - 1
            for said in refused:
                assert f"process {winner} on {socket.gethostname()}" in said


def take(folder: Path, barrier: Any, done: Any, answers: Any) -> None:
    from framework.errors import ConfigError
    from framework.rundir import RunDir

    barrier.wait()
    try:
        with RunDir(folder).locked():
            answers.put((os.getpid(), "mine"))
            done.wait(60)
    except ConfigError as refused:
        answers.put((os.getpid(), str(refused)))


def test_a_second_run_is_refused_by_name_of_the_first(
    new_job: Callable[..., Job], running: Any, train: Any, promise: Any
) -> None:
    """And a lock whose holder was killed is taken over."""
    with promise("two runs in one run_dir", "a second start while the first trains; then kill -9 of the first", 2):
        job = new_job("stage.instruct.max_steps=60", "stage.instruct.epochs=20")
        first = running(*job.command(), env=job.env)
        deadline = time.monotonic() + 120
        while not (job.folder / "order.json").exists():
            assert time.monotonic() < deadline and first.poll() is None
            time.sleep(0.02)
        ran = train(*job.command(), env=job.env)
        assert ran.code == 2 and f"process {first.pid} on {socket.gethostname()}" in ran.err, ran
        first.send_signal(signal.SIGKILL)
        first.communicate()
        ran = train(*job.command(), env=job.env)
        assert ran.code == 0 and len(job.metrics()) == 60, ran


def test_two_runs_train_the_same_stage_at_once(
    new_job: Callable[..., Job], uninterrupted: Job, running: Any, promise: Any
) -> None:
    with promise("one store for two drivers", "the same stage trained at the same time"):
        one = new_job()
        two = new_job(home=one.home)
        processes = [running(*job.command(), env=job.env) for job in (one, two)]
        for process, job in zip(processes, (one, two), strict=True):
            out, err = process.communicate(timeout=300)
            assert process.returncode == 0, (out, err)
            job.same(uninterrupted)
        (kept,) = [path for path in (one.home / "store" / "stages").iterdir() if not path.name.startswith(".")]
        assert (kept / "manifest.json").exists()


def test_a_clock_that_jumps(new_job: Callable[..., Job], uninterrupted: Job, train: Any, promise: Any) -> None:
    with promise("the clock jumps", "by ten years to and fro, in driver and worker"):
        job = new_job()
        ran = train(*job.command(), env=job.fault(at="clock"))
        assert ran.code == 0, ran
        times = [json.loads(line)["time"] for line in (job.run / "events.jsonl").read_text().splitlines()]
        assert max(times) - min(times) > 3e8, "the clock did not jump"
        job.same(uninterrupted)


def test_a_reboot(new_job: Callable[..., Job], uninterrupted: Job, train: Any, promise: Any, tmp_path: Path) -> None:
    """Driver and worker are gone, so is the folder for temporary files, and lines were cut off as they were written."""
    with promise("the machine reboots", "driver and worker killed, TMPDIR gone, torn lines in the logs"):
        job = new_job()
        temporary = tmp_path / "tmp"
        temporary.mkdir()
        job.environment["TMPDIR"] = str(temporary)
        job.turns.write_text("\n" * 3)
        assert train(*job.command(), env=job.fault(at="step", who="both")).code == -9
        shutil.rmtree(temporary)
        for name in (job.run / "events.jsonl", job.folder / "metrics.jsonl"):
            with name.open("a") as file:
                file.write('{"step": 9, "lo')
        del job.environment["TMPDIR"]
        ran = train(*job.command(), env=job.env)
        assert ran.code == 0, ran
        job.same(uninterrupted)


@pytest.fixture
def tracker() -> Iterator[Callable[[bool], str]]:
    """Addresses of a tracker: one where nobody listens, or one that takes a connection and never answers."""
    sockets: list[socket.socket] = []

    def address(slow: bool) -> str:
        made = socket.socket()
        made.bind(("127.0.0.1", 0))
        sockets.append(made)
        if slow:
            made.listen(64)
        return f"http://127.0.0.1:{made.getsockname()[1]}"

    yield address
    for made in sockets:
        made.close()


@pytest.mark.parametrize("slow", [False, True], ids=["refuses", "never answers"])
def test_a_tracker_that_is_down(
    new_job: Callable[..., Job],
    uninterrupted: Job,
    train: Any,
    promise: Any,
    tracker: Callable[[bool], str],
    slow: bool,
) -> None:
    with promise("tracker down", "it takes connections and never answers" if slow else "it refuses connections"):
        job = new_job("tracker=wandb", "tracker.timeout=30")
        job.arguments.remove("tracker=none")
        job.environment |= {"WANDB_API_KEY": "0123456789" * 4, "WANDB_BASE_URL": tracker(slow)}
        job.environment |= {"WANDB_MODE": ""}
        ran = train(*job.command(), env=job.env)
        assert ran.code == 0, ran
        job.same(uninterrupted)
        kept = list(job.run.glob("wandb/*run-*/*.wandb"))
        assert kept and sum(path.stat().st_size for path in kept) > 1000, list(job.run.rglob("*.wandb"))


@pytest.mark.parametrize(
    ("before", "after"),
    [((1, 1), (2, 2)), ((2, 3), (1, 0)), ((2, 2), (2, 3)), ((1, 3), (2, 1))],
    ids=lambda value: f"{value[0]} x zero{value[1]}",
)
def test_another_world_goes_on(
    new_job: Callable[..., Job], train: Any, promise: Any, before: tuple[int, int], after: tuple[int, int]
) -> None:
    """Half of the steps on some processes and ZeRO stage, the other half on others."""
    how = "from {} x zero{} to {} x zero{}".format(*before, *after)
    with promise("another world size or ZeRO stage", how):

        def world(processes: int, zero: int) -> list[str]:
            return [f"launch.processes={processes}", f"engine.zero={zero}"]

        whole = losses_of_one(new_job, train)
        job = new_job("adapter.dropout=0", "launch.retries=0")
        job.turns.write_text("\n" * 3)
        ran = train(*job.command(*world(*before)), env=job.fault(at="step", who="worker"))
        assert ran.code == 3, ran
        ran = train(*job.command(*world(*after)), env=job.env)
        assert ran.code == 0, ran
        (resumed,) = job.events("resumed")
        assert (resumed["step"], resumed["saved_by"], resumed["world"]) == (3, before[0], after[0])
        assert [record["loss"] for record in job.metrics()] == pytest.approx(whole, rel=1e-5)


WHOLE: list[float] = []


def losses_of_one(new_job: Callable[..., Job], train: Any) -> list[float]:
    """The losses of the same run on one process, uninterrupted."""
    if not WHOLE:
        job = new_job("adapter.dropout=0")
        ran = train(*job.command(), env=job.env)
        assert ran.code == 0, ran
        WHOLE.extend(record["loss"] for record in job.metrics())
    return WHOLE


def test_what_would_change_the_result_is_refused(
    uninterrupted: Job, train: Any, promise: Any, tmp_path: Path, write_rows: Any
) -> None:
    other = write_rows(tmp_path / "other.jsonl", [{"instruction": f"Ask {n}", "response": "Yes."} for n in range(60)])
    changes = {
        "stage.instruct.lr=0.5": "stage.instruct.lr was",
        "adapter.r=3": "adapter.r was 16 and is 3",
        "seed=7": "seed was 0 and is 7",
        f"data.instruct.sources.talk.path={other}": "data.instruct changed (rows differ in talk",
    }
    before = (uninterrupted.run / "plan.json").read_bytes()
    with promise("resume of something else", "other settings, seed, rows or training code", len(changes) + 1):
        for change, says in changes.items():
            ran = train(*uninterrupted.command(change), env=uninterrupted.env)
            assert ran.code == 2 and says in " ".join(ran.err.split()) and LABEL_WORDS in ran.err, ran
        inject = tmp_path / "inject"
        inject.mkdir()
        (inject / "sitecustomize.py").write_text("import framework\nframework.CODE_VERSION = 'other'\n")
        paths = [str(inject), *filter(None, [os.environ.get("PYTHONPATH")])]
        env = {**uninterrupted.env, "PYTHONPATH": os.pathsep.join([*paths, str(Path(__file__).parents[2])])}
        ran = train(*uninterrupted.command(), env=env)
        assert ran.code == 2 and "the training code changed" in ran.err and "now other" in ran.err, ran
        assert (uninterrupted.run / "plan.json").read_bytes() == before


LABEL_WORDS = "it differs first at 1-instruct"
