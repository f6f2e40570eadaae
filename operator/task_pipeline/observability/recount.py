"""The gauges of what exists: counted when somebody asks, from the records and the queue that decisions are made of.

Rule: what is small is read at one moment. What grows with the number of jobs is copied at that moment and counted
afterwards, `AT_ONCE` records at a time, so that the operator's work goes on in between; records never change, so the
copy stays true to its moment. A difference between slots and records is looked at once more at the end, because a job
may have moved on meanwhile: a fault stays.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Protocol, TypeVar

from task_pipeline.api.objects import WorkloadView
from task_pipeline.api.reasons import Reason
from task_pipeline.api.states import State
from task_pipeline.core.lane import Zone
from task_pipeline.core.queue import Queue
from task_pipeline.core.records import ClientRecord, JobRecord, PipelineRecord
from task_pipeline.core.remnants import remains
from task_pipeline.core.waiting import zone_reason
from task_pipeline.observability import catalog
from task_pipeline.observability.clients import OTHER
from task_pipeline.observability.history import REASONS
from task_pipeline.observability.sampling import Value

AT_ONCE = 500  # records that are looked at before others have a turn: 0.2 ms of what is over, 1.2 of what waits
_STATE = attrgetter("status.state._value_")  # without a call of Python code, unlike `value`

T = TypeVar("T")


class Records(Protocol):
    """What is known of the cluster; see cache.store."""

    @property
    def pipelines(self) -> Mapping[str, PipelineRecord]: ...

    @property
    def jobs(self) -> Mapping[str, JobRecord]: ...

    @property
    def clients(self) -> Mapping[str, ClientRecord]: ...

    def left_behind(self) -> list[str]: ...

    def workloads_of(self, job_hash: str) -> Iterable[WorkloadView]: ...


@dataclass(frozen=True, slots=True)
class Sources:
    """What is counted. `client` makes a label of a client's name; `is_wrong` says of a job, by its hash, whether its
    slot is taken and should not be, or the other way round, as things are now. `held_since` gives the seconds of the
    epoch from which a job waits that a quota holds back.
    """

    records: Records
    queue: Queue
    client: Callable[[str], str]
    is_wrong: Callable[[str], bool]
    held_since: Callable[[JobRecord], float]
    now: Callable[[], datetime]


async def recount(sources: Sources) -> list[Value]:
    """All gauges that only the operator that works tells."""
    records, queue = sources.records, sources.queue
    pipelines, jobs = list(records.pipelines.values()), list(records.jobs.values())
    slots = queue.slots
    in_order = set[str]().union(*(lane.entries for lane in queue.lanes.values()))
    waiting = _waiting(sources)
    faults = _miscounted(queue, slots) + _uncounted(sources, slots)
    values = [*_limits(queue), *_of_clients(sources)]
    oldest, now = _oldest_waits(sources), sources.now().timestamp()
    states, running = Counter[str](), set[str]()
    async for some in _in_turns(jobs):
        states.update(map(_STATE, some))
        for job in some:
            if job.final:
                continue
            if job.holds_slot:
                running.add(job.hash)
                continue
            if job.status.reason == Reason.QUOTA_EXCEEDED:  # also between two pauses, in the order for a moment
                label = sources.client(job.spec.client_id)
                oldest[label] = max(oldest.get(label, 0.0), now - sources.held_since(job))
            if job.hash not in in_order and job.hash not in slots:
                waiting[sources.client(job.spec.client_id), _known(job.status.reason)] += 1
    ends = Counter[str]()
    async for part in _in_turns(pipelines):
        ends.update(map(_STATE, part))
    faults += sum(sources.is_wrong(job_hash) for job_hash in running ^ slots)
    values += [Value(catalog.OLDEST_WAIT, (label,), seconds) for label, seconds in oldest.items()]
    values += [Value(catalog.JOBS_WAITING, key, number) for key, number in sorted(waiting.items()) if number]
    values += [Value(catalog.PIPELINES, (state.value,), ends[state.value]) for state in State]
    values += [Value(catalog.JOBS, (state.value,), states[state.value]) for state in State]
    return [*values, Value(catalog.SLOTS_DRIFT, (), faults)]


async def _in_turns(items: Sequence[T]) -> AsyncIterator[Sequence[T]]:
    for begin in range(0, len(items), AT_ONCE):
        yield items[begin : begin + AT_ONCE]
        await asyncio.sleep(0)


def _limits(queue: Queue) -> Iterator[Value]:
    for metric, limit in ((catalog.RUNNING_LIMIT, queue.limit), (catalog.QUEUE_SIZE, queue.size)):
        if limit is not None:
            yield Value(metric, (), limit)
    yield Value(catalog.QUEUE_ENQUEUED, (), queue.enqueued)


def _of_clients(sources: Sources) -> Iterator[Value]:
    """Use and limit of every client that exists or has something here."""
    running, limits = Counter[str](), dict[str, int]()
    for name, client in sources.records.clients.items():
        label = sources.client(name)
        running[label] += 0
        if label == name and client.max_running_jobs is not None:
            limits[label] = client.max_running_jobs
    for name, lane in sources.queue.lanes.items():
        if lane.running or lane.entries:
            running[sources.client(name)] += lane.running
    yield from (Value(catalog.JOBS_RUNNING, (label,), number) for label, number in running.items())
    yield from (Value(catalog.CLIENT_LIMIT, (label,), number) for label, number in limits.items())


def _oldest_waits(sources: Sources) -> dict[str, float]:
    """The longest wait in the order, in seconds, of every client that exists or has something here."""
    now = sources.now().timestamp()
    oldest = dict.fromkeys(map(sources.client, sources.records.clients), 0.0)
    for name, lane in sources.queue.lanes.items():
        if lane.running or lane.entries:
            label, since = sources.client(name), lane.oldest()
            oldest[label] = max(oldest.get(label, 0.0), 0.0 if since is None else now - since)
    return oldest


def _waiting(sources: Sources) -> Counter[tuple[str, ...]]:
    """The jobs in the order by client and reason, as `core.waiting` gives it for each of them."""
    queue, found = sources.queue, Counter[tuple[str, ...]]()
    for name, lane in queue.lanes.items():
        for zone in Zone:
            if lane.count[zone]:
                found[sources.client(name), zone_reason(lane, zone).value] += lane.count[zone]
    head = queue.head() if queue.full else None
    if head is not None and zone_reason(queue.lane(head.client), head.zone) is Reason.QUEUED:
        client = sources.client(head.client)
        found[client, Reason.QUEUED.value] -= head.jobs
        found[client, Reason.GLOBAL_LIMIT.value] += head.jobs
    return found


def _miscounted(queue: Queue, slots: Iterable[str]) -> int:
    """By how many slots the clients' own counts are off."""
    taken = Counter(queue.client_of_slot(job_hash) for job_hash in slots)
    return sum(abs(lane.running - taken[name]) for name, lane in queue.lanes.items())


def _uncounted(sources: Sources, slots: Iterable[str]) -> int:
    """How many jobs that do not exist any more have something that runs, and no slot."""
    records, now, taken = sources.records, sources.now(), frozenset(slots)
    found = 0
    for job_hash in records.left_behind():
        owned = [view for view in records.workloads_of(job_hash) if view.metadata.controller_uid is not None]
        found += job_hash not in taken and remains(owned, now)[0]
    return found


def _known(reason: str) -> str:
    return reason if reason in REASONS else OTHER
