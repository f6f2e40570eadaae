"""Programs of the package as processes, for the demo, the benchmarks and the tests on a real API server."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path


def compiled(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment in which Python keeps what it has compiled, as in the image: else each start compiles anew."""
    return {name: value for name, value in environment.items() if name != "PYTHONDONTWRITEBYTECODE"}


class ProgramError(Exception):
    """A program did not do what it was started for; the text holds the end of its log."""


class Program:
    """One module of the package, run with an environment, logging to a file."""

    def __init__(self, module: str, log: Path, environment: Mapping[str, str]) -> None:
        self.log = log
        self._module = module
        self._environment = compiled(environment)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id; it must have been started."""
        return self._started().pid

    @property
    def running(self) -> bool:
        """Whether it has been started and not ended."""
        return self._process is not None and self._process.poll() is None

    def launch(self) -> int:
        """Start it and wait for nothing; returns where its log begins."""
        with self.log.open("ab") as output:
            begin = output.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-m", self._module],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        return begin

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Wait until it is ready; raises ProgramError when it ends or takes too long."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.running or time.monotonic() > deadline:
                raise ProgramError(f"{self._module} does not start; {self.tail()}")
            time.sleep(0.05)

    def terminate(self, seconds: float) -> int:
        """Ask it to stop (SIGTERM); returns its exit code. Raises ProgramError when it takes too long."""
        process = self._started()
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ProgramError(f"{self._module} did not stop within {seconds} s; {self.tail()}") from None

    def kill(self) -> None:
        """End it as a crash would (SIGKILL), if it runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(10)

    def tail(self, lines: int = 20) -> str:
        """The end of the log, with its path."""
        text = self.log.read_text(errors="replace").splitlines()[-lines:]
        return "\n".join((f"the end of {self.log}:", *text))

    def _started(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None
        return self._process


def without_cluster() -> dict[str, str]:
    """This process's environment without what leads to a cluster, and without settings of ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("KUBE", "TASK_PIPELINE_"))}
