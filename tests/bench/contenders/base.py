"""What the benchmark asks of a contender, and the work that it gives to all of them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tests.bench.client import Body, Client
from tests.bench.site import Site

NAMESPACE = "default"
IMAGE = "busybox:1.36"
COMMAND = ("/bin/sh", "-c", "true")
SIMPLE = ("W1", "W2", "W3")
_PLACE = re.compile(r"(?P<work>.+?)-s(?P<stage>\d+)-j(?P<job>\d+)(-.*)?")

Place = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class Submitter:
    """Somebody who submits work; a lower priority goes first."""

    name: str
    priority: int


@dataclass(frozen=True, slots=True)
class Work:
    """Stages one after another, jobs of a stage at once; a job's pod lives for some seconds (0: it ends at once).

    Of a backlog the submitter's priority decides first, then the work's own; lower goes first.
    """

    name: str
    stages: int = 1
    jobs: int = 1
    seconds: float = 0.0
    submitter: Submitter | None = None
    priority: int = 0

    @property
    def rank(self) -> tuple[int, int]:
        """Its place in the order of a backlog."""
        return (self.submitter.priority if self.submitter else 0, self.priority)

    @property
    def annotations(self) -> dict[str, str]:
        """What tells a simulated node how long the pods of this work live."""
        return {"simulate.test/seconds": str(self.seconds)} if self.seconds else {}

    def names(self, stage: int) -> list[str]:
        """The names of the jobs of a stage; every contender names its jobs and pods after them."""
        return [f"s{stage}-j{number}" for number in range(self.jobs)]


class Contender(Protocol):
    """One way to run the same work. `path` and `unit_path` are collections of the API.

    Work is over when all objects of `path` that `manifests` gives for it are over. An object of `unit_path` stands for
    one job; it holds the job's slot until it is over. `in_order`: whether stages run one after another.
    """

    name: str
    workloads: Sequence[str]
    path: str
    unit_path: str
    in_order: bool
    audit_users: Sequence[str]

    def manifests(self, work: Work) -> list[Body]:
        """What a user creates for this work."""

    def over(self, thing: Body) -> bool:
        """Whether an object of `path` or `unit_path` has ended."""

    def place(self, thing: Body) -> Place | None:
        """Work, stage and job of a pod or of an object of `unit_path`; None: not of the benchmark."""

    async def install(self, client: Client, site: Site, workload: str, slots: int | None) -> None:
        """Prepare a fresh cluster for a workload; at most `slots` jobs shall run at once, None: as shipped."""

    async def admit(self, client: Client, submitters: Sequence[Submitter]) -> None:
        """Make these submitters known."""

    def limit(self, slots: int) -> bool:
        """Let at most `slots` jobs run from now on, 0: none; False when that cannot be changed while it runs."""

    def start(self, site: Site, *, wait: bool = True) -> None:
        """Start its program, if it has one, and wait until it works."""

    def stop(self, *, kill: bool = False) -> None:
        """End its program; with `kill` as a crash would."""

    @property
    def pid(self) -> int | None:
        """The process id of its program while that runs; None when it has none."""

    def describe(self) -> dict[str, Any]:
        """Version and flags, for the result."""


class Unavailable(Exception):
    """A contender cannot take part; the text says in one line what is missing."""


def place(name: str) -> Place | None:
    """Work, stage and job from a name that begins with them."""
    match = _PLACE.fullmatch(name)
    return (match["work"], int(match["stage"]), int(match["job"])) if match else None


def pod_template(work: Work) -> Body:
    """The pod of one job, the same for every contender that writes pods itself."""
    return {
        "metadata": {"annotations": work.annotations} if work.seconds else {},
        "spec": {
            "restartPolicy": "Never",
            "enableServiceLinks": False,
            "automountServiceAccountToken": False,
            "containers": [{"name": "main", "image": IMAGE, "command": list(COMMAND)}],
        },
    }
