"""Attempts that workers do: which requests of a worker are right now, and what has become of an attempt.

The PipelineJob's status is the only record. It has two writers: the operator, who offers an attempt, stops it and
writes how it ended, and the server, who writes what workers say (`claim`, `progress`, `report`, `result`). Each write
is tested against the version that was decided on, so the first of two that contradict each other counts.

Rule: a request counts only for the attempt that it names, while that is the latest and not over; the same request
again has the same answer and changes nothing. An attempt ends by its report, or when its lease passes without one.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from msgspec.structs import replace

from task_pipeline.api.pipelinejob import MAX_PROGRESS_MESSAGE, MAX_REPORT_MESSAGE
from task_pipeline.api.reasons import Reason
from task_pipeline.api.states import State
from task_pipeline.api.times import format_time
from task_pipeline.core.deadlines import after, earliest, passed
from task_pipeline.core.messages import shortened
from task_pipeline.core.records import Claim, JobProgress, JobRecord, JobStatus, Report
from task_pipeline.core.workload import Observation, Phase

LEASE_GRACE = 2.0  # seconds for which the clocks of operator and server may differ, and a heartbeat be on its way
PROGRESS_GAP = 5.0  # seconds between two writes of progress
RENEWED_BELOW = 0.7  # of the lease: so every heartbeat that keeps the pace is written, even one that comes early
UNCLAIMED = "no worker has claimed it"
FAILURES = {reason.value: reason for reason in (Reason.FAILED, Reason.CONFIG_ERROR, Reason.REQUEST_FAILED)}


class Outcome(StrEnum):
    """How a worker says that its work ended."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


class Denial(StrEnum):
    """Why a worker's request is refused."""

    TAKEN = "AttemptTaken"  # not to be claimed, or not any more
    SUPERSEDED = "AttemptSuperseded"  # a later attempt has been launched
    OVER = "AttemptOver"


@dataclass(frozen=True, slots=True)
class Lease:
    """How long an attempt is held without a sign of life, in seconds."""

    seconds: float = 60.0

    @property
    def pace(self) -> float:
        """Seconds between two heartbeats, as workers are told."""
        return self.seconds / 3


@dataclass(frozen=True, slots=True)
class Step:
    """A request that is right: the status as it is to be; `write` False: as it is already."""

    status: JobStatus
    write: bool


@dataclass(frozen=True, slots=True)
class Denied:
    """A request that changes nothing, ever. `attempt` is the latest of the job."""

    reason: Denial
    message: str
    attempt: int


def is_remote(status: JobStatus) -> bool:
    """Whether an attempt is on that is done by a worker. One without a workload that says `Starting` was refused."""
    holds = status.state is State.IN_PROGRESS or (status.state is State.READY and status.reason == Reason.STOPPING)
    return holds and status.workload is None and status.reason != Reason.STARTING


def claim_of(status: JobStatus) -> Claim | None:
    """The claim of the latest attempt."""
    return status.claim if status.claim is not None and status.claim.attempt == status.attempt else None


def report_of(status: JobStatus) -> Report | None:
    """The report of the latest attempt."""
    return status.report if status.report is not None and status.report.attempt == status.attempt else None


def is_stopping(status: JobStatus) -> bool:
    """Whether the attempt is on, and its worker shall end it."""
    return is_remote(status) and status.reason == Reason.STOPPING


def is_claimable(job: JobRecord, now: datetime) -> bool:
    """Whether the attempt waits for a worker."""
    status, spec = job.status, job.spec
    waits = is_remote(status) and not is_stopping(status) and claim_of(status) is None
    if not waits or job.deleting or spec.cancel == "Now":
        return False
    limits = (after(status.start_time, spec.timeout), after(status.start_time, spec.start_timeout))
    return not passed(earliest(*limits), now)


def lost_at(status: JobStatus) -> datetime | None:
    """When the attempt counts as lost unless its worker is heard of; None while nobody has claimed it."""
    claim = claim_of(status)
    return None if claim is None else after(claim.lease_until, LEASE_GRACE)


def judge(job: JobRecord, now: datetime) -> Observation:
    """What has become of the attempt, for a job of which `is_remote` is true."""
    status = job.status
    claim, report = claim_of(status), report_of(status)
    if claim is None:
        text = status.message if status.reason == Reason.AWAITING_WORKER else None
        return Observation(Phase.STARTING, Reason.AWAITING_WORKER, text or UNCLAIMED)
    if report is None and not passed(lost_at(status), now):
        return Observation(Phase.RUNNING, node=claim.worker, start_time=claim.claim_time)
    if report is None:
        text = f"worker {claim.worker} was not heard of until {claim.lease_until}"
        return Observation(Phase.FAILED, Reason.WORKER_LOST, text, node=claim.worker, start_time=claim.claim_time)
    succeeded = report.outcome == Outcome.SUCCEEDED
    return Observation(
        Phase.SUCCEEDED if succeeded else Phase.FAILED,
        None if succeeded else FAILURES.get(report.reason or "", Reason.FAILED),
        report.message or ("" if succeeded else f"worker {claim.worker} reported a failure"),
        exit_code=report.exit_code,
        node=claim.worker,
        start_time=claim.claim_time,
        completion_time=report.time,
    )


