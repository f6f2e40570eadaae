"""The HTTP runner and the demonstration service as processes of their own, for tests with a real REST server."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from tests.programs import Program, without_cluster

STOP_SECONDS = 30.0


class RunnerProcess(Program):
    """One HTTP runner, logging to a file. It gets no kubeconfig and nothing else of the cluster but a token file."""

    def __init__(self, log: Path, settings: Mapping[str, str]) -> None:
        super().__init__("task_pipeline.entrypoints.http_runner", log, without_cluster() | dict(settings))

    def start(self, *, seconds: float = 30.0) -> None:
        """Start it and wait until it says what is allowed. Raises ProgramError."""
        self.launch()
        self.wait_until(lambda: "allowed: " in self.log.read_text(), seconds)

    def stop(self) -> int:
        """Ask it to stop (SIGTERM); returns its exit code."""
        return self.terminate(STOP_SECONDS)


class ServiceProcess:
    """The demonstration service, on a free port of the loopback."""

    def __init__(self, pause: float = 0.5) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.demo.service", "--pause", str(pause)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self.origin = f"http://127.0.0.1:{int(self._process.stdout.readline())}"

    def seen(self) -> Any:
        """What the service has received and said."""
        with urlopen(f"{self.origin}/seen", timeout=10) as response:
            return json.load(response)

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()
