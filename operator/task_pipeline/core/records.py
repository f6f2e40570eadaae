"""What the operator remembers of its own objects: one slim record each.

Records are built once per watch event, compared by resourceVersion, and never changed in place: a new status is a new
record (`msgspec.structs.replace`). Status structs are also the wire form, so that a patch is a difference of two.
"""

from typing import Any

import msgspec
from msgspec import Raw, Struct, field

from task_pipeline.api.objects import ObjectMeta, View
from task_pipeline.api.pipeline import PipelineSpec
from task_pipeline.api.reasons import Reason
from task_pipeline.api.states import TERMINAL, State


class Wire(Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """Base of status structs: camelCase, defaults left out, but for those that the CRD's schema has too.

    The latter have a factory, so that they are always written: a null in a patch would remove what kubectl shows, and
    the schema's default of a whole status does not bring one field of it back.
    """


class Condition(Wire, frozen=True):
    type: str
    status: str
    reason: str
    message: str = ""
    last_transition_time: str = ""
    observed_generation: int | None = None


class WorkloadRef(Wire, frozen=True):
    kind: str
    name: str
    uid: str


class Attempt(Wire, frozen=True):
    """One attempt as the status lists it; `outcome` is absent while it runs."""

    attempt: int
    outcome: str | None = None
    reason: str | None = None
    message: str | None = None
    exit_code: int | None = None
    charged: bool | None = None
    workload: WorkloadRef | None = None
    node: str | None = None
    start_time: str | None = None
    completion_time: str | None = None


class JobProgress(Wire, frozen=True):
    percent: int | None = None
    message: str | None = None
    time: str | None = None


class Claim(Wire, frozen=True):
    """The worker that does attempt number `attempt`; it holds it until `lease_until`, and longer if it says so."""

    attempt: int
    worker: str
    claim_time: str
    lease_until: str
    id: str | None = None


class Report(Wire, frozen=True):
    """What a worker says of the end of attempt number `attempt`; what it returns is `JobStatus.result`."""

    attempt: int
    outcome: str
    reason: str | None = None
    message: str | None = None
    exit_code: int | None = None
    time: str = ""


class JobStatus(Wire, frozen=True):
    state: State = field(default_factory=lambda: State.READY)
    reason: str = field(default_factory=lambda: Reason.QUEUED.value)
    message: str | None = None
    attempt: int | None = None
    failures: int | None = None  # attempts that counted against the retries; the list below is cut, this is not
    attempts: tuple[Attempt, ...] = ()
    workload: WorkloadRef | None = None
    next_attempt_time: str | None = None
    start_time: str | None = None
    completion_time: str | None = None
    claim: Claim | None = None
    progress: JobProgress | None = None
    report: Report | None = None
    result: Any = None
    conditions: tuple[Condition, ...] = ()


class StageStatus(Wire, frozen=True, omit_defaults=False):
    name: str
    state: State
    total: int = 0
    waiting: int = 0
    running: int = 0
    done: int = 0
    failed: int = 0
    cancelled: int = 0


class Kept(Wire, frozen=True, omit_defaults=False):
    """The DONE jobs that a run took over: of the runs from `since` on, so many in each stage."""

    since: int
    jobs: tuple[int, ...]


class PipelineStatus(Wire, frozen=True):
    observed_generation: int = field(default_factory=lambda: -1)
    state: State = field(default_factory=lambda: State.READY)
    reason: str | None = None
    message: str | None = None
    run: int | None = None
    stage: str | None = None
    stages: tuple[StageStatus, ...] = ()
    progress: str | None = None
    warnings: int | None = None
    failed_jobs: tuple[str, ...] = ()
    divided: int | None = None
    rerun_id: str | None = None
    kept: Kept | None = None
    cleanup_time: str | None = None
    accepted_time: str | None = None
    start_time: str | None = None
    completion_time: str | None = None
    conditions: tuple[Condition, ...] = ()


class PipelineJobSpecView(View, frozen=True):
    """The spec of a PipelineJob as the operator wrote it; params stay raw bytes until a launch wants them."""

    pipeline: str
    name: str
    stage: str
    stage_index: int
    index: int
    run: int
    client_id: str
    kind: str
    version: str
    params: Raw = Raw(b"{}")
    pipeline_priority: int = 10
    priority: int = 10
    retry_attempt: int = 0
    allow_failure: bool = False
    timeout: int | None = None
    start_timeout: int | None = None
    queue_timeout: int | None = None
    cancel: str | None = None


class PipelineJobView(View, frozen=True):
    metadata: ObjectMeta
    spec: PipelineJobSpecView
    status: JobStatus = JobStatus()


class JobRecord(Struct, frozen=True, kw_only=True):
    """One PipelineJob. `hash` is its job-hash label, `rv` the numeric resourceVersion.

    `owned` is False once its owner reference is gone: nobody but the operator will remove it.
    """

    namespace: str
    name: str
    uid: str
    rv: int
    hash: str
    pipeline_uid: str
    created: str
    deleting: bool
    owned: bool = True
    spec: PipelineJobSpecView
    status: JobStatus

    @property
    def final(self) -> bool:
        """True in a terminal state."""
        return self.status.state in TERMINAL

    @property
    def stopping(self) -> bool:
        """READY because it was cancelled, while its workload has not been seen gone."""
        return self.status.state is State.READY and self.status.reason == Reason.STOPPING

    @property
    def waiting(self) -> bool:
        """READY, and nothing of it runs."""
        return self.status.state is State.READY and self.status.reason != Reason.STOPPING

    @property
    def holds_slot(self) -> bool:
        """Something of it runs, or may."""
        return self.status.state is State.IN_PROGRESS or self.stopping


class PipelineRecord(Struct, frozen=True, kw_only=True):
    """One Pipeline. `spec` is None when it cannot be decoded; `fault` then says why, place by place.

    `slim`: it is over, and the jobs of its spec have been forgotten.
    """

    namespace: str
    name: str
    uid: str
    rv: int
    generation: int
    created: str
    deleting: bool
    spec: PipelineSpec | None
    fault: str | None
    status: PipelineStatus
    slim: bool = False

    @property
    def final(self) -> bool:
        """True in a terminal state."""
        return self.status.state in TERMINAL

    @property
    def run(self) -> int:
        """The number of the current run, from 1."""
        return self.status.run or 1

    @property
    def started(self) -> bool:
        """Whether anything of it was ever launched, in this run or in one before."""
        return self.status.start_time is not None or self.run > 1

    @property
    def invalid(self) -> bool:
        """Whether it was refused before anything was launched: its spec and its client are judged again."""
        refused = self.status.reason in (Reason.INVALID_SPEC, Reason.CLIENT_NOT_ALLOWED)
        return refused and self.status.state is State.ERROR and not self.started

    @property
    def first_stage(self) -> int:
        """Index of the first stage that has jobs to run; the Pipeline must have a spec, and such a stage."""
        assert self.spec is not None
        kept = self.status.kept
        done = (0,) * len(self.spec.stages) if kept is None else kept.jobs
        return next(index for index, total in enumerate(self.spec.stage_totals) if total > done[index])


class ClientStatus(Wire, frozen=True):
    observed_generation: int | None = None
    running: int = field(default_factory=int)
    queued: int = field(default_factory=int)
    conditions: tuple[Condition, ...] = ()


class ClientRecord(Struct, frozen=True, kw_only=True):
    """One PipelineClient, decoded; `fault` says what is wrong with its spec, None when nothing is."""

    name: str
    uid: str
    rv: int
    generation: int = 1
    fault: str | None = None
    priority: int = 10
    max_running_jobs: int | None = None
    queue_size: int | None = None
    namespaces: frozenset[str] = frozenset()
    suspend: bool = False
    highest_priority: int | None = None
    allowed_kinds: frozenset[str] | None = None
    max_wait_seconds: float | None = None
    status: ClientStatus = ClientStatus()

    @property
    def valid(self) -> bool:
        """Whether its spec could be decoded; one whose spec could not allows nothing."""
        return self.fault is None

    def allows(self, namespace: str) -> bool:
        """Whether Pipelines of `namespace` may use this client."""
        return "*" in self.namespaces or namespace in self.namespaces


def status_patch(old: Wire, new: Wire) -> dict[str, Any]:
    """The merge patch (RFC 7396) that turns the status `old` into `new`: changed fields only, null removes."""
    return _difference(msgspec.to_builtins(old), msgspec.to_builtins(new))


def _difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Merge patches merge objects at every depth, so what is to vanish inside one must be named as well."""
    changed = {name: _change(before.get(name), value) for name, value in after.items() if before.get(name) != value}
    return changed | {name: None for name in before if name not in after}


def _change(before: Any, after: Any) -> Any:
    return _difference(before, after) if isinstance(before, dict) and isinstance(after, dict) else after
