"""Builders for the decisions about one job: short calls for records, facts and times, and random facts.

Rule: everything is relative to `NOW`, so that a test reads as spans of seconds.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace

from task_pipeline.api.pipeline import JobSpec, PipelineSpec
from task_pipeline.api.reasons import Reason
from task_pipeline.api.states import State
from task_pipeline.api.times import format_time
from task_pipeline.core.closing import Closing
from task_pipeline.core.deadlines import Timeouts
from task_pipeline.core.job_decision import JobFacts, WorkloadFacts
from task_pipeline.core.records import (
    Attempt,
    JobRecord,
    JobStatus,
    PipelineJobSpecView,
    PipelineRecord,
    PipelineStatus,
    WorkloadRef,
)
from task_pipeline.core.retry import Backoff
from task_pipeline.core.waiting import Wait
from task_pipeline.core.workload import Observation, Phase

NOW = datetime(2031, 4, 17, 12, tzinfo=UTC)
POD = WorkloadRef(kind="Pod", name="p-1", uid="w-1")
STEADY = Backoff(jitter=0.0)

CANCEL = Closing(Reason.USER_CANCELLED, "the Pipeline was cancelled (Now)", True)
DRAIN = Closing(Reason.USER_CANCELLED, "the Pipeline was cancelled (Drain)", False)

SUCCEEDED = Observation(Phase.SUCCEEDED, exit_code=0)
FAILED = Observation(Phase.FAILED, Reason.EXIT_CODE, "exit code 3", exit_code=3)
EVICTED = Observation(Phase.FAILED, Reason.EVICTED, "Evicted", charged=False)
RUNNING = Observation(Phase.RUNNING)
STARTING = Observation(Phase.STARTING)
SUSPENDED = Observation(Phase.SUSPENDED, Reason.EXTERNALLY_QUEUED, "suspended")


def at(seconds: float) -> str:
    """The RFC 3339 time `seconds` after NOW; negative: before."""
    return format_time(NOW + timedelta(seconds=seconds))


def later(seconds: float) -> datetime:
    """The moment `seconds` after NOW."""
    return NOW + timedelta(seconds=seconds)


def job(status: JobStatus | None = None, *, created: float = 0, deleting: bool = False, **spec: Any) -> JobRecord:
    """A PipelineJob created `created` seconds after NOW; `spec` are fields that differ from the plain one."""
    fields: dict[str, Any] = {
        "pipeline": "p", "name": "j", "stage": "s", "stage_index": 0, "index": 0, "run": 1,
        "client_id": "default", "kind": "Shell", "version": "1.0.0",
    }  # fmt: skip
    return JobRecord(
        namespace="ns", name="p-j-hash", uid="u-1", rv=1, hash="hash", pipeline_uid="pu-1", created=at(created),
        deleting=deleting, spec=PipelineJobSpecView(**(fields | spec)), status=status or JobStatus(),
    )  # fmt: skip


def running(since: float = 0, **changes: Any) -> JobStatus:
    """The status of a first attempt that was launched `since` seconds ago."""
    status = JobStatus(
        state=State.IN_PROGRESS, reason=Reason.STARTING.value, attempt=1, workload=POD, start_time=at(-since)
    )
    return replace(status, **changes)


def stopping(since: float = 0) -> JobStatus:
    """The status of a job whose running attempt is being cancelled."""
    return running(since, state=State.READY, reason=Reason.STOPPING.value, message="cancelled")


def facts(record: JobRecord, workload: WorkloadFacts | None = None, **changes: Any) -> JobFacts:
    """Facts about `record`: nothing closes it, nothing holds it, it has no slot."""
    fields: dict[str, Any] = {
        "job": record, "workload": workload or WorkloadFacts(), "closing": None,
        "orphaned": False, "alone": False, "suspended": False,
        "admitted": False, "wait": None, "timeouts": Timeouts(), "backoff": STEADY,
    }  # fmt: skip
    return JobFacts(**(fields | changes))


def saw(observation: Observation | None, **changes: Any) -> WorkloadFacts:
    """A workload that is seen as `observation`."""
    return WorkloadFacts(observation=observation, **changes)


def pipeline(spec: dict[str, Any] | None = None, *, name: str = "p", **changes: Any) -> PipelineRecord:
    """A valid Pipeline of one stage `s` with one job `j`; `spec` and `changes` replace fields."""
    fields: dict[str, Any] = {"stages": ("s",), "jobs": (job_spec("j"),)} | (spec or {})
    record = PipelineRecord(
        namespace="ns", name=name, uid="pu-1", rv=1, generation=1, created=at(0), deleting=False,
        spec=PipelineSpec(**fields), fault=None, status=PipelineStatus(),
    )  # fmt: skip
    return replace(record, **changes)


def job_spec(name: str, stage: str = "s", **changes: Any) -> JobSpec:
    """One job of a Pipeline's spec."""
    return JobSpec(name=name, stage=stage, kind="Shell", version="1.0.0", **changes)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
times = st.none() | st.floats(-1e6, 1e6).map(at)
seconds = st.none() | st.integers(1, 10**11)
reasons = st.sampled_from(Reason)
observations = st.builds(
    Observation, st.sampled_from(Phase), st.none() | reasons, texts, exit_code=st.none() | st.integers(0, 255),
    completion_time=times, charged=st.booleans(), permanent=st.booleans(),
)  # fmt: skip
attempts = st.builds(
    Attempt, attempt=st.integers(1, 99), outcome=st.none() | st.sampled_from(State).map(str),
    reason=st.none() | reasons.map(str) | st.just("FromTheFuture"), message=st.none() | texts,
    charged=st.none() | st.booleans(), workload=st.none() | st.just(POD), start_time=times,
)  # fmt: skip
statuses = st.builds(
    JobStatus, state=st.sampled_from(State), reason=reasons.map(str), message=st.none() | texts,
    attempt=st.none() | st.integers(0, 99), failures=st.none() | st.integers(1, 99),
    attempts=st.lists(attempts, max_size=10).map(tuple), workload=st.none() | st.just(POD),
    next_attempt_time=times, start_time=times, completion_time=times,
)  # fmt: skip
waits = st.builds(Wait, reasons, st.none() | texts)
closings = st.none() | st.builds(Closing, reasons, texts, st.booleans())
workloads = st.builds(
    WorkloadFacts, st.none() | observations, deletion=times, gone=st.booleans(), stoppable=st.booleans(),
    ends_by_itself=st.none() | st.floats(-1e6, 1e6).map(later),
)  # fmt: skip
jobs = st.builds(
    job, statuses, created=st.floats(-1e6, 1e6), deleting=st.booleans(), timeout=seconds, start_timeout=seconds,
    queue_timeout=seconds, retry_attempt=st.integers(0, 100), cancel=st.sampled_from([None, "Now", "Drain"]),
)  # fmt: skip
any_facts = st.builds(
    JobFacts, job=jobs, workload=workloads, closing=closings, orphaned=st.booleans(), alone=st.booleans(),
    suspended=st.booleans(), wait=st.none() | waits,
    admitted=st.booleans(), timeouts=st.just(Timeouts()),
    backoff=st.builds(Backoff, st.floats(0, 86_400), st.floats(1, 100), st.floats(0, 86_400), st.floats(0, 1)),
)  # fmt: skip
