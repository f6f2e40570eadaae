"""Which fault strikes where: the script of one run, shared by all operators that live in it.

Rule: writes and watch events are numbered from 0 in the order in which they pass, over all operators of the run, so
that a place in a run is a number, and the same place in every run that has gone the same way until then.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from task_pipeline.api.resources import Resource
from task_pipeline.kube.errors import KubeError, Unreachable
from tests.fakes import refusals


class Write(StrEnum):
    """What may become of a write."""

    PAUSE = "paused before"  # the process is stopped as it sends, and goes on some time later
    TERMINATE = "told to end as it sends"
    KILL_BEFORE = "killed before"  # the process ends as it sends
    KILL_AFTER = "killed after"  # the process ends when it is carried out, before the answer arrives
    TIMEOUT = "timeout after commit"
    CONFLICT = "409"
    INVALID = "422"
    BUSY = "429 with Retry-After"
    BROKEN = "500"
    DROPPED = "dropped before commit"


class Event(StrEnum):
    """What may become of a watch event. A stream is in order: whatever comes behind it waits or is lost with it.

    A server that is well loses nothing out of the middle of a stream. What it may do is to forget (410) and so to make
    a client list again, which sees the last state of things and none of those between. So an event that is `DROPPED` is
    followed by a 410 at once, and one that is `UNOBSERVED` by others first and by a 410 some seconds later.
    """

    DROPPED = "dropped, then 410"
    UNOBSERVED = "dropped, others pass, 410 later"
    DELAYED = "delayed"
    REPLAYED = "told again with those before it"
    EXPIRED = "ERROR 410 instead"
    FAILED = "ERROR 500 instead"
    CUT = "connection cut"
    SILENT = "the stream falls silent"


DELAY, UNOBSERVED_SECONDS, SILENCE = 20.0, 8.0, 75.0  # seconds
RETRY_AFTER = 2
KILLS = (Write.KILL_BEFORE, Write.KILL_AFTER)
ANSWERS = tuple(kind for kind in Write if kind not in (Write.PAUSE, Write.TERMINATE, *KILLS))


@dataclass(frozen=True, slots=True)
class WriteFault:
    """A fault of write number `number`."""

    number: int
    kind: Write

    def __str__(self) -> str:
        return f"write {self.number} {self.kind}"


@dataclass(frozen=True, slots=True)
class EventFault:
    """A fault of watch event number `number`."""

    number: int
    kind: Event

    def __str__(self) -> str:
        return f"event {self.number} {self.kind}"


@dataclass(frozen=True, slots=True)
class StaleStart:
    """The operator is killed when the cluster reaches revision `killed`, and the Store of the next one is filled with
    the lists of the older revision `seen`; its watches go on from there after `lag` seconds.

    So it is with a standby whose watches have died unnoticed. What a new leader lists before it works is true: such
    lists name no revision, and a server does not answer them from its memory of an older state.
    """

    killed: int
    seen: int
    lag: float = 3.0

    def __str__(self) -> str:
        return f"killed at {self.killed}, restarted with lists of {self.seen}"


Fault = WriteFault | EventFault | StaleStart


@dataclass(frozen=True, slots=True)
class Call:
    """A write: verb (the method of `Cluster`), resource and name."""

    verb: str
    resource: Resource
    name: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource.plural}/{self.name}"


@dataclass
class Script:
    """The faults of a run, and what has passed in it. `killed` is set when a process has to be ended, `paused` when
    one has been stopped; `victim` is which."""

    faults: tuple[Fault, ...] = ()
    writes: list[Call] = field(default_factory=list)
    events: list[tuple[str, str]] = field(default_factory=list)  # resource and UID
    struck: set[Fault] = field(default_factory=set)
    killed: asyncio.Event = field(default_factory=asyncio.Event)
    paused: asyncio.Event = field(default_factory=asyncio.Event)
    victim: str = ""

    def of_write(self, call: Call) -> Write | None:
        """Count a write; what becomes of it."""
        number = len(self.writes)
        self.writes.append(call)
        for fault in self.faults:
            if isinstance(fault, WriteFault) and fault.number == number:
                self.struck.add(fault)
                return fault.kind
        return None

    def of_event(self, resource: Resource, uid: str) -> Event | None:
        """Count a watch event; what becomes of it."""
        number = len(self.events)
        self.events.append((resource.plural, uid))
        for fault in self.faults:
            if isinstance(fault, EventFault) and fault.number == number:
                self.struck.add(fault)
                return fault.kind
        return None

    @property
    def spent(self) -> bool:
        """Whether every fault has struck."""
        return len(self.struck) == len(self.faults)


def problem(kind: Write, call: Call) -> KubeError:
    """The error that a client gets for a write that is answered so."""
    answers: dict[Write, Callable[[], KubeError]] = {
        Write.CONFLICT: lambda: _conflict(call),
        Write.INVALID: lambda: refusals.invalid(call.resource, call.name, ["spec: Invalid value: it is refused"]),
        Write.BUSY: lambda: refusals.refusal(429, "TooManyRequests", "the server is busy", RETRY_AFTER),
        Write.BROKEN: lambda: refusals.refusal(500, "InternalError", "etcdserver: leader changed"),
    }
    return answers.get(kind, lambda: Unreachable("ServerDisconnectedError: Server disconnected"))()


def _conflict(call: Call) -> KubeError:
    if call.verb == "create":
        return refusals.already_exists(call.resource, call.name)
    return refusals.stale(call.resource, call.name)
