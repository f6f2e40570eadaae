"""What a checker is told besides the history, and what it answers.

A checker is a function `(history, rules) -> [(revision, text), ...]` with an id of the list of invariants (S1 to S14,
L1 to L5) or of semantics.md (P1 and on). It reads objects only, and asks the operator nothing.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from tests.faults.history import History


class Limits(NamedTuple):
    """The operator's settings from a time on (seconds of the epoch); None is unlimited."""

    since: float
    running: int | None
    queue: int | None = None


@dataclass(frozen=True)
class Rules:
    """How a run was meant. Times are seconds.

    `seen_after`: how long an edit may be unknown to the operator, and a launch on its way. `patience`: how long a fault
    may hold back a single launch, or the telling of an end. `quiet`: for so long before the end of the history nothing
    was to be done, so nothing may have been written. `unfinished`: Pipelines that need not end (`namespace/name`).
    `secrets`: texts that may stand in no status and no event. `lease`: the duration of the leaders' Lease; `in_flight`:
    how many writes of a leader that lost its Lease may still arrive; `overshoot`: by how many slots a limit may be
    exceeded for that reason.
    """

    limits: tuple[Limits, ...] = ()
    seen_after: float = 1.0
    patience: float = 5.0
    quiet: float = 60.0
    unfinished: frozenset[str] = frozenset()
    secrets: tuple[str, ...] = ()
    lease: float = 15.0
    in_flight: int = 16
    overshoot: int = 0

    def running(self, time: float) -> int | None:
        """The global limit at `time`: the widest of those that the operator may still have gone by."""
        return widest([limit.running for limit in self._in_force(time)])

    def queue(self, time: float) -> int | None:
        """QUEUE_SIZE at `time`, in the same way."""
        return widest([limit.queue for limit in self._in_force(time)])

    def _in_force(self, time: float) -> list[Limits]:
        past = [limit for limit in self.limits if limit.since <= time - self.seen_after]
        recent = [limit for limit in self.limits if time - self.seen_after < limit.since <= time]
        return past[-1:] + recent


class Violation(NamedTuple):
    """A broken promise: which, from which revision on, and what was seen."""

    id: str
    revision: int
    text: str


Found = Iterable[tuple[int, str]]
Checker = Callable[[History, Rules], Found]


def widest(limits: list[int | None]) -> int | None:
    """The largest of some limits; None, which is unlimited, when one is or there is none."""
    numbers = [limit for limit in limits if limit is not None]
    return max(numbers) if numbers and len(numbers) == len(limits) else None
