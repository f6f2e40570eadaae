"""Run a program to its end, with a time limit, and say plainly what went wrong.

Rule: no program runs without a limit, and whatever interrupts the wait (a signal, the limit) stops the
program first.
"""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tests.cluster.config import ClusterError

TAIL_CHARACTERS = 2000


def run(
    command: Sequence[str | Path],
    *,
    seconds: float = 30.0,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    check: bool = True,
) -> str:
    """Standard output of a program; its error text is part of the exception.

    Raises ClusterError when it cannot be started, takes longer than `seconds`, or (with `check`) fails.
    """
    arguments = [str(part) for part in command]
    shown = " ".join(arguments)
    try:
        done = subprocess.run(
            arguments,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"{shown}: no end after {seconds:.0f} s") from error
    except OSError as error:
        raise ClusterError(f"{shown}: {error}") from error
    if check and done.returncode != 0:
        text = (done.stderr or done.stdout).strip()[-TAIL_CHARACTERS:]
        raise ClusterError(f"{shown}: exit {done.returncode}: {text}")
    return done.stdout


def stop_group(process: "subprocess.Popen[str]") -> None:
    """End a program started in a session of its own, with all that it has started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)
            return
