"""Operators as processes of their own, forked from one that has everything imported: a new one costs no start-up.

Each is what `task-pipeline-operator` is, with its own environment and log; it can be killed, stopped and woken.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from tests.operators import STOP_SECONDS
from tests.programs import ProgramError

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["task_pipeline.entrypoints.operator", __name__])


def _operator(environment: dict[str, str], log: str) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.setsid()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for number in (1, 2):
        os.dup2(output, number)
    os.environ.clear()
    os.environ.update(environment)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    from task_pipeline.entrypoints import operator

    operator.main([])


def _end_with_parent() -> None:
    """Nothing outlives a harness that is killed itself."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class ForkedOperator:
    """One operator against a kubeconfig, logging to a file. `settings` are environment variables."""

    def __init__(self, kubeconfig: Path, log: Path, settings: Mapping[str, str]) -> None:
        self.log = log
        own = {"KUBECONFIG": str(kubeconfig), "TASK_PIPELINE_HEALTH_PORT": "0"}
        self._environment = {**os.environ, **own, **settings}
        self._process: ForkServerProcess | None = None

    @property
    def pid(self) -> int:
        """The process id; it must have been started."""
        assert self._process is not None
        assert self._process.pid is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has been started and not ended."""
        return self._process is not None and self._process.is_alive()

    def launch(self) -> int:
        """Start it and wait for nothing; returns where its log begins."""
        self.log.touch()
        begin = self.log.stat().st_size
        self._process = _CONTEXT.Process(target=_operator, args=(self._environment, str(self.log)), daemon=True)
        self._process.start()
        return begin

    def start(self, *, seconds: float = 60.0, word: bytes = b'"working: ') -> None:
        """Start it and wait until its log says `word`. Raises ProgramError."""
        begin, deadline = self.launch(), time.monotonic() + seconds
        while word not in self.log.read_bytes()[begin:]:
            if not self.running or time.monotonic() > deadline:
                raise ProgramError(f"the operator does not start; {self.tail()}")
            time.sleep(0.02)

    def kill(self) -> None:
        """End it as a crash would, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.join(10)

    def terminate(self) -> None:
        """Ask it to stop, and wait for nothing."""
        os.kill(self.pid, signal.SIGTERM)

    def stop(self) -> float:
        """Ask it to stop; returns the seconds that it took. Raises ProgramError after `STOP_SECONDS`."""
        began = time.monotonic()
        self.terminate()
        assert self._process is not None
        self._process.join(STOP_SECONDS + 1)
        if self.running:
            self.kill()
            raise ProgramError(f"the operator did not stop within {STOP_SECONDS} s; {self.tail()}")
        return time.monotonic() - began

    def freeze(self) -> None:
        """Let it stand still (SIGSTOP)."""
        os.kill(self.pid, signal.SIGSTOP)

    def wake(self) -> None:
        """Let it go on (SIGCONT)."""
        os.kill(self.pid, signal.SIGCONT)

    def tail(self, lines: int = 20) -> str:
        """The end of the log, with its path."""
        text = self.log.read_text(errors="replace").splitlines()[-lines:]
        return "\n".join((f"the end of {self.log}:", *text))
