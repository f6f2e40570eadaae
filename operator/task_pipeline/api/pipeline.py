"""The Pipeline: one run of one process, written by users, and its status, written by the operator.

Rule: nothing here decides. Defaults of a job are applied in memory (`effective_priority`, ...):
the schema has none inside `jobs[]`, because GitOps diff tools treat that list as one value.
"""

from collections import Counter
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field

from task_pipeline.api.common import (
    MAX_ATTEMPTS,
    MAX_JOBS,
    MAX_STAGES,
    Cancel,
    ClientId,
    Condition,
    Count,
    Generation,
    Int32,
    JobName,
    KindName,
    KindVersion,
    Message,
    Model,
    Seconds,
    SecondsOrZero,
    StageName,
    StateField,
    StatusModel,
    Text,
    Timestamp,
)
from task_pipeline.api.group import DEFAULT_CLIENT
from task_pipeline.api.states import State

DEFAULT_PRIORITY = 10

StageRef = Annotated[str, Field(max_length=63)]  # what it may hold is decided where stages are listed
RetryAttempt = Annotated[int, Field(ge=0, le=MAX_ATTEMPTS)]


class JobSpec(Model):
    """One job of a Pipeline; its defaults are applied in memory and never written into the list."""

    name: JobName = Field(
        description="Name of the job, unique in the pipeline: 1 to 63 characters of A-Z a-z 0-9 . _ -",
    )
    stage: StageRef = Field(description="The stage that the job belongs to, one of spec.stages.")
    kind: KindName = Field(
        description="Which job kind runs it, such as Shell, K8S/Job, K8S/Deployment, HTTP or Worker.",
    )
    version: KindVersion = Field(
        description="Version of the kind's params, exact: three numbers such as 1.0.0.",
    )
    priority: Int32 | None = Field(
        default=None,
        description="Order inside the stage: smaller runs first. 10 if absent.",
    )
    params: dict[str, Any] | None = Field(
        default=None,
        description="Parameters of the job, checked against the schema of its kind and version.",
    )
    retry_attempt: RetryAttempt | None = Field(
        default=None,
        validation_alias=AliasChoices("retryAttempt", "retry_attempt"),
        description="Extra attempts after a failure or a timeout, 0 to 100. 0 if absent.",
    )
    allow_failure: bool | None = Field(
        default=None,
        validation_alias=AliasChoices("allowFailure", "allow_failure"),
        description="true: a failure of this job does not stop the pipeline. false if absent.",
    )
    timeout: Seconds | None = Field(
        default=None,
        description="Seconds an attempt may take from its launch; waiting in the queue does not count. "
        "The operator's setting if absent.",
    )
    start_timeout: Seconds | None = Field(
        default=None,
        description="Seconds a launched attempt may take to begin to run; then it fails with StartTimeout. "
        "The operator's setting if absent.",
    )
    queue_timeout: Seconds | None = Field(
        default=None,
        description="Seconds the job may wait in its open stage; then it ends CANCELLED with QueueTimeout. "
        "No limit if absent.",
    )

    @property
    def effective_priority(self) -> int:
        """The priority with its default applied; smaller runs first."""
        return DEFAULT_PRIORITY if self.priority is None else self.priority

    @property
    def retries(self) -> int:
        """How many attempts may follow the first one."""
        return self.retry_attempt or 0

    @property
    def failure_allowed(self) -> bool:
        """Whether a failure of this job leaves the pipeline going."""
        return bool(self.allow_failure)

    @property
    def effective_params(self) -> dict[str, Any]:
        """The params, empty if there are none; not a copy."""
        return {} if self.params is None else self.params


class Rerun(Model):
    """The wish for another run of a finished Pipeline."""

    id: str = Field(
        min_length=1,
        max_length=63,
        description="Any text; a new one asks for another run, the same one again does nothing.",
    )
    scope: Literal["Failed", "All"] = Field(
        default="Failed",
        description="Failed: jobs that are DONE stay so and the others run again. All: every job runs again.",
    )


