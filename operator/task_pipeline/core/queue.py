"""The queue: which job runs next, in O(log n) per change and per decision.

Every client has a heap of its eligible jobs; a heap of clients, by priority and by their best job, tells whose turn it
is. Entries are deleted lazily: a number on each tells whether it is still the valid one. A client at its limit is left
out, so it never delays another. Slots are counted by job, so that taking one twice takes one.

The structure is in memory only. It is rebuilt from the objects at start, and the order that comes out is the same.
"""

import heapq
from dataclasses import dataclass, field
from itertools import count

from task_pipeline.core.ordering import OrderKey

JobId = str


@dataclass(slots=True)
class _Lane:
    """One client: its jobs in order, and its slots."""

    priority: int = 10
    limit: int | None = None
    suspended: bool = False
    running: int = 0
    heap: list[tuple[OrderKey, int, JobId]] = field(default_factory=list)
    advertised: tuple[int, int] | None = None  # (priority, entry number) of its valid place in the heap of clients

    @property
    def open(self) -> bool:
        return not self.suspended and (self.limit is None or self.running < self.limit)


@dataclass(frozen=True, slots=True)
class _Entry:
    client: str
    key: OrderKey
    number: int


class Queue:
    """Eligible jobs in order, and the slots in use. `limit` caps all slots; None is unlimited, 0 is closed."""

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self._lanes: dict[str, _Lane] = {}
        self._entries: dict[JobId, _Entry] = {}
        self._slots: dict[JobId, str] = {}
        self._top: list[tuple[int, OrderKey, int, str]] = []
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, job: JobId) -> bool:
        return job in self._entries

    @property
    def running(self) -> int:
        """Slots in use."""
        return len(self._slots)

    def running_of(self, client: str) -> int:
        """Slots in use by one client."""
        lane = self._lanes.get(client)
        return lane.running if lane else 0

    def set_client(self, client: str, *, priority: int, limit: int | None, suspended: bool) -> None:
        """Take over a client's settings; they count from the next decision on."""
        lane = self._lane(client)
        lane.priority, lane.limit, lane.suspended = priority, limit, suspended
        self._advertise(client, lane)

    def put(self, job: JobId, client: str, key: OrderKey) -> None:
        """Make `job` eligible at `key`; a job that is in the queue moves to its new place."""
        entry = self._entries.get(job)
        if entry is not None and (entry.client, entry.key) == (client, key):
            return
        number = next(self._numbers)
        self._entries[job] = _Entry(client, key, number)
        lane = self._lane(client)
        heapq.heappush(lane.heap, (key, number, job))
        if lane.heap[0][2] == job:
            self._advertise(client, lane)

    def remove(self, job: JobId) -> None:
        """The job is not eligible any more; unknown jobs are fine."""
        self._entries.pop(job, None)

    def take_slot(self, job: JobId, client: str) -> None:
        """Count `job` as running (again is fine) and take it out of the order."""
        self.remove(job)
        if job not in self._slots:
            self._slots[job] = client
            self._lane(client).running += 1

    def free_slot(self, job: JobId) -> bool:
        """The job runs no more; returns whether it had a slot."""
        client = self._slots.pop(job, None)
        if client is None:
            return False
        lane = self._lanes[client]
        lane.running -= 1
        self._advertise(client, lane)
        return True

    def has_slot(self, job: JobId) -> bool:
        """Whether the job is counted as running."""
        return job in self._slots

    def next(self) -> JobId | None:
        """The first job in order that may run now, given a slot by this call; None when there is none."""
        if self.limit is not None and len(self._slots) >= self.limit:
            return None
        while self._top:
            priority, _, number, client = self._top[0]
            lane = self._lanes[client]
            head = self._head(lane)
            current = (priority, number) == lane.advertised
            if current and head is not None and head[1] == number and lane.open:
                return self._launch(client, lane)
            heapq.heappop(self._top)
            if current:
                lane.advertised = None
                self._advertise(client, lane)
        return None

    def _launch(self, client: str, lane: _Lane) -> JobId:
        heapq.heappop(self._top)
        lane.advertised = None
        job = heapq.heappop(lane.heap)[2]
        self.take_slot(job, client)
        self._advertise(client, lane)
        return job

    def _lane(self, client: str) -> _Lane:
        return self._lanes.setdefault(client, _Lane())

    def _head(self, lane: _Lane) -> tuple[OrderKey, int, JobId] | None:
        while lane.heap:
            key, number, job = lane.heap[0]
            entry = self._entries.get(job)
            if entry is not None and entry.number == number:
                return key, number, job
            heapq.heappop(lane.heap)
        return None

    def _advertise(self, client: str, lane: _Lane) -> None:
        head = self._head(lane)
        if head is None or not lane.open or lane.advertised == (lane.priority, head[1]):
            return
        lane.advertised = (lane.priority, head[1])
        heapq.heappush(self._top, (lane.priority, head[0], head[1], client))
