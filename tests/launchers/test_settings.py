"""What launchers refuse before anything starts, and what they tell the machines."""

from __future__ import annotations

import base64
import json
import os
import shlex
import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from framework.errors import ConfigError
from framework.launchers._node import environments, interface_towards
from framework.launchers._relay import passed
from framework.launchers.base import Process
from framework.launchers.deepspeed import DeepSpeed
from framework.launchers.hostfile import Hostfile, read_hosts
from framework.launchers.slurm import Slurm


def settings_of(process: Process) -> dict[str, Any]:
    """What a relay is told."""
    return json.loads(process.command[-1])


def problems(launcher: Any) -> list[tuple[str, str]]:
    with pytest.raises(ConfigError) as raised:
        launcher.ready()
    assert all(problem.fix for problem in raised.value.problems)
    return [(problem.path, problem.message) for problem in raised.value.problems]


def written(folder: Path, text: str) -> Path:
    file = folder / "hosts"
    file.write_text(text)
    return file


def test_a_hostfile_is_read(tmp_path: Path) -> None:
    file = written(tmp_path, "# the cluster\n\nfirst slots=2   # has the disks\n10.0.0.7 slots=4\n")
    assert read_hosts(file) == {"first": 2, "10.0.0.7": 4}
    launcher = Hostfile(hostfile=str(file))
    assert launcher.world_size() == 6 and launcher.per_machine() == 4


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "names no host"),
        ("# nothing\n", "names no host"),
        ("a\n", "hosts:1: cannot read 'a'"),
        ("a slots=2\nb slots=two\n", "hosts:2: cannot read 'b slots=two'"),
        ("a slots=0\n", "hosts:1: cannot read"),
        ("a slots=-1\n", "hosts:1: cannot read"),
        ("a slots=2 max=3\n", "hosts:1: cannot read"),
        ("a slots=2\na slots=2\n", "hosts:2: a stands there twice"),
        ("-oProxyCommand=x slots=1\n", "hosts:1: cannot read"),
    ],
)
def test_a_malformed_hostfile_is_refused(tmp_path: Path, text: str, says: str) -> None:
    found = problems(Hostfile(hostfile=str(written(tmp_path, text))))
    assert [path for path, _ in found] == ["hostfile"] and says in found[0][1]


def test_all_that_is_wrong_with_a_hostfile_is_told_at_once(tmp_path: Path) -> None:
    file = written(tmp_path, "a\nb slots=x\n")
    found = problems(Hostfile(hostfile=str(file), shell=["no-such-shell", "{host}", "{command}"]))
    assert [path for path, _ in found] == ["hostfile", "hostfile", "shell"]
    assert "no command no-such-shell" in found[-1][1]
    assert "cannot be read" in problems(Hostfile(hostfile=str(tmp_path / "nothing")))[0][1]
    assert "cannot be read" in problems(Hostfile(hostfile=str(tmp_path)))[0][1]


@pytest.mark.parametrize("shell", [["sh"], ["sh", "{host}"], ["sh", "{command}"], ["sh", "-c", "{host} {command}"]])
def test_a_remote_shell_has_places(tmp_path: Path, shell: list[str]) -> None:
    found = problems(Hostfile(hostfile=str(written(tmp_path, "a slots=1\n")), shell=shell))
    assert [path for path, _ in found] == ["shell"] and "has no place for" in found[0][1]


def test_each_host_is_told_its_part(tmp_path: Path) -> None:
    launcher = Hostfile(hostfile=str(written(tmp_path, "a slots=2\nb slots=1\n")), interface="eth1", port=20111)
    first, second = (settings_of(process) for process in launcher.workers(tmp_path / "order.json"))
    assert [process.rank for process in launcher.workers(tmp_path / "order.json")] == [0, 2]
    for settings, host in ((first, "a"), (second, "b")):
        assert settings["command"][:-1] == [*launcher.shell[:-2], host] and settings["where"] == host
        assert shlex.split(settings["command"][-1])[-1].endswith("_node.py")
        assert settings["order"]["master"] == "a" and settings["order"]["port"] == 20111
    assert "BatchMode=yes" in first["command"], "a question for a password would wait for ever"
    seen = {
        rank: environment
        for node, settings in enumerate((first, second))
        for rank, environment in environments(settings["order"], node).items()
    }
    assert [(rank, seen[rank]["LOCAL_RANK"]) for rank in seen] == [(0, "0"), (1, "1"), (2, "0")]
    for rank, environment in seen.items():
        assert environment["RANK"] == str(rank) and environment["WORLD_SIZE"] == "3"
        assert environment["GLOO_SOCKET_IFNAME"] == environment["NCCL_SOCKET_IFNAME"] == "eth1"
        assert environment["MASTER_ADDR"] == "a" and environment["MASTER_PORT"] == "20111"


def test_one_host_meets_on_the_loopback_interface(tmp_path: Path) -> None:
    (process,) = Hostfile(hostfile=str(written(tmp_path, "a slots=2\n"))).workers(tmp_path / "order.json")
    order = settings_of(process)["order"]
    assert order["master"] == "127.0.0.1" and 20000 <= order["port"] < 30000
    assert "GLOO_SOCKET_IFNAME" not in environments(order, 0)[1] or "GLOO_SOCKET_IFNAME" in os.environ


