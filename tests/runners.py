"""The HTTP runner and the demonstration service as processes of their own, for tests with a real REST server."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.request import urlopen

STOP_SECONDS = 30.0


class RunnerProcess:
    """One HTTP runner, logging to a file. It gets no kubeconfig and nothing else of the cluster but a token file."""

    def __init__(self, log: Path, settings: Mapping[str, str]) -> None:
        self.log = log
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("KUBE", "TASK_PIPELINE_"))}
        self._environment = kept | dict(settings)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, seconds: float = 30.0) -> None:
        """Start it and wait until it says what is allowed."""
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "task_pipeline.entrypoints.http_runner"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        deadline = time.monotonic() + seconds
        while "allowed: " not in self.log.read_text():
            assert self._process.poll() is None, f"the runner has ended: {self.log.read_text()[-2000:]}"
            assert time.monotonic() < deadline, f"the runner does not start: {self.log.read_text()[-2000:]}"
            time.sleep(0.05)

    def stop(self) -> int:
        """Ask it to stop (SIGTERM); returns its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """End it at once, as a node does that fails."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(10)


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
