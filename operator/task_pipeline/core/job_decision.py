"""What to do about one PipelineJob now: a function of facts and time.

The order of the questions is the policy: what has ended is told first, then what someone wants ended, then what has
taken too long, then what may start. Each answer is an action or a new status, never both: that a workload is to be
stopped is written before it is, so that whoever sees it end knows why, after a crash or a lost race too.
"""

from dataclasses import dataclass
from dataclasses import replace as replace_fields
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec.structs import replace

from task_pipeline.api.reasons import Reason
from task_pipeline.api.states import State
from task_pipeline.api.times import format_time
from task_pipeline.core.attempts import begin_stop, finish, pending_stop
from task_pipeline.core.closing import Closing
from task_pipeline.core.conditions import job_conditions
from task_pipeline.core.deadlines import SLOW_START, UNREACHABLE_GRACE, Timeouts, after, earliest, passed
from task_pipeline.core.external_hold import held, is_held, released, starts_from
from task_pipeline.core.messages import CONDITION_LENGTH, STATUS_LENGTH, shortened
from task_pipeline.core.overdue import overdue, run_limit, start_limit
from task_pipeline.core.records import JobRecord, JobStatus, WorkloadRef
from task_pipeline.core.remote import UNCLAIMED, is_remote
from task_pipeline.core.retry import NOT_RETRIED, Backoff
from task_pipeline.core.states import advance
from task_pipeline.core.waiting import Wait
from task_pipeline.core.workload import Observation, Phase

LOST = "the workload was deleted by someone else"
SETTLED_AFTER = 5.0  # seconds a job must run before `Running` is worth a write of its own
LONGEST_HOLD = 60.0  # seconds; no launch is held back for longer


class Action(StrEnum):
    """What the shell has to do before it writes the status."""

    NONE = "none"
    LAUNCH = "launch"  # create the workload of the next attempt
    STOP = "stop"  # delete the workload
    CONFIRM = "confirm"  # ask the API server whether the recorded workload still exists
    REMOVE = "remove"  # delete the PipelineJob: its Pipeline is gone
    ADOPT = "adopt"  # a launch that nobody told of has left a workload: it has a slot, and the status says so


@dataclass(frozen=True, slots=True)
class WorkloadFacts:
    """What is seen of the workload of the current attempt.

    `observation` is None when it is not there. `deletion` is its deletionTimestamp (the end of its grace period),
    `gone` that a live look-up did not find it, `stoppable` False for what must outlive its job (a Deployment), or need
    not be waited for. `ends_by_itself`: what a worker does is over by then, unless the worker is heard of.
    """

    observation: Observation | None = None
    deletion: str | None = None
    gone: bool = False
    stoppable: bool = True
    ends_by_itself: datetime | None = None


@dataclass(frozen=True, slots=True)
class JobFacts:
    """All that a decision about a job may know.

    `orphaned`: its Pipeline is gone; `alone`: its Pipeline is not known, and may be gone; `suspended`: its Pipeline is;
    `admitted`: it has a slot; `wait`: why it waits, when that may be written now; `pause`: not to be launched before;
    `unclaimed`: the workload of the next attempt, when it exists already.
    """

    job: JobRecord
    workload: WorkloadFacts
    closing: Closing | None
    orphaned: bool
    alone: bool
    suspended: bool
    admitted: bool
    wait: Wait | None
    timeouts: Timeouts
    backoff: Backoff
    pause: datetime | None = None
    unclaimed: WorkloadRef | None = None


@dataclass(frozen=True, slots=True)
class JobDecision:
    """`status` None: nothing to write. `wake`: look again then. `eligible`: may be launched when a slot is free.
    `held`: may be launched when its Pipeline is not suspended any more.

    With a status, the next look is due as soon as it has been written.
    """

    action: Action = Action.NONE
    status: JobStatus | None = None
    wake: datetime | None = None
    eligible: bool = False
    held: bool = False


def decide_job(facts: JobFacts, now: datetime) -> JobDecision:
    """The next step for the job."""
    job = facts.job
    if facts.orphaned:
        return JobDecision(Action.REMOVE)
    if job.final or job.deleting:
        return JobDecision()
    if job.status.state is State.IN_PROGRESS:
        return _in_progress(facts, now)
    if job.status.reason == Reason.STOPPING:
        return _stopping(facts, now)
    return _waiting(facts, now)


