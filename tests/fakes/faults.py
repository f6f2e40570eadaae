"""Requests as the fake cluster sees them: the journal, and what a test makes of them on their way.

Rule: a fault strikes before the request is carried out, after it, or both ends of a delay; the journal holds every
request with its outcome, faults included, in the order in which they arrived.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import orjson

from task_pipeline.api.resources import Resource
from task_pipeline.kube.errors import KubeError

WRITES = frozenset({"create", "patch", "patch_status", "apply", "delete"})
Problem = KubeError | Callable[[], KubeError]


@dataclass(eq=False)
class Request:
    """One request. `outcome` is "ok" or the class of the error that the caller got; `body` is a copy.

    `time` is the loop's time of its arrival, `number` counts all requests from 1.
    """

    number: int
    verb: str
    resource: Resource
    namespace: str | None
    name: str | None
    body: Any = None
    time: float = 0.0
    outcome: str = "open"
    committed: bool = False

    @property
    def is_write(self) -> bool:
        """Whether it asks for a change."""
        return self.verb in WRITES

    @cached_property
    def size(self) -> int:
        """Bytes of the body."""
        return 0 if self.body is None else len(orjson.dumps(self.body))


Predicate = Callable[[Request], bool]


def on(verb: str | None = None, resource: Resource | None = None, name: str | None = None) -> Predicate:
    """A predicate: the requests of that verb, resource and object name, each None for any.

    `verb` is the name of a method of `Cluster`, or "write" for all that change something.
    """

    def wanted(request: Request) -> bool:
        verb_fits = verb in (None, request.verb) or (verb == "write" and request.is_write)
        return verb_fits and resource in (None, request.resource) and name in (None, request.name)

    return wanted


@dataclass(eq=False)
class Fault:
    """What happens to the requests that `predicate` picks; `hits` counts them. `times` None: to all of them."""

    predicate: Predicate
    before: Problem | None = None
    after: Problem | None = None
    delay: float = 0.0
    commit_after: float | None = None
    times: int | None = 1
    skip: int = 0
    hits: int = 0

    @property
    def spent(self) -> bool:
        """Whether it will not strike again."""
        return self.times is not None and self.hits >= self.times

    def strikes(self, request: Request) -> bool:
        """Whether this request is struck; counts it."""
        if self.spent or not self.predicate(request):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.hits += 1
        return True

    def remove(self) -> None:
        """Strike no more."""
        self.times = self.hits


@dataclass
class Journal:
    """Every request since the start or the last `clear`."""

    requests: list[Request] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.requests)

    def __iter__(self) -> Iterator[Request]:
        return iter(self.requests)

    def clear(self) -> None:
        """Forget what has been; what comes is numbered on."""
        self.requests.clear()

    def of(self, verb: str | None = None, resource: Resource | None = None, name: str | None = None) -> list[Request]:
        """The requests that `on` with the same arguments picks."""
        return list(filter(on(verb, resource, name), self.requests))

    @property
    def writes(self) -> list[Request]:
        """The requests that ask for a change."""
        return self.of("write")

    @property
    def bytes_written(self) -> int:
        """Bytes of the bodies of all writes."""
        return sum(request.size for request in self.writes)

    def lines(self) -> list[str]:
        """One short line per request, for the eye and for assertion messages."""
        return [
            f"{request.time:9.3f} {request.verb} {request.resource.plural}/{request.name or ''} {request.outcome}"
            for request in self.requests
        ]


def problem(what: Problem) -> KubeError:
    """The error to raise for a `Problem`."""
    return what if isinstance(what, KubeError) else what()
