"""Launches one attempt of one job: ask the kind what, send it, then write IN PROGRESS.

The workload comes first and the status second. Both steps can be repeated: the name says which attempt it is, so a
crash between them, or an answer that got lost, ends in the same single workload. What workers claim is launched by the
status alone.

A quota that is used up concerns all that the namespace launches: after a refusal nothing of that kind is sent there for
some seconds. Who comes meanwhile waits, the longer the more have come, up to the pause of who was refused. The reason
is written once, within the budget for reasons. A launch to which the API server answers with a passing error for longer
than `PATIENCE`, such as a webhook's that is down, is treated in the same way, so that it does not keep its slot.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from zlib import crc32

import msgspec

from task_pipeline.api.group import FIELD_MANAGER
from task_pipeline.api.reasons import Reason
from task_pipeline.backends.kube import KubeBackend, NameTaken
from task_pipeline.controller.executor import Executor
from task_pipeline.controller.feed import Feed
from task_pipeline.core.job_decision import held_back, launched, offered, refused
from task_pipeline.core.naming import workload_name
from task_pipeline.core.records import JobRecord, WorkloadRef
from task_pipeline.core.workload import AttemptIdentity, JobKind, KindDefaults, Refusal, WorkloadKind, is_remote_kind
from task_pipeline.kinds import registry
from task_pipeline.kube.errors import ApiError, Conflict, Forbidden, KubeError, is_transient

log = logging.getLogger(__name__)

QUOTA_PAUSE = 30.0  # seconds before a launch that a quota refused is tried again, on average
QUOTA_SPREAD = 0.5  # by how much of that pauses differ, so that it is not always the same one that is sent first
PATIENCE = 5.0  # seconds that a launch may fail before its slot goes to others
QUOTA_GAP = 3.0  # seconds after a refusal in which nothing of that kind is sent to that namespace


class _Refused(NamedTuple):
    """What was said, until when nothing is sent, and how many had to wait since the last that fitted."""

    reason: Reason
    message: str
    until: datetime
    waits: int


class Launcher:
    """`launch` ends with a status written or a pause begun, or raises a transient error and is to be called again."""

    def __init__(
        self,
        backend: KubeBackend,
        executor: Executor,
        feed: Feed,
        defaults: Callable[[], KindDefaults],
        now: Callable[[], datetime],
        may_tell: Callable[[], bool],
    ) -> None:
        self._backend = backend
        self._executor = executor
        self._feed = feed
        self._defaults = defaults
        self._now = now
        self._may_tell = may_tell
        self._refused: dict[tuple[str, str], _Refused] = {}  # by namespace and kind
        self._failing: dict[str, datetime] = {}  # by UID of the job: since when its launch fails
        self._pauses: dict[str, datetime] = {}  # by UID of the job; its status says why, but not until when

    def pause_of(self, job: JobRecord) -> datetime | None:
        """Before when the job is not to be launched, because a quota is used up or launches fail."""
        return self._pauses.get(job.uid)

    def forget(self, uid: str) -> None:
        """The job is gone."""
        self._failing.pop(uid, None)
        self._pauses.pop(uid, None)

    async def launch(self, job: JobRecord) -> None:
        """Start the next attempt of a READY job that has been given a slot."""
        attempt = identity(job, (job.status.attempt or 0) + 1)
        parsed = parsed_kind(job)
        if isinstance(parsed, str):
            await self._refuse(job, attempt, Reason.INVALID_SPEC, parsed)
            return
        kind, params = parsed
        if is_remote_kind(kind):
            queue = kind.queue(params)
            await self._executor.job_status(job, offered(job.status, attempt.attempt, queue, self._now()))
            return
        place = (job.namespace, job.spec.kind)
        refused = self._refused.get(place)
        if refused is not None and self._now() < refused.until:
            self._refused[place] = refused = refused._replace(waits=refused.waits + 1)
            await self._hold(job, refused, min(QUOTA_PAUSE, QUOTA_GAP * refused.waits))
            return
        try:
            sent = await self._send(job, attempt, kind, params)
        except KubeError as error:
            reason = self._reason_to_hold(job, error)
            if reason is not None:
                until = self._now() + timedelta(seconds=QUOTA_GAP)
                said = error.message if isinstance(error, ApiError) else str(error)
                text = said if reason is Reason.QUOTA_EXCEEDED else f"the launch fails: {said}"
                self._refused[place] = _Refused(reason, text, until, refused.waits if refused else 0)
                await self._hold(job, self._refused[place], QUOTA_PAUSE)
                return
            if not isinstance(error, ApiError) or _may_pass(error) or self._may_appear(job, error):
                raise
            sent = _refusal(error)
        except NameTaken as error:
            sent = Refusal(Reason.CONFLICT, str(error))
        self._refused.pop(place, None)
        self.forget(job.uid)
        if isinstance(sent, Refusal):
            await self._refuse(job, attempt, sent.reason, sent.message)
        else:
            await self._executor.job_status(job, launched(job.status, attempt.attempt, sent, self._now()))

    async def _send(
        self, job: JobRecord, attempt: AttemptIdentity, kind: WorkloadKind, params: Any
    ) -> WorkloadRef | Refusal:
        """Create what the kind wants; its errors are about the workload, never about the job's own status."""
        current = None
        if kind.reads_current:
            name = kind.workload_name(params, attempt)
            current = await self._backend.current(kind.resource, job.namespace, name)
        launch = kind.launch(params, attempt, self._defaults(), current)
        if isinstance(launch, Refusal):
            return launch
        view = await self._backend.launch(launch, attempt)
        self._feed.workload(view)
        return WorkloadRef(kind=launch.resource.kind, name=view.metadata.name, uid=view.metadata.uid)

    async def _refuse(self, job: JobRecord, attempt: AttemptIdentity, reason: Reason, message: str) -> None:
        started, ended = refused(job, attempt.attempt, reason, message, self._now())
        running = await self._executor.job_status(job, started)
        if running is not None:
            await self._executor.job_status(running, ended)

    def _reason_to_hold(self, job: JobRecord, error: KubeError) -> Reason | None:
        """Why the job is to wait without a slot; None when it is to be tried again at once, or never."""
        if isinstance(error, Forbidden) and error.is_quota:
            return Reason.QUOTA_EXCEEDED
        if not isinstance(error, ApiError) or isinstance(error, Conflict) or not is_transient(error):
            return None
        now = self._now()
        failing = (now - self._failing.setdefault(job.uid, now)).total_seconds()
        return Reason.QUEUED if failing >= PATIENCE else None

    def _may_appear(self, job: JobRecord, error: ApiError) -> bool:
        """Whether what is missing may be on its way: a new namespace has no service account for a moment."""
        if not (isinstance(error, Forbidden) and error.lacks_account):
            return False
        now = self._now()
        return (now - self._failing.setdefault(job.uid, now)).total_seconds() < PATIENCE

    async def _hold(self, job: JobRecord, refused: _Refused, seconds: float) -> None:
        now = self._now()
        chance = crc32(f"{job.uid}{now}".encode()) / 2**32
        until = now + timedelta(seconds=seconds * (1 + QUOTA_SPREAD * (chance - 0.5)))
        self._failing.pop(job.uid, None)
        self._pauses[job.uid] = until
        told = job.status.reason == refused.reason and job.status.message is not None
        if not told and self._may_tell():
            await self._executor.job_status(job, held_back(job.status, refused.reason, refused.message, until))