def launched(status: JobStatus, attempt: int, workload: WorkloadRef | None, now: datetime) -> JobStatus:
    """The status once the workload of attempt number `attempt` exists."""
    return replace(
        status,
        state=advance(status.state, State.IN_PROGRESS),
        reason=Reason.STARTING.value,
        message=None,
        attempt=attempt,
        workload=workload,
        next_attempt_time=None,
        start_time=format_time(now),
        claim=None,
        progress=None,
        report=None,
        result=None,
        conditions=(),
    )


def offered(status: JobStatus, attempt: int, queue: str, now: datetime) -> JobStatus:
    """The status that offers attempt number `attempt` to the workers of a queue: that is all of its launch."""
    message = shortened(f"{UNCLAIMED} from queue {queue}", STATUS_LENGTH)
    return replace(launched(status, attempt, None, now), reason=Reason.AWAITING_WORKER.value, message=message)


def refused(job: JobRecord, attempt: int, reason: Reason, message: str, now: datetime) -> tuple[JobStatus, JobStatus]:
    """An attempt that could not be launched and never will: the two statuses to write, IN PROGRESS and then ERROR."""
    started = replace(
        begin_stop(launched(job.status, attempt, None, now), reason, message), reason=Reason.STARTING.value
    )
    return started, _never_launched(replace(job, status=started), Observation(Phase.FAILED, reason, message), now)


def held_back(status: JobStatus, reason: Reason, message: str, until: datetime) -> JobStatus:
    """A launch that is not possible now but is nobody's failure: nothing is charged, look again at `until`."""
    return replace(
        status,
        reason=reason.value,
        message=shortened(message, STATUS_LENGTH) or None,
        next_attempt_time=format_time(until),
    )


def _waiting(facts: JobFacts, now: datetime) -> JobDecision:
    job, status = facts.job, facts.job.status
    if facts.unclaimed is not None:  # whatever ends the job now, what lives of it has to be stopped first
        return JobDecision(Action.ADOPT, launched(status, (status.attempt or 0) + 1, facts.unclaimed, now))
    if facts.closing is not None:
        return JobDecision(status=_cancelled(status, facts.closing.reason, facts.closing.message, now))
    limit = after(job.created, job.spec.queue_timeout) if not status.attempt else None
    if passed(limit, now):
        message = f"not started within queueTimeout of {job.spec.queue_timeout} s"
        return JobDecision(status=_cancelled(status, Reason.QUEUE_TIMEOUT, message, now))
    for pause in (after(status.next_attempt_time, 0), facts.pause):
        if pause is not None and timedelta() < pause - now <= _longest_pause(facts):
            return JobDecision(wake=earliest(pause, limit))
    if facts.alone:
        return JobDecision(wake=limit)
    if facts.admitted and not facts.suspended:
        return JobDecision(Action.LAUNCH)
    told = _why(status, facts.wait)
    return JobDecision(status=told, wake=limit, eligible=not facts.suspended, held=facts.suspended)


def _longest_pause(facts: JobFacts) -> timedelta:
    """A pause that ends later than this from now was not meant so: the clock has been put back."""
    return timedelta(seconds=max(facts.backoff.limit, LONGEST_HOLD) + 1)


def _why(status: JobStatus, wait: Wait | None) -> JobStatus | None:
    """The status with the reason of its wait; None when it has it, for numbers in a message are not kept up to date."""
    if wait is None or status.reason == wait.reason:
        return None
    return replace(status, reason=wait.reason.value, message=wait.message)


