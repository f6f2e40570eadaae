"""The work queue: keys of objects to look at, each at most once, none by two workers at a time.

A key that is added while it is being worked on is worked on again afterwards. Keys may be added for later (deadlines,
coalesced writes); the earliest time wins. After a failure the pause grows with every failure of that key.
What had been there before the start takes turns with news, so that neither waits for all of the other.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable
from enum import IntEnum, StrEnum
from itertools import count
from typing import NamedTuple

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 60.0  # seconds after a failure
WITH_NEWS = 1.0  # the longest pause after a failure when something has happened meanwhile, such as a cancel
SLACK = 64  # alarms that nobody waits for any more, and that are not worth tidying up
EARLY, SHORTEST = 0.0005, 0.001  # seconds: a timer may fire so early, and a key never comes back sooner


class Of(StrEnum):
    """What a key names."""

    PIPELINE = "pipeline"
    JOB = "job"
    CLIENT = "client"


class Key(NamedTuple):
    """One object to look at, by UID; a client by its name."""

    of: Of
    uid: str


class Urgency(IntEnum):
    """Which keys are taken first; those of NORMAL and BACKLOG take turns."""

    LAUNCH = 0
    ENDING = 1  # a slot that was free before the start; not for news, which would hold up all the rest
    NORMAL = 2
    BACKLOG = 3  # it was there before the start
    LOW = 4  # nothing waits for it


_NEWS_FIRST = (Urgency.LAUNCH, Urgency.ENDING, Urgency.NORMAL, Urgency.BACKLOG, Urgency.LOW)
_BACKLOG_FIRST = (Urgency.LAUNCH, Urgency.ENDING, Urgency.BACKLOG, Urgency.NORMAL, Urgency.LOW)


class WorkQueue:
    """Use `add*` from anywhere in the loop; one dispatcher calls `get`, whoever has done the work calls `done`."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._ready: list[deque[Key]] = [deque() for _ in Urgency]
        self._order = _NEWS_FIRST
        self._waiting: dict[Key, Urgency] = {}
        self._working: set[Key] = set()
        self._again: dict[Key, Urgency] = {}
        self._later: dict[Key, float] = {}
        self._alarms: list[tuple[float, int, Key]] = []
        self._failures: dict[Key, int] = {}
        self._numbers = count()
        self._wakeup = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def idle(self) -> bool:
        """Nothing is waiting or being worked on (keys for later do not count)."""
        return not self._waiting and not self._working

    def add(self, key: Key, urgency: Urgency = Urgency.NORMAL) -> None:
        """Look at `key` as soon as a worker is free."""
        if key in self._working:
            self._again[key] = min(urgency, self._again.get(key, urgency))
            return
        known = self._waiting.get(key)
        if known is not None and known <= urgency:
            return
        self._waiting[key] = urgency
        self._ready[urgency].append(key)
        self._wakeup.set()

    def set_back(self) -> None:
        """All that waits now without being urgent was there before the start."""
        for key in self._ready[Urgency.NORMAL]:
            if self._waiting.get(key) == Urgency.NORMAL:
                self._waiting[key] = Urgency.BACKLOG
                self._ready[Urgency.BACKLOG].append(key)
        self._ready[Urgency.NORMAL].clear()

    def add_after(self, key: Key, seconds: float) -> None:
        """Look at `key` in `seconds`; a later time than one already set is ignored."""
        moment = self.clock() + max(SHORTEST, seconds)
        known = self._later.get(key)
        if known is not None and known <= moment:
            return
        self._later[key] = moment
        heapq.heappush(self._alarms, (moment, next(self._numbers), key))
        self._tidy()
        self._set_timer()

    def cancel_later(self, key: Key) -> None:
        """Nothing is planned for `key` any more; what is to be done now stays."""
        if self._later.pop(key, None) is not None:
            self._tidy()

    def is_due(self, key: Key) -> bool:
        """Whether `key` is being looked at, or will be."""
        return key in self._working or key in self._waiting or key in self._later

    def forget(self, key: Key) -> None:
        """The object is gone: drop what is planned for it."""
        self.cancel_later(key)
        self._failures.pop(key, None)
        self._again.pop(key, None)

    async def get(self) -> Key:
        """The next key; the caller must call `done` with it."""
        while (key := self._take()) is None:
            self._wakeup.clear()
            await self._wakeup.wait()
        del self._waiting[key]
        self._working.add(key)
        return key

    def _take(self) -> Key | None:
        for urgency in self._order:
            ready = self._ready[urgency]
            while ready:
                key = ready.popleft()
                if self._waiting.get(key) == urgency:
                    if urgency == Urgency.NORMAL:
                        self._order = _BACKLOG_FIRST
                    elif urgency == Urgency.BACKLOG:
                        self._order = _NEWS_FIRST
                    return key
        return None

    def done(self, key: Key, *, failed: bool = False, pause: float | None = None) -> None:
        """The work on `key` has ended. Failed keys come again after a growing pause, or after `pause` seconds."""
        self._working.discard(key)
        again = self._again.pop(key, None)
        if failed:
            failures = self._failures.get(key, 0)
            self._failures[key] = failures + 1
            if pause is None:
                pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(failures, 16))
            self.add_after(key, pause if again is None else min(pause, WITH_NEWS))
            return
        self._failures.pop(key, None)
        if again is not None:
            self.add(key, again)

    def _tidy(self) -> None:
        """Drop the alarms that nobody waits for any more, once they are most of all."""
        if len(self._alarms) > 2 * len(self._later) + SLACK:
            self._alarms = [entry for entry in self._alarms if self._later.get(entry[2]) == entry[0]]
            heapq.heapify(self._alarms)

    def _set_timer(self) -> None:
        while self._alarms and self._later.get(self._alarms[0][2]) != self._alarms[0][0]:
            heapq.heappop(self._alarms)
        if not self._alarms:
            return
        first = self._alarms[0][0]
        if self._timer is not None:
            if self._timer_at <= first:
                return
            self._timer.cancel()
        self._timer_at = first
        self._timer = asyncio.get_running_loop().call_later(max(0.0, first - self.clock()), self._ring)

    def _ring(self) -> None:
        self._timer = None
        now = self.clock()
        while self._alarms and self._alarms[0][0] <= now + EARLY:
            moment, _, key = heapq.heappop(self._alarms)
            if self._later.get(key) == moment:
                del self._later[key]
                self.add(key)
        self._set_timer()
