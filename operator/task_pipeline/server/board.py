"""The board: which attempts wait for a worker, in the order of their launch, and who is waiting for one.

It is a memory of what the watch has told, so that thousands of polls cost the API server nothing. It decides nothing:
what it shows may have been taken a moment ago, by this replica or another, and the write will tell. A poll that finds
nothing waits; one job wakes one of those who may have it.
"""

import asyncio
from bisect import bisect_left, insort
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from task_pipeline.cache.convert import job_record
from task_pipeline.core.records import JobRecord, PipelineJobView
from task_pipeline.core.remote import claim_of, is_claimable, is_remote, is_stopping
from task_pipeline.core.workload import JobKind, is_remote_kind

EVERY_CLIENT = "*"
MOST_WAITING = 1000
MOST_OF_CLIENT = 200  # in all its queues: names of queues cost nothing
_REMEMBERED_DELETIONS = 10_000

Allows = Callable[[str], bool]


class Place(NamedTuple):
    """One queue: of one client, or of the runner, which has its queues for all clients."""

    queue: str
    client: str


class TooManyWaiting(Exception):
    """As many polls are waiting as may."""


class _Waiter(NamedTuple):
    woken: "asyncio.Future[None]"
    allows: Allows


class _Request(NamedTuple):
    """What identifies a claim, so that it is found again."""

    client: str
    worker: str
    id: str


class Board:
    """Where an informer of PipelineJobs delivers. Only jobs whose kind workers claim are kept."""

    def __init__(self, kinds: Mapping[str, JobKind]) -> None:
        self._kinds = kinds
        self._jobs: dict[str, JobRecord] = {}
        self._place_of: dict[str, Place] = {}  # UID -> where it is offered
        self._open: dict[Place, list[tuple[str, str]]] = {}  # (launch time, UID), in that order
        self._claims: dict[_Request, str] = {}
        self._waiting: dict[Place, deque[_Waiter]] = {}
        self._count = 0
        self._closed = False
        self._deleted: OrderedDict[str, None] = OrderedDict()

    def put(self, view: PipelineJobView) -> None:
        """A PipelineJob exists and looks like this."""
        kind = self._kinds.get(view.spec.kind)
        if is_remote_kind(kind):
            self.learn(job_record(view))

    def learn(self, job: JobRecord) -> None:
        """Take the record over unless it is old news."""
        known = self._jobs.get(job.uid)
        if job.uid in self._deleted or (known is not None and known.rv >= job.rv):
            return
        if known is not None:
            self._withdraw(known)
        self._jobs[job.uid] = job if not job.final else _without_params(job)
        claim = claim_of(job.status)
        if claim is not None and claim.id is not None and is_remote(job.status):
            self._claims[_Request(self._client(job), claim.worker, claim.id)] = job.uid
        place = self._place(job)
        if place is not None:
            self._place_of[job.uid] = place
            insort(self._open.setdefault(place, []), _key(job))
            self._wake(place, job.namespace)

    def gone(self, uid: str) -> None:
        """A PipelineJob does not exist any more."""
        self._deleted[uid] = None
        if len(self._deleted) > _REMEMBERED_DELETIONS:
            self._deleted.popitem(last=False)
        known = self._jobs.pop(uid, None)
        if known is not None:
            self._withdraw(known)

    def get(self, uid: str) -> JobRecord | None:
        """What is known of a job."""
        return self._jobs.get(uid)

    def claimed(self, client: str, worker: str, request: str) -> JobRecord | None:
        """The job that this very request was given."""
        return self._jobs.get(self._claims.get(_Request(client, worker, request), ""))

    def offers(self, place: Place, allows: Allows, now: datetime) -> Iterator[JobRecord]:
        """The jobs that wait there, in the order of launch, of the namespaces that are allowed."""
        for _, uid in tuple(self._open.get(place, ())):
            job = self._jobs.get(uid)
            if job is not None and uid in self._place_of and allows(job.namespace) and is_claimable(job, now):
                yield job

    async def wait(self, place: Place, allows: Allows, seconds: float) -> None:
        """Return when there may be a job, after so many seconds, or when the server stops. Raises TooManyWaiting."""
        of_client = sum(len(queue) for one, queue in self._waiting.items() if one.client == place.client)
        if self._count >= MOST_WAITING or of_client >= MOST_OF_CLIENT:
            raise TooManyWaiting
        queue = self._waiting.setdefault(place, deque())
        waiter = _Waiter(asyncio.get_running_loop().create_future(), allows)
        queue.append(waiter)
        self._count += 1
        try:
            async with asyncio.timeout(0 if self._closed else seconds):
                await waiter.woken
        except TimeoutError:
            pass
        finally:
            self._count -= 1
            if waiter in queue:
                queue.remove(waiter)
            if not queue and self._waiting.get(place) is queue:
                del self._waiting[place]

    def pass_on(self, place: Place, now: datetime) -> None:
        """Somebody who was woken goes without a job: if there is one, another may have it."""
        for waiter in tuple(self._waiting.get(place, ())):
            if next(self.offers(place, waiter.allows, now), None) is not None:
                self._release(place, waiter)
                return

    def close(self) -> None:
        """Let everybody go who waits, and nobody wait any more."""
        self._closed = True
        for place, queue in list(self._waiting.items()):
            for waiter in tuple(queue):
                self._release(place, waiter)

    @property
    def closed(self) -> bool:
        """Whether the server stops."""
        return self._closed

    @property
    def waiting(self) -> int:
        """How many polls are waiting."""
        return self._count

    def _place(self, job: JobRecord) -> Place | None:
        """Where the job is offered; None when it is not."""
        status = job.status
        if job.final or job.deleting or not is_remote(status) or is_stopping(status) or claim_of(status) is not None:
            return None
        kind = self._kinds.get(job.spec.kind)
        model = None if kind is None else kind.versions.get(job.spec.version)
        if not is_remote_kind(kind) or model is None:
            return None
        try:
            params = model.model_validate(msgspec.json.decode(job.spec.params), by_alias=True, by_name=False)
        except ValueError:  # its operator is of another version, or somebody has edited it; nobody here can do it
            return None
        return Place(kind.queue(params), self._client(job))

    def _client(self, job: JobRecord) -> str:
        """Whose workers do the job."""
        kind = self._kinds.get(job.spec.kind)
        return EVERY_CLIENT if is_remote_kind(kind) and kind.for_runner else job.spec.client_id

    def _withdraw(self, job: JobRecord) -> None:
        claim = claim_of(job.status)
        if claim is not None and claim.id is not None:
            self._claims.pop(_Request(self._client(job), claim.worker, claim.id), None)
        place = self._place_of.pop(job.uid, None)
        if place is None:
            return
        offered, key = self._open[place], _key(job)
        index = bisect_left(offered, key)
        if index < len(offered) and offered[index] == key:
            del offered[index]
        if not offered:
            del self._open[place]

    def _wake(self, place: Place, namespace: str) -> None:
        for waiter in tuple(self._waiting.get(place, ())):
            if waiter.allows(namespace):
                self._release(place, waiter)
                return

    def _release(self, place: Place, waiter: _Waiter) -> None:
        self._waiting[place].remove(waiter)
        if not waiter.woken.done():
            waiter.woken.set_result(None)


def _key(job: JobRecord) -> tuple[str, str]:
    return job.status.start_time or "", job.uid


def _without_params(job: JobRecord) -> JobRecord:
    return replace(job, spec=replace(job.spec, params=Raw(b"{}")))