def _in_progress(facts: JobFacts, now: datetime) -> JobDecision:
    seen = facts.workload.observation
    stop = pending_stop(facts.job.status)
    if stop is not None:
        if facts.job.status.workload is None and not is_remote(facts.job.status):
            return JobDecision(status=_never_launched(facts.job, stop, now))
        if not _is_over(facts.workload, now):
            return _keep_stopping(facts.workload, now)
        return _finish(facts, _with_note(stop, facts.workload), now)
    if seen is not None and seen.phase in (Phase.SUCCEEDED, Phase.FAILED):
        return _finish(facts, seen, now)
    if seen is None and not facts.workload.gone:
        return JobDecision(Action.CONFIRM)
    if facts.closing is not None and facts.closing.stop_running:
        return _cancel_running(facts.job.status, facts.closing)
    if seen is None or _is_unreachable(facts.workload, now):
        why = f"{LOST}: {seen.message}" if seen is not None and seen.message else LOST
        lost = Observation(Phase.FAILED, Reason.LOST, why, charged=False)
        return _finish(facts, _with_note(lost, facts.workload), now)
    if is_held(facts.job.status) and seen.phase is not Phase.SUSPENDED:
        return JobDecision(status=released(facts.job.status, now))
    late = overdue(facts.job, seen, facts.timeouts, now)
    decision = _progress(facts, seen, now) if late is None else _begin_stop(facts, *late, now)
    over = (after(facts.workload.deletion, UNREACHABLE_GRACE), facts.workload.ends_by_itself)
    return replace_fields(decision, wake=earliest(decision.wake, *over))


def _cancel_running(status: JobStatus, closing: Closing) -> JobDecision:
    stopping = begin_stop(status, closing.reason, closing.message)
    return JobDecision(status=replace(stopping, state=advance(status.state, State.READY)))


def _never_launched(job: JobRecord, refusal: Observation, now: datetime) -> JobStatus:
    """The end of a job whose launch was refused for good: no further attempt would fare better."""
    ended = finish(job, refusal, outcome=State.ERROR, now=now)
    message = _without_retry(job, ended, refusal)
    return _final(ended, State.ERROR, refusal.reason or Reason.FAILED, message, now)


def _stopping(facts: JobFacts, now: datetime) -> JobDecision:
    if not _is_over(facts.workload, now):
        return _keep_stopping(facts.workload, now)
    why = pending_stop(facts.job.status) or Observation(Phase.FAILED, Reason.USER_CANCELLED, "it was cancelled")
    stopped = _with_note(why, facts.workload)
    ended = finish(facts.job, stopped, outcome=State.CANCELLED, now=now)
    return JobDecision(status=_cancelled(ended, stopped.reason or Reason.USER_CANCELLED, stopped.message, now))


def _keep_stopping(workload: WorkloadFacts, now: datetime) -> JobDecision:
    if workload.observation is None:
        return JobDecision(Action.CONFIRM)
    if workload.ends_by_itself is not None:
        return JobDecision(wake=workload.ends_by_itself)
    if workload.deletion is None:
        return JobDecision(Action.STOP)
    return JobDecision(wake=after(workload.deletion, UNREACHABLE_GRACE))


def _is_over(workload: WorkloadFacts, now: datetime) -> bool:
    """Whether nothing of the workload has to be waited for; what is not stoppable is never waited for."""
    seen = workload.observation
    if seen is None:
        return workload.gone or not workload.stoppable
    ended = seen.phase in (Phase.SUCCEEDED, Phase.FAILED) or not workload.stoppable
    return ended or _is_unreachable(workload, now)


def _is_unreachable(workload: WorkloadFacts, now: datetime) -> bool:
    """Whether a deleted workload stays so long after its grace period that its node cannot be answering."""
    return workload.stoppable and passed(after(workload.deletion, UNREACHABLE_GRACE), now)


def _with_note(stop: Observation, workload: WorkloadFacts) -> Observation:
    seen = workload.observation
    if seen is not None and seen.reason is Reason.WORKER_LOST:
        note = "; its worker did not say that it has ended it, and may still be at it"
        return Observation(Phase.FAILED, stop.reason, stop.message + note, node=seen.node, charged=stop.charged)
    alive = seen is not None and seen.phase not in (Phase.SUCCEEDED, Phase.FAILED) and workload.stoppable
    if not alive:
        return stop
    note = "; its node does not answer, it may still be running"
    return Observation(Phase.FAILED, stop.reason, stop.message + note, charged=stop.charged)


def _begin_stop(facts: JobFacts, reason: Reason, message: str, now: datetime) -> JobDecision:
    if not facts.workload.stoppable:
        return _finish(facts, Observation(Phase.FAILED, reason, message), now)
    return JobDecision(status=begin_stop(facts.job.status, reason, message))