class PipelineSpec(Model):
    """What a user asks for: ordered stages, their jobs, and how to treat them."""

    client_id: ClientId = Field(
        default=DEFAULT_CLIENT,
        description="The PipelineClient that this work is accounted to.",
    )
    priority: Int32 = Field(
        default=DEFAULT_PRIORITY,
        description="Order among pipelines of equal client priority: smaller runs first.",
    )
    stages: tuple[StageName, ...] = Field(
        strict=False,
        min_length=1,
        max_length=MAX_STAGES,
        description="The stages in the order in which they run, 1 to 64 unique names.",
    )
    jobs: tuple[JobSpec, ...] = Field(
        strict=False,
        min_length=1,
        max_length=MAX_JOBS,
        description="The jobs, 1 to 2000 with unique names; those of one stage run in parallel.",
    )
    suspend: bool = Field(
        default=False,
        description="true: nothing more is started; what runs goes on.",
    )
    cancel: Cancel | None = Field(
        default=None,
        description="Drain: waiting jobs end CANCELLED and running ones finish. Now: running ones are stopped too.",
    )
    fail_fast: bool = Field(
        default=False,
        description="true: the first failure that counts cancels the waiting jobs of its own stage as well.",
    )
    timeout: Seconds | None = Field(
        default=None,
        description="Seconds the whole run may take from its first launch; then DeadlineExceeded. No limit if absent.",
    )
    ttl_seconds_after_finished: SecondsOrZero | None = Field(
        default=None,
        description="Seconds after the end of the latest run until ttlPolicy is applied. "
        "The operator's setting if absent.",
    )
    ttl_policy: Literal["Slim", "Delete"] = Field(
        default="Slim",
        description="Slim: PipelineJobs and workloads are deleted and the Pipeline is kept. "
        "Delete: the Pipeline goes too; if Git still holds it, it will be created and run again.",
    )
    rerun: Rerun | None = Field(default=None, description="Asks for another run of a finished Pipeline.")

    @cached_property
    def stage_totals(self) -> tuple[int, ...]:
        """How many jobs each stage has, in the order of the stages."""
        count = Counter(job.stage for job in self.jobs)
        return tuple(count[stage] for stage in self.stages)


class StageStatus(StatusModel):
    """One stage as counts of its jobs; the sum of the five counts is `total`."""

    name: Text = Field(description="Name of the stage.")
    state: StateField = Field(description="State of the stage, made from those of its jobs.")
    total: Count = Field(default=0, description="Number of jobs of the stage.")
    waiting: Count = Field(default=0, description="Jobs that are READY.")
    running: Count = Field(default=0, description="Jobs that are IN PROGRESS.")
    done: Count = Field(default=0, description="Jobs that are DONE.")
    failed: Count = Field(default=0, description="Jobs that ended ERROR, allowed failures included.")
    cancelled: Count = Field(default=0, description="Jobs that ended CANCELLED or were never started.")


class Kept(StatusModel):
    """The DONE jobs that a rerun took over from earlier runs."""

    since: Annotated[int, Field(ge=1, le=2**31 - 1)] = Field(
        description="The first run whose DONE jobs are taken over.",
    )
    jobs: tuple[Count, ...] = Field(
        strict=False,
        max_length=MAX_STAGES,
        description="How many of them each stage has, in the order of spec.stages.",
    )


class PipelineStatus(StatusModel):
    """How a Pipeline stands; its size grows with the stages, never with the jobs."""

    observed_generation: Generation = Field(
        default=-1,
        description="The metadata.generation that this status was judged for; -1: not seen yet.",
    )
    state: StateField = Field(
        default=State.READY,
        description="READY until the first launch, then IN PROGRESS, at last DONE, ERROR or CANCELLED.",
    )
    reason: Text | None = Field(default=None, description="Why, as one word; the list is in docs/reasons.md.")
    message: Message | None = Field(default=None, description="Why, as a sentence for people.")
    run: Annotated[int, Field(ge=1, le=2**31 - 1)] = Field(
        default=1,
        description="Number of the run, from 1; a rerun increases it.",
    )
    stage: Text | None = Field(default=None, description="The open stage.")
    stages: tuple[StageStatus, ...] = Field(
        default=(),
        strict=False,
        max_length=MAX_STAGES,
        description="Every stage with the counts of its jobs, in the order of spec.stages.",
    )
    progress: Text | None = Field(default=None, description="Finished jobs out of all jobs, such as 3/5.")
    warnings: Count = Field(default=0, description="Number of failures that were allowed.")
    failed_jobs: tuple[Text, ...] = Field(
        default=(),
        strict=False,
        max_length=20,
        description="Names of jobs that failed, the first 20 of them.",
    )
    accepted_time: Timestamp | None = Field(
        default=None,
        description="When the operator first accepted this run; the order of arrival goes by it.",
    )
    start_time: Timestamp | None = Field(default=None, description="First launch of this run.")
    completion_time: Timestamp | None = Field(default=None, description="End of this run.")
    divided: Annotated[int, Field(ge=-1, le=MAX_STAGES)] | None = Field(
        default=None,
        description="Index of the last stage of this run whose PipelineJobs have all been created. "
        "One of them missing later was deleted by hand.",
    )
    rerun_id: Text | None = Field(
        default=None,
        description="The spec.rerun.id that was answered last, with a run or with a refusal in the message.",
    )
    kept: Kept | None = Field(default=None, description="What a rerun of scope Failed took over from earlier runs.")
    cleanup_time: Timestamp | None = Field(
        default=None,
        description="From when on the PipelineJobs and workloads of the finished Pipeline are removed.",
    )
    conditions: tuple[Condition, ...] = Field(
        default=(),
        strict=False,
        max_length=32,
        description="Accepted, Succeeded, Finished, Ready, Reconciling, Stalled and Suspended.",
    )
