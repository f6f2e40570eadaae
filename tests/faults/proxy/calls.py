"""Requests as the proxy sees them, and predicates that pick some of them."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.faults.proxy.paths import Place

WRITES = frozenset({"create", "update", "patch", "apply", "delete"})
_UNCOUNTED = frozenset({"leases", "subjectaccessreviews", "tokenreviews"})
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(eq=False)
class Call:
    """One request. `number` counts all requests from 1, `write` those that change something, 0 for all others.

    `resource` is a plural, or plural/subresource. `moment` and `answered` are monotonic seconds. `outcome` is the
    status that was answered, or what was done instead. The Lease and reviews are no writes: they change nothing that
    is worked on.
    """

    number: int
    write: int
    verb: str
    resource: str
    namespace: str | None
    name: str | None
    moment: float
    query: Mapping[str, str] = field(default_factory=dict)
    outcome: str = "open"
    acked: int = 0
    """The resourceVersion that a successful answer to a write has told, 0: none."""
    answered: float = 0.0

    def __str__(self) -> str:
        return f"{self.number} (write {self.write}) {self.verb} {self.resource}/{self.name or ''} {self.outcome}"


Pick = Callable[[Call], bool]


def on(verb: str | None = None, resource: str | None = None, *, write: int | None = None) -> Pick:
    """A predicate: the calls of that verb, resource and number of the write, each None for any.

    `verb` is create, update, patch, apply, delete, get, list or watch, or "write" for all that change something.
    """

    def wanted(call: Call) -> bool:
        verb_fits = verb in (None, call.verb) or (verb == "write" and call.write > 0)
        return verb_fits and resource in (None, call.resource) and write in (None, call.write)

    return wanted


class Counter:
    """Numbers the calls of one proxy."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._writes = itertools.count(1)

    def call(self, method: str, place: Place, query: Mapping[str, str], content: str, moment: float) -> Call:
        """The call that a request is; `content` is its content type."""
        verb = _verb(method, place, query, content)
        counts = verb in WRITES and place.resource not in _UNCOUNTED
        write = next(self._writes) if counts else 0
        return Call(next(self._numbers), write, verb, place.resource, place.namespace, place.name, moment, dict(query))


def _verb(method: str, place: Place, query: Mapping[str, str], content: str) -> str:
    if method == "GET":
        if place.name is not None:
            return "get"
        return "watch" if query.get("watch") in ("true", "1") else "list"
    return "apply" if "apply-patch" in content else _VERBS.get(method, method.lower())
