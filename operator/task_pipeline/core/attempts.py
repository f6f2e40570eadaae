"""The list of attempts in a PipelineJob's status: how one ends, and how one that is being stopped is remembered.

An attempt that runs is not in the list; it is `status.attempt`, `workload` and `startTime`. Being stopped, it is the
last entry and has a reason but no outcome yet, so that a restarted operator knows why it was stopped.
"""

from datetime import datetime
from enum import StrEnum

from msgspec.structs import replace

from task_pipeline.api.reasons import Reason
from task_pipeline.api.states import State
from task_pipeline.api.times import format_time
from task_pipeline.core.messages import ATTEMPT_LENGTH, ATTEMPTS_LENGTH, STATUS_LENGTH, shortened
from task_pipeline.core.records import Attempt, JobRecord, JobStatus
from task_pipeline.core.retry import KEPT_ATTEMPTS, is_charged
from task_pipeline.core.workload import Observation, Phase


class Outcome(StrEnum):
    """How an attempt ended, in one word."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    TIMEOUT = "Timeout"
    EVICTED = "Evicted"
    LOST = "Lost"
    CANCELLED = "Cancelled"


_OUTCOMES = {
    Reason.TIMEOUT: Outcome.TIMEOUT,
    Reason.START_TIMEOUT: Outcome.TIMEOUT,
    Reason.EVICTED: Outcome.EVICTED,
    Reason.LOST: Outcome.LOST,
    Reason.WORKER_LOST: Outcome.LOST,
}

# Why an attempt is stopped although nothing of it failed, and why another would be stopped in the same way.
_TAKEN = frozenset({Reason.LOST, Reason.EVICTED})
_HOPELESS = frozenset({Reason.INVALID_IMAGE_NAME, Reason.START_ERROR})


def begin_stop(status: JobStatus, reason: Reason, message: str) -> JobStatus:
    """The status of a running job that is being stopped because of `reason`; the outcome is written once it is gone."""
    entry = Attempt(
        attempt=status.attempt or 1, reason=reason.value, message=shortened(message, ATTEMPT_LENGTH) or None
    )
    return replace(
        status,
        reason=Reason.STOPPING.value,
        message=shortened(message, STATUS_LENGTH) or None,
        attempts=_appended(status.attempts, entry),
    )


def pending_stop(status: JobStatus) -> Observation | None:
    """Why the current attempt is being stopped, as the failure it will be; None when it is not."""
    last = status.attempts[-1] if status.attempts else None
    if last is None or last.outcome is not None:
        return None
    # Another version of the operator may have written a reason that this one does not know.
    reason = next((known for known in Reason if known == last.reason), Reason.FAILED)
    taken, hopeless = reason in _TAKEN, reason in _HOPELESS
    return Observation(Phase.FAILED, reason, last.message or "", charged=not taken, permanent=hopeless)


def finish(job: JobRecord, seen: Observation, *, outcome: State, now: datetime) -> JobStatus:
    """The status of `job` whose current attempt ended it, or could have, as `outcome` (DONE, ERROR or CANCELLED).

    Only the list of attempts and the count of failures are new, not the state.
    """
    status = job.status
    earlier = tuple(attempt for attempt in status.attempts if attempt.outcome is not None)
    failed = outcome is State.ERROR
    charged = is_charged(earlier, seen.charged) if failed else None
    entry = Attempt(
        attempt=status.attempt or 1,
        outcome=_outcome(outcome, seen.reason).value,
        reason=seen.reason.value if seen.reason is not None else None,
        message=shortened(seen.message, ATTEMPT_LENGTH) or None,
        exit_code=seen.exit_code,
        charged=charged,
        workload=status.workload if failed else None,
        node=seen.node,
        start_time=status.start_time,
        completion_time=seen.completion_time or format_time(now),
    )
    failures = (status.failures or 0) + bool(charged)
    return replace(status, attempts=_appended(earlier, entry), failures=failures or None)


def _outcome(state: State, reason: Reason | None) -> Outcome:
    if state is State.DONE:
        return Outcome.SUCCEEDED
    if state is State.CANCELLED:
        return Outcome.CANCELLED
    return _OUTCOMES.get(reason, Outcome.FAILED) if reason is not None else Outcome.FAILED


def _appended(attempts: tuple[Attempt, ...], entry: Attempt) -> tuple[Attempt, ...]:
    kept = (*attempts, entry)[-KEPT_ATTEMPTS:]
    room = ATTEMPTS_LENGTH // len(kept)
    return tuple(replace(one, message=one.message and shortened(one.message, room)) for one in kept)
