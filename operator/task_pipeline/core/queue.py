"""The queue: which job runs next, in O(log n) per change and per decision.

The eligible jobs of every client are ranked by their keys; the clients whose turn it may be are ranked by priority and
by the key of their best job. A client at its limit is not among them, so it never delays another. Slots are counted by
job, so that taking one twice takes one.

The structure is in memory only. It is rebuilt from the objects at start, and the order that comes out is the same.
"""

from dataclasses import dataclass, field

from task_pipeline.core.ordering import OrderKey
from task_pipeline.core.ranking import Ranking

JobId = str


@dataclass(slots=True)
class _Lane:
    """One client: its jobs in order, and its slots. Closed until its settings are known."""

    priority: int = 10
    limit: int | None = None
    suspended: bool = True
    running: int = 0
    jobs: Ranking[OrderKey] = field(default_factory=Ranking)

    @property
    def open(self) -> bool:
        return not self.suspended and (self.limit is None or self.running < self.limit)


class Queue:
    """Eligible jobs in order, and the slots in use. `limit` caps all slots; None is unlimited, 0 is closed."""

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self._lanes: dict[str, _Lane] = {}
        self._client_of: dict[JobId, str] = {}
        self._slots: dict[JobId, str] = {}
        self._turns: Ranking[tuple[int, OrderKey]] = Ranking()

    def __len__(self) -> int:
        return len(self._client_of)

    def __contains__(self, job: JobId) -> bool:
        return job in self._client_of

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
        self._update(client, lane)

    def put(self, job: JobId, client: str, key: OrderKey) -> None:
        """Make `job` eligible at `key`; a job that is in the queue moves to its new place."""
        if self._client_of.get(job, client) != client:
            self.remove(job)
        self._client_of[job] = client
        lane = self._lane(client)
        lane.jobs.put(job, key)
        self._update(client, lane)

    def remove(self, job: JobId) -> None:
        """The job is not eligible any more; unknown jobs are fine."""
        client = self._client_of.pop(job, None)
        if client is not None:
            lane = self._lanes[client]
            lane.jobs.remove(job)
            self._update(client, lane)

    def take_slot(self, job: JobId, client: str) -> None:
        """Count `job` as running (again is fine) and take it out of the order."""
        self.remove(job)
        if job not in self._slots:
            self._slots[job] = client
            lane = self._lane(client)
            lane.running += 1
            self._update(client, lane)

    def free_slot(self, job: JobId) -> bool:
        """The job runs no more; returns whether it had a slot."""
        client = self._slots.pop(job, None)
        if client is None:
            return False
        lane = self._lanes[client]
        lane.running -= 1
        self._update(client, lane)
        return True

    def has_slot(self, job: JobId) -> bool:
        """Whether the job is counted as running."""
        return job in self._slots

    def next(self) -> JobId | None:
        """The first job in order that may run now, given a slot by this call; None when there is none."""
        if self.limit is not None and len(self._slots) >= self.limit:
            return None
        client = self._turns.first()
        if client is None:
            return None
        job = self._lanes[client].jobs.first()
        assert job is not None  # a client without jobs has no turn
        self.take_slot(job, client)
        return job

    def _lane(self, client: str) -> _Lane:
        return self._lanes.setdefault(client, _Lane())

    def _update(self, client: str, lane: _Lane) -> None:
        """A client has a turn while it is open and has a job."""
        best = lane.jobs.first() if lane.open else None
        if best is None:
            self._turns.remove(client)
        else:
            self._turns.put(client, (lane.priority, lane.jobs.rank(best)))