def claim(job: JobRecord, worker: str, request: str | None, lease: Lease, now: datetime) -> Step | Denied:
    """Give the attempt to `worker`. `request` names the worker's request: repeated, it has the same answer.

    Unless the attempt has been cancelled meanwhile: whoever asks again has not begun, and is not to begin any more.
    """
    status = job.status
    known = claim_of(status)
    cancelled = is_stopping(status) or job.spec.cancel == "Now"
    if known is not None and request is not None and (known.worker, known.id) == (worker, request) and not cancelled:
        return _standing(job, known.attempt) or Step(status, write=False)
    if not is_claimable(job, now):
        return Denied(Denial.TAKEN, "the attempt is not to be claimed, or not any more", status.attempt or 0)
    made = Claim(
        attempt=status.attempt or 1,
        worker=worker,
        claim_time=format_time(now),
        lease_until=_until(lease, now),
        id=request,
    )
    return Step(replace(status, claim=made), write=True)


def heartbeat(job: JobRecord, attempt: int, lease: Lease, now: datetime) -> Step | Denied:
    """The worker lives: its lease goes on, in a write only when nearly a third of it has passed.

    The lease of an attempt that is being stopped does not go on: it is the time that its worker has to end it.
    """
    denied = _standing(job, attempt)
    if denied is not None:
        return denied
    status = job.status
    due = after(_claimed(status).lease_until, -RENEWED_BELOW * lease.seconds)
    if is_stopping(status) or report_of(status) is not None or not passed(due, now):
        return Step(status, write=False)
    return Step(_renewed(status, lease, now), write=True)


def progress(
    job: JobRecord, attempt: int, told: tuple[int | None, str | None], lease: Lease, now: datetime
) -> Step | Denied:
    """The worker tells how far it is, as (percent, message); that is a heartbeat as well.

    What comes within `PROGRESS_GAP` of what was written last, falls behind it, or says the same is not written.
    """
    beat = heartbeat(job, attempt, lease, now)
    if isinstance(beat, Denied) or report_of(job.status) is not None:
        return beat
    percent, message = told
    old = job.status.progress or JobProgress()
    new = JobProgress(
        percent=old.percent if percent is None else percent,
        message=None if message is None else shortened(message, MAX_PROGRESS_MESSAGE),
        time=format_time(now),
    )
    soon = old.time is not None and not passed(after(old.time, PROGRESS_GAP), now)
    behind = old.percent is not None and new.percent is not None and new.percent < old.percent
    if soon or behind or replace(new, time=old.time) == old:
        return beat
    status = job.status if is_stopping(job.status) else _renewed(job.status, lease, now)
    return Step(replace(status, progress=new), write=True)


def report(job: JobRecord, wanted: Report, result: dict[str, Any] | None) -> Step | Denied:
    """The worker tells how the attempt ended, and what it returns. A second report that says something else is denied.

    It is taken of an attempt that is being stopped as well: then it says only that nothing of it runs any more.
    """
    status = job.status
    message = None if wanted.message is None else shortened(wanted.message, MAX_REPORT_MESSAGE)
    new, result = replace(wanted, message=message), without_nulls(result)
    known = report_of(status)
    if known is not None and known.attempt == new.attempt:
        if replace(new, time=known.time) == known and status.result == result:
            return Step(status, write=False)
        return Denied(Denial.OVER, f"attempt {new.attempt} has been reported as {known.outcome}", new.attempt)
    denied = _standing(job, new.attempt)
    return denied or Step(replace(status, report=new, result=result), write=True)


def without_nulls(value: Any) -> Any:
    """`value` without the fields of objects that are null: a merge patch cannot write them."""
    if isinstance(value, dict):
        return {name: without_nulls(inner) for name, inner in value.items() if inner is not None}
    return [without_nulls(inner) for inner in value] if isinstance(value, list) else value


def _standing(job: JobRecord, attempt: int) -> Denied | None:
    """Why nothing counts any more that is said of this attempt; None while it does."""
    status = job.status
    latest = status.attempt or 0
    if attempt < latest:
        return Denied(Denial.SUPERSEDED, f"attempt {attempt} is over, and attempt {latest} has been launched", latest)
    claimed = claim_of(status)
    if job.deleting or not is_remote(status) or claimed is None or claimed.attempt != attempt:
        text = f"attempt {attempt} is over: the job is {status.state} ({status.reason})"
        return Denied(Denial.OVER, text, latest)
    return None


def _claimed(status: JobStatus) -> Claim:
    assert status.claim is not None
    return status.claim


def _renewed(status: JobStatus, lease: Lease, now: datetime) -> JobStatus:
    return replace(status, claim=replace(_claimed(status), lease_until=_until(lease, now)))


def _until(lease: Lease, now: datetime) -> str:
    return format_time(now + timedelta(seconds=lease.seconds))
