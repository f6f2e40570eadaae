"""When a running attempt has taken too long, and the words for it.

The message names the limit and what is known of the cause: how long the workload waited for its start, why it does not
run, which other container has died. `timeout` counts from the launch, waiting for a node and an image included;
`startTimeout` ends what has not begun to run by then.
"""

from datetime import datetime, timedelta

from task_pipeline.api.reasons import Reason
from task_pipeline.api.times import parse_time
from task_pipeline.core.deadlines import Timeouts, after, passed
from task_pipeline.core.external_hold import starts_from
from task_pipeline.core.records import JobRecord
from task_pipeline.core.workload import Observation, Phase


def run_limit(job: JobRecord, timeouts: Timeouts) -> datetime | None:
    """When the attempt must have ended."""
    return after(job.status.start_time, job.spec.timeout or timeouts.run)


def start_limit(job: JobRecord, timeouts: Timeouts) -> datetime | None:
    """When the attempt must have begun to run."""
    return after(starts_from(job.status), job.spec.start_timeout or timeouts.start)


def overdue(job: JobRecord, seen: Observation, timeouts: Timeouts, now: datetime) -> tuple[Reason, str] | None:
    """Why the attempt, whose workload is `seen`, must be stopped now; None when it may go on."""
    if seen.phase is Phase.SUSPENDED:
        return None
    if seen.phase is Phase.STARTING and seen.permanent:
        return seen.reason or Reason.START_ERROR, seen.message
    if passed(run_limit(job, timeouts), now):
        span = job.spec.timeout or timeouts.run
        return Reason.TIMEOUT, _with_cause(f"ran longer than {span:.15g} s{_pending(job, seen)}", seen)
    if seen.phase is Phase.STARTING and passed(start_limit(job, timeouts), now):
        span = job.spec.start_timeout or timeouts.start
        return Reason.START_TIMEOUT, _with_cause(f"not started within {span:.15g} s", seen)
    return None


def _with_cause(text: str, seen: Observation) -> str:
    return f"{text}: {seen.message}" if seen.message else text


def _pending(job: JobRecord, seen: Observation) -> str:
    """How much of the time passed before anything ran, in whole seconds; empty when less than one did."""
    if seen.phase is Phase.STARTING:
        return ", pending all the time"
    if seen.start_time is None or job.status.start_time is None:
        return ""
    waited = parse_time(seen.start_time) - parse_time(job.status.start_time)
    seconds = waited // timedelta(seconds=1)
    return f", {seconds} s of them pending" if seconds > 0 else ""
