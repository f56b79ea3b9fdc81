"""What a Slurm job runs: ``python -P _batch.py COMMAND``, with the standard library alone.

Runs the driver. Slurm's warning before the time limit (SIGUSR1) makes it save and stop, and the job is queued again:
the same command goes on in the same ``run_dir``. SIGTERM stops it for good.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

_RESUMABLE = (130, 143)
_REQUEUE_SECONDS = 60


def main() -> int:
    """The driver's exit code."""
    warned: list[int] = []
    driver = subprocess.Popen(sys.argv[1:])

    def warn(number: int, frame: object) -> None:
        warned.append(number)
        print("Slurm's warning: saving, then the job is queued again", flush=True)
        driver.send_signal(signal.SIGTERM)

    signal.signal(signal.SIGUSR1, warn)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: driver.send_signal(number))
    code = driver.wait()
    job = os.environ.get("SLURM_JOB_ID")
    if warned and job and code in _RESUMABLE:
        asked = subprocess.run(["scontrol", "requeue", job], check=False)
        if asked.returncode == 0:
            time.sleep(_REQUEUE_SECONDS)  # Slurm ends the job before it queues it again
        else:
            print(f"job {job} could not be queued again; the same command goes on with the run", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
