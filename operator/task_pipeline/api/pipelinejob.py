"""The PipelineJob: one job of one run, made by the operator when its stage opens.

Rule: only the operator creates it. Its spec is a frozen copy of what the Pipeline said; users may
change `priority` and `cancel`, the operator `pipelinePriority` too, and the API server refuses
the rest. Both models ignore unknown fields: an older operator must be able to read a newer one's.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from task_pipeline.api.common import (
    MAX_ATTEMPTS,
    Cancel,
    ClientId,
    Condition,
    Count,
    Int32,
    JobName,
    KindName,
    KindVersion,
    Message,
    Positive,
    Seconds,
    StageName,
    StateField,
    StatusModel,
    Text,
    Timestamp,
)
from task_pipeline.api.pipeline import DEFAULT_PRIORITY
from task_pipeline.api.reasons import Reason
from task_pipeline.api.states import State

KEPT_ATTEMPTS = 10
MAX_WORKER_NAME = 128
MAX_CLAIM_ID = 64
MAX_REPORT_MESSAGE = 512
MAX_PROGRESS_MESSAGE = 256
MAX_RESULT = 4096  # bytes of JSON


class PipelineJobSpec(StatusModel):
    """One job, complete: everything needed to run it without reading its Pipeline."""

    pipeline: Text = Field(description="Name of the Pipeline that owns this job.")
    name: JobName = Field(description="Name of the job inside its Pipeline.")
    stage: StageName = Field(description="Name of the job's stage.")
    stage_index: Count = Field(description="Position of the stage in the Pipeline, from 0.")
    index: Count = Field(description="Position of the job in the Pipeline's jobs, from 0.")
    run: Positive = Field(description="Number of the Pipeline's run, from 1.")
    client_id: ClientId = Field(description="The PipelineClient that this work is accounted to.")
    kind: KindName = Field(description="Which job kind runs it.")
    version: KindVersion = Field(description="Version of the kind's params.")
    params: dict[str, Any] = Field(
        default_factory=dict,
        description="Parameters of the job, as its Pipeline gives them.",
    )
    pipeline_priority: Int32 = Field(
        default=DEFAULT_PRIORITY,
        description="Priority of the Pipeline, kept up to date by the operator: smaller runs first.",
    )
    priority: Int32 = Field(
        default=DEFAULT_PRIORITY,
        description="Order inside the stage: smaller runs first. May be changed while the job waits.",
    )
    retry_attempt: Annotated[int, Field(ge=0, le=MAX_ATTEMPTS)] = Field(
        default=0,
        description="Extra attempts after a failure or a timeout.",
    )
    allow_failure: bool = Field(
        default=False,
        description="true: a failure of this job does not stop the pipeline.",
    )
    timeout: Seconds | None = Field(
        default=None,
        description="Seconds an attempt may take from its launch. The operator's setting if absent.",
    )
    start_timeout: Seconds | None = Field(
        default=None,
        description="Seconds a launched attempt may take to begin to run. The operator's setting if absent.",
    )
    queue_timeout: Seconds | None = Field(
        default=None,
        description="Seconds the job may wait in the queue. No limit if absent.",
    )
    cancel: Cancel | None = Field(
        default=None,
        description="Drain: the job ends CANCELLED if it waits and finishes if it runs. Now: it is stopped if it runs.",
    )


class WorkloadRef(StatusModel):
    """What an attempt has launched, in the PipelineJob's namespace."""

    kind: Text = Field(description="Kind of what was launched, such as Pod, Job or Deployment.")
    name: Text = Field(description="Name of what was launched.")
    uid: Text | None = Field(default=None, description="UID of what was launched, once it is known.")


class Attempt(StatusModel):
    """One launch of the job and how it ended."""

    attempt: Positive = Field(description="Number of the attempt, from 1.")
    outcome: Text | None = Field(
        default=None,
        description="How the attempt ended: Succeeded, Failed, Timeout, Evicted, Lost or Cancelled; "
        "absent while it is being stopped.",
    )
    reason: Text | None = Field(default=None, description="Why, as one word; the list is in docs/reasons.md.")
    message: Message | None = Field(default=None, description="Why, as a sentence, or the last lines of the log.")
    exit_code: Int32 | None = Field(default=None, description="Exit code of the main container.")
    charged: bool | None = Field(
        default=None,
        description="Whether the attempt counts against retryAttempt; one lost to the infrastructure does not.",
    )
    workload: WorkloadRef | None = Field(default=None, description="What the attempt launched.")
    node: Text | None = Field(default=None, description="The node it ran on, or the worker that did it.")
    start_time: Timestamp | None = Field(default=None, description="When it was launched.")
    completion_time: Timestamp | None = Field(default=None, description="When its end was seen.")


