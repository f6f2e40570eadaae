"""The operator as processes of its own, for the demo, the benchmarks and the tests on a real API server.

One operator works without an election, so that it works again as soon as it is started again. Two replicas are what an
installation has: they share a log, one leads, the other stands by.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tests.programs import Program, ProgramError

ROOT = Path(__file__).parents[1]
STOP_SECONDS = 30.0
WORKING, STANDING_BY = b'"working: ', b'"standing by: '
_LEADING = re.compile(rb'"leading as ([\w-]+)_')
QUICK_LEASE = {  # a handover after a kill takes five seconds instead of fifteen; shorter ones are lost on busy machines
    "TASK_PIPELINE_LEADER_LEASE_DURATION": "5",
    "TASK_PIPELINE_LEADER_RENEW_DEADLINE": "4",
    "TASK_PIPELINE_LEADER_RETRY_PERIOD": "0.5",
}


class OperatorProcess(Program):
    """One operator against a kubeconfig, logging to a file. `settings` are environment variables."""

    def __init__(self, kubeconfig: Path, log: Path, settings: Mapping[str, str] | None = None) -> None:
        own = {
            "KUBECONFIG": str(kubeconfig),
            "TASK_PIPELINE_HEALTH_PORT": "0",
            "TASK_PIPELINE_LEADER_ELECTION": "false",
        }
        super().__init__("task_pipeline.entrypoints.operator", log, {**os.environ, **own, **(settings or {})})

    def start(self, *, seconds: float = 60.0) -> None:
        """Start it and wait until it says that it works. Raises ProgramError."""
        begin = self.launch()
        self.wait_until(lambda: WORKING in self.log.read_bytes()[begin:], seconds)

    def stop(self) -> float:
        """Ask it to stop (SIGTERM); returns the seconds that it took. Raises ProgramError after `STOP_SECONDS`."""
        began = time.monotonic()
        self.terminate(STOP_SECONDS)
        return time.monotonic() - began


class Replica(OperatorProcess):
    """One of several operators of which one leads; the Lease names it by `name` and something random."""

    def __init__(self, kubeconfig: Path, log: Path, name: str, settings: Mapping[str, str] | None = None) -> None:
        election = {"TASK_PIPELINE_LEADER_ELECTION": "true", "POD_NAME": name}
        super().__init__(kubeconfig, log, {**QUICK_LEASE, **(settings or {}), **election})
        self.name = name
        self.begin = 0  # where in the log its current life begins

    def launch(self) -> int:
        """Start it and wait for nothing; returns where its log begins."""
        self.begin = super().launch()
        return self.begin

    def start(self, *, seconds: float = 60.0) -> None:
        """Start it and wait until it stands by; if it shares its log, any may be meant. Raises ProgramError."""
        begin = self.launch()
        self.wait_until(lambda: STANDING_BY in self.log.read_bytes()[begin:], seconds)


class Replicas:
    """Two operators with one log, in use like one: `kill` is the crash of who leads, `start` makes them two again."""

    def __init__(self, kubeconfig: Path, log: Path, settings: Mapping[str, str] | None = None) -> None:
        self.log = log
        self.each = tuple(Replica(kubeconfig, log, f"replica-{number}", settings) for number in (1, 2))

    @property
    def running(self) -> bool:
        """Whether any of them runs."""
        return any(one.running for one in self.each)

    @property
    def leader(self) -> Replica | None:
        """Who works now, by the log; None while nobody does."""
        text = self.log.read_bytes()
        for found in reversed(list(_LEADING.finditer(text))):
            who = next(one for one in self.each if one.name.encode() == found[1])
            if who.running and found.start() >= who.begin and WORKING in text[found.end() :]:
                return who
        return None

    @property
    def standby(self) -> Replica:
        """A replica that runs and does not lead."""
        leader = self.leader
        return next(one for one in self.each if one.running and one is not leader)

    def launch(self) -> int:
        """Start those that do not run and wait for nothing; returns where their log begins."""
        return min([one.launch() for one in self.each if not one.running], default=self.log.stat().st_size)

    def start(self, *, seconds: float = 60.0) -> None:
        """Start those that do not run, and wait until one works and the other stands by. Raises ProgramError."""
        missing = sum(not one.running for one in self.each)
        begin = self.launch()
        self.each[0].wait_until(lambda: self.log.read_bytes().count(STANDING_BY, begin) >= missing, seconds)
        self.wait_for_leader(seconds)

    def wait_for_leader(self, seconds: float = 60.0) -> Replica:
        """Wait until one works; returns which. Raises ProgramError."""
        deadline = time.monotonic() + seconds
        while (found := self.leader) is None:
            if time.monotonic() > deadline or not self.running:
                raise ProgramError(f"no replica works after {seconds} s; {self.tail()}")
            time.sleep(0.02)
        return found

    def kill(self) -> None:
        """End the one that leads as a crash would (SIGKILL)."""
        (self.leader or self.each[0]).kill()

    def stop(self) -> float:
        """Stop those that run with SIGTERM, the leader last; returns the seconds that took. Raises ProgramError."""
        began, leader = time.monotonic(), self.leader
        for one in sorted(self.each, key=lambda each: each is leader):
            if one.running:
                one.stop()
        return time.monotonic() - began

    def tail(self, lines: int = 20) -> str:
        """The end of the log, with its path."""
        return self.each[0].tail(lines)


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
