"""The operator as a process of its own, for the demo, the benchmarks and the tests on a real API server."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tests.programs import Program, ProgramError

ROOT = Path(__file__).parents[1]
STOP_SECONDS = 5.0


class OperatorProcess(Program):
    """One operator against a kubeconfig, logging to a file. `settings` are environment variables."""

    def __init__(self, kubeconfig: Path, log: Path, settings: Mapping[str, str] | None = None) -> None:
        own = {"KUBECONFIG": str(kubeconfig), "TASK_PIPELINE_HEALTH_PORT": "0"}
        super().__init__("task_pipeline.entrypoints.operator", log, {**os.environ, **own, **(settings or {})})

    def start(self, *, seconds: float = 60.0) -> None:
        """Start it and wait until it says that it works. Raises ProgramError."""
        begin = self.launch()
        self.wait_until(lambda: b'"working: ' in self.log.read_bytes()[begin:], seconds)

    def stop(self) -> float:
        """Ask it to stop (SIGTERM); returns the seconds that it took. Raises ProgramError after `STOP_SECONDS`."""
        began = time.monotonic()
        self.terminate(STOP_SECONDS)
        return time.monotonic() - began


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
        raise ProgramError(f"cannot install into the cluster of {kubeconfig}: {done.stderr.strip()}")