def _may_pass(error: ApiError) -> bool:
    """Whether the same launch may succeed in a moment. A conflict may, but for one between field managers."""
    return is_transient(error) or (isinstance(error, Conflict) and not error.of_managers)


def _refusal(error: ApiError) -> Refusal:
    """A refusal for good, in the server's words."""
    if not isinstance(error, Conflict):
        return Refusal(Reason.POD_REJECTED, error.message)
    way_out = f"field manager {FIELD_MANAGER} may take the fields over with force: true"
    return Refusal(Reason.CONFLICT, f"{error.message}; {way_out}")


def identity(job: JobRecord, attempt: int) -> AttemptIdentity:
    """What names attempt number `attempt` of `job`."""
    return AttemptIdentity(
        namespace=job.namespace,
        job=job.name,
        job_uid=job.uid,
        job_hash=job.hash,
        pipeline=job.spec.pipeline,
        pipeline_uid=job.pipeline_uid,
        attempt=attempt,
        workload=workload_name(job.name, job.uid, attempt),
    )


def parsed_kind(job: JobRecord) -> tuple[JobKind, Any] | str:
    """The kind of the job and its params, or why there is none (another operator knew more kinds)."""
    found = registry.find(job.spec.kind, job.spec.version)
    if isinstance(found, str):
        return found
    params: dict[str, Any] = msgspec.json.decode(job.spec.params)
    try:
        return found[0], registry.parse(job.spec.kind, job.spec.version, params)
    except (LookupError, ValueError) as error:  # judged by an operator of another version, or edited behind our back
        return f"params do not fit {job.spec.kind} {job.spec.version}: {error}"
