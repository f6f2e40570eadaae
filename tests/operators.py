"""The operator as a process of its own, for the demo, the benchmarks and the tests on a real API server."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
STOP_SECONDS = 5.0


class OperatorError(Exception):
    """The operator did not do what it was started for; the text holds the end of its log."""


class OperatorProcess:
    """One operator against a kubeconfig, logging to a file. `settings` are environment variables."""

    def __init__(self, kubeconfig: Path, log: Path, settings: Mapping[str, str] | None = None) -> None:
        self.log = log
        self._kubeconfig = kubeconfig
        self._settings = dict(settings or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id; the operator must have been started."""
        assert self._process is not None
        return self._process.pid

    def start(self, *, seconds: float = 60.0) -> None:
        """Start it and wait until it says that it works."""
        begin = self.launch()
        assert self._process is not None
        deadline = time.monotonic() + seconds
        while b'"working: ' not in self.log.read_bytes()[begin:]:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise OperatorError(f"the operator does not start; {self.tail()}")
            time.sleep(0.05)

    def launch(self) -> int:
        """Start it and wait for nothing; returns where its log begins."""
        environment = {**os.environ, "KUBECONFIG": str(self._kubeconfig), "TASK_PIPELINE_HEALTH_PORT": "0"}
        with self.log.open("ab") as output:
            begin = output.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "task_pipeline.entrypoints.operator"],
                env=environment | self._settings,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        return begin

    def stop(self) -> float:
        """Ask it to stop (SIGTERM); returns the seconds that it took. Raises OperatorError after `STOP_SECONDS`."""
        assert self._process is not None
        began = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise OperatorError(f"the operator did not stop within {STOP_SECONDS} s; {self.tail()}") from None
        return time.monotonic() - began

    def kill(self) -> None:
        """End it as a crash would (SIGKILL)."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)

    @property
    def running(self) -> bool:
        """Whether it has been started and not ended."""
        return self._process is not None and self._process.poll() is None

    def tail(self, lines: int = 20) -> str:
        """The end of the log, with its path."""
        text = self.log.read_text(errors="replace").splitlines()[-lines:]
        return "\n".join((f"the end of {self.log}:", *text))


def install(kubeconfig: Path) -> None:
    """Apply the CRDs, the operator's namespace and the client `default`."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "task_pipeline.entrypoints.apply",
            "--kubeconfig",
            str(kubeconfig),
            "crds",
            "manifests/development.yaml",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise OperatorError(f"cannot install into the cluster of {kubeconfig}: {done.stderr.strip()}")