class Progress(StatusModel):
    """What the work itself reports about how far it has come."""

    percent: Annotated[int, Field(ge=0, le=100)] | None = Field(
        default=None,
        description="How much is done, 0 to 100.",
    )
    message: Message | None = Field(default=None, description="What it is doing, in its own words.")
    time: Timestamp | None = Field(default=None, description="When it reported.")


class Claim(StatusModel):
    """Which worker has an attempt, and for how long."""

    attempt: Positive = Field(description="Number of the attempt that was claimed.")
    worker: Annotated[str, Field(max_length=MAX_WORKER_NAME)] = Field(
        description="Name that the worker gave itself.",
    )
    claim_time: Timestamp = Field(description="When it claimed the attempt.")
    lease_until: Timestamp = Field(
        description="Until when it holds the attempt; each heartbeat moves this on, and without one the attempt "
        "ends with WorkerLost.",
    )
    id: Annotated[str, Field(max_length=MAX_CLAIM_ID)] | None = Field(
        default=None,
        description="What the worker named its request, so that a repeated one has the same answer.",
    )


class Report(StatusModel):
    """What a worker says of the end of an attempt."""

    attempt: Positive = Field(description="Number of the attempt that ended.")
    outcome: Literal["Succeeded", "Failed"] = Field(description="Succeeded or Failed.")
    reason: Literal["Failed", "ConfigError", "RequestFailed"] | None = Field(
        default=None,
        description="Why it failed, as one word; absent = Failed.",
    )
    message: Annotated[str, Field(max_length=MAX_REPORT_MESSAGE)] | None = Field(
        default=None,
        description="What happened, in the worker's own words.",
    )
    exit_code: Int32 | None = Field(default=None, description="Exit code of the work, if it has one.")
    time: Timestamp = Field(description="When the report came.")


class PipelineJobStatus(StatusModel):
    """How a PipelineJob stands; the schema's default says READY and Queued, so waiting costs no write."""

    state: StateField = Field(
        default=State.READY,
        description="READY, IN PROGRESS, DONE, ERROR or CANCELLED; the last three are final.",
    )
    reason: Text | None = Field(
        default=Reason.QUEUED.value,
        description="Why, as one word; the list is in docs/reasons.md.",
    )
    message: Message | None = Field(default=None, description="Why, as a sentence for people.")
    attempt: Count = Field(default=0, description="Number of the latest attempt, from 1; 0: none yet.")
    failures: Count = Field(
        default=0,
        description="Attempts that counted against retryAttempt; the list below is cut, this is not.",
    )
    attempts: tuple[Attempt, ...] = Field(
        default=(),
        strict=False,
        max_length=KEPT_ATTEMPTS,
        description="The last ten attempts, oldest first.",
    )
    workload: WorkloadRef | None = Field(default=None, description="What the latest attempt launched.")
    next_attempt_time: Timestamp | None = Field(
        default=None,
        description="The next attempt does not start before this time.",
    )
    start_time: Timestamp | None = Field(default=None, description="Launch of the latest attempt.")
    completion_time: Timestamp | None = Field(default=None, description="When the final state was reached.")
    claim: Claim | None = Field(
        default=None,
        description="The worker that has the latest attempt, for kinds that workers claim.",
    )
    progress: Progress | None = Field(default=None, description="What the work reports about itself.")
    report: Report | None = Field(
        default=None,
        description="What the worker says of the end of the latest attempt; the operator then sets the state.",
    )
    result: dict[str, Any] | None = Field(default=None, description="What the work returns, at most 4 KiB.")
    conditions: tuple[Condition, ...] = Field(
        default=(),
        strict=False,
        max_length=32,
        description="Finished and Succeeded, written with the final state.",
    )