def test_the_interface_is_the_one_that_leads_there() -> None:
    assert interface_towards("127.0.0.1", 20000) == "lo"
    assert interface_towards("::1", 20000) is None
    assert interface_towards("no.such.host.invalid", 20000) is None


def test_settings_of_libraries_go_along_and_those_of_the_machine_stay() -> None:
    given = {"HF_HOME": "/hf", "OMP_NUM_THREADS": "3", "NCCL_DEBUG": "INFO", "PYTHONPATH": "/here"}
    assert passed({**given, "PATH": "/bin", "HOME": "/root", "CUDA_VISIBLE_DEVICES": "1", "SSH_TTY": "x"}) == given


def test_deepspeed_is_told_the_visible_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for listed, expected in (("2, 5,7", ["2", "5"]), ("", [0, 1])):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
        (process,) = DeepSpeed(processes=2).workers(tmp_path / "order.json")
        command = settings_of(process)["order"]["command"]
        (information,) = [word.partition("=")[2] for word in command if word.startswith("--world_info=")]
        assert json.loads(base64.urlsafe_b64decode(information)) == {"localhost": expected}
        assert "--master_addr=127.0.0.1" in command and command[-1] == str(tmp_path / "order.json")


def test_cores_that_cannot_be_bound_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("KMP_AFFINITY", "compact")
    found = problems(DeepSpeed(processes=4096, bind_cores=True))
    assert [path for path, _ in found] == ["bind_cores"] * 3
    assert "numactl" in found[0][1] and "KMP_AFFINITY" in found[1][1] and "4096" in found[2][1]
    DeepSpeed(processes=4096).ready()


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Slurm's commands as programs that write down how they were called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    answers = {"sinfo": "printf 'main\\nlong\\n'", "sbatch": "echo 17", "squeue": "true"}
    for tool in ("sinfo", "sbatch", "srun", "squeue", "scontrol", "scancel"):
        file = folder / tool
        file.write_text(
            f'#!/bin/sh\nfor word; do echo "$word" >> {folder}/{tool}.called; done\n{answers.get(tool, "true")}\n'
        )
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    return folder


def test_a_machine_without_slurm_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert problems(Slurm()) == [
        ("kind", "there is no command sinfo, sbatch, srun, squeue, scontrol, scancel on this machine")
    ]


def test_what_slurm_does_not_know_is_refused(cluster: Path) -> None:
    Slurm(partition="main,long").ready()
    assert problems(Slurm(partition="main,lnog")) == [("partition", "there is no partition lnog")]
    assert problems(Slurm(warning=60))[0][0] == "warning"
    (cluster / "sinfo").write_text("#!/bin/sh\necho 'Unable to contact slurm controller' >&2\nexit 1\n")
    assert "Unable to contact" in problems(Slurm())[0][1]


def test_a_job_is_the_same_command_line(cluster: Path, tmp_path: Path) -> None:
    launcher = Slurm(
        nodes=2, processes=4, gpus=4, partition="long", time="1-00:00:00", wait=False, options=["--mem=8G"]
    )
    assert launcher.hands_over() and launcher.world_size() == 8
    run = tmp_path / "a run"
    assert launcher.submit(["launch=slurm", "name='a b'", "run_dir=x"], run) == 0
    words = (cluster / "sbatch.called").read_text().splitlines()
    expected = {"--nodes=2", "--ntasks-per-node=1", "--cpus-per-task=4", "--gpus-per-node=4", "--partition=long"}
    assert expected | {"--time=1-00:00:00", "--signal=B:USR1@180", "--requeue", "--mem=8G"} <= set(words)
    assert f"--output={run}/logs/slurm-%j.log" in words and "--open-mode=append" in words
    (wrapped,) = [word for word in words if word.startswith("--wrap=exec ")]
    command = shlex.split(wrapped.removeprefix("--wrap=exec "))
    assert command[-3:] == ["launch=slurm", "name='a b'", f"run_dir={run}"] and command[-4].endswith("train.py")


def test_a_job_that_slurm_refuses_is_a_message(cluster: Path, tmp_path: Path) -> None:
    (cluster / "sbatch").write_text("#!/bin/sh\necho 'sbatch: error: invalid account' >&2\nexit 1\n")
    with pytest.raises(ConfigError, match="invalid account"):
        Slurm(account="nobody").submit([], tmp_path / "run")


def test_inside_an_allocation_srun_starts_the_ranks(
    cluster: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher = Slurm(nodes=2, processes=2, partition="main")
    (process,) = launcher.workers(tmp_path / "order.json")
    assert {"--partition=main"} <= set(settings_of(process)["command"])
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    assert not launcher.hands_over()
    (process,) = launcher.workers(tmp_path / "order.json")
    settings = settings_of(process)
    assert settings["command"][0] == "srun" and "--overlap" in settings["command"]
    assert {"--nodes=2", "--ntasks=2", "--ntasks-per-node=1"} <= set(settings["command"])
    assert not any(word.startswith("--partition") for word in settings["command"])
    assert settings["order"]["node"] is None and settings["order"]["slots"] == [2, 2]


def test_a_free_port_is_free() -> None:
    from framework.launchers.local import free_port

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", free_port()))