def _progress(facts: JobFacts, seen: Observation, now: datetime) -> JobDecision:
    """Nothing has ended: tell how far it is, in as few writes as the truth needs."""
    status, end = facts.job.status, run_limit(facts.job, facts.timeouts)
    if seen.phase is Phase.SUSPENDED:
        return JobDecision(status=_changed(status, held(status, seen.message, now)))
    if seen.phase is Phase.STARTING:
        slow = after(starts_from(status), SLOW_START)
        limit = earliest(end, start_limit(facts.job, facts.timeouts))
        if seen.reason is Reason.AWAITING_WORKER:
            return JobDecision(status=_told(status, seen.reason, seen.message), wake=limit)
        if passed(slow, now) and seen.message:
            return JobDecision(status=_told(status, Reason.STARTING, seen.message), wake=limit)
        return JobDecision(wake=earliest(limit, None if passed(slow, now) else slow))
    settled = after(starts_from(status), SETTLED_AFTER)
    if status.reason != Reason.RUNNING and settled is not None and now < settled:
        return JobDecision(wake=earliest(settled, end))
    slow = None if facts.workload.stoppable else after(status.start_time, SLOW_START)
    if slow is not None and now < slow:
        return JobDecision(status=_told(status, Reason.RUNNING, ""), wake=earliest(slow, end))
    return JobDecision(status=_told(status, Reason.RUNNING, _rollout_text(status, slow, seen)), wake=end)


def _rollout_text(status: JobStatus, slow: datetime | None, seen: Observation) -> str:
    """What holds a slow rollout up: told once, with the moment it is true of, for its numbers change all the time."""
    if slow is None:
        return ""
    return status.message or (f"after {SLOW_START:.15g} s: {seen.message}" if seen.message else "")


def _told(status: JobStatus, reason: Reason, message: str) -> JobStatus | None:
    return _changed(status, replace(status, reason=reason.value, message=shortened(message, STATUS_LENGTH) or None))


def _changed(before: JobStatus, after: JobStatus) -> JobStatus | None:
    return None if after == before else after


def _finish(facts: JobFacts, seen: Observation, now: datetime) -> JobDecision:
    job = facts.job
    if seen.phase is Phase.SUCCEEDED:
        done = finish(job, seen, outcome=State.DONE, now=now)
        return JobDecision(status=_final(done, State.DONE, Reason.SUCCEEDED, seen.message, now))
    failed = finish(job, seen, outcome=State.ERROR, now=now)
    ended = failed.attempts[-1]
    retry = None if seen.permanent else _retry_time(facts, failed, now)
    reason = seen.reason or Reason.FAILED
    if retry is None:
        message = _without_retry(job, failed, seen) if seen.permanent else seen.message
        return JobDecision(status=_final(failed, State.ERROR, reason, message, now))
    waiting = replace(
        failed,
        state=advance(job.status.state, State.READY),
        reason=Reason.RETRY_BACKOFF.value,
        message=shortened(f"attempt {ended.attempt} ended with {reason}: {seen.message}", STATUS_LENGTH),
        next_attempt_time=format_time(retry),
        conditions=(),
    )
    return JobDecision(status=waiting, wake=retry)


def _without_retry(job: JobRecord, failed: JobStatus, seen: Observation) -> str:
    """The message of a failure after which no attempt is made, even if some are left."""
    left = (failed.failures or 0) <= job.spec.retry_attempt
    return "; ".join(text for text in (seen.message, NOT_RETRIED if left else "") if text)


def _retry_time(facts: JobFacts, failed: JobStatus, now: datetime) -> datetime | None:
    """When the next attempt may start; None when none is left."""
    failures = failed.failures or 0
    if failures > facts.job.spec.retry_attempt:
        return None
    return now + timedelta(seconds=facts.backoff.seconds(max(1, failures), facts.job.uid))


def _cancelled(status: JobStatus, reason: Reason, message: str, now: datetime) -> JobStatus:
    return _final(status, State.CANCELLED, reason, message, now)


def _final(status: JobStatus, state: State, reason: Reason, message: str, now: datetime) -> JobStatus:
    moment = format_time(now)
    return replace(
        status,
        state=advance(status.state, state),
        reason=reason.value,
        message=shortened(message, STATUS_LENGTH) or None,
        next_attempt_time=None,
        completion_time=moment,
        conditions=job_conditions(state, reason.value, shortened(message, CONDITION_LENGTH), moment),
    )
