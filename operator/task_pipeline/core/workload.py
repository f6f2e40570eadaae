"""The language in which job kinds and decisions talk about workloads.

A kind says what to launch (`Launch`) and judges what it launched (`Observation`). Both are plain data: the backends
send the one, the informers feed the other, and neither side knows how the other works.

There are two sorts of kinds: those that launch something in the cluster (`WorkloadKind`), and those whose work is
claimed by a program outside, which then reports what became of it (`RemoteKind`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from pydantic import BaseModel

from task_pipeline.api.objects import PodView, WorkloadView
from task_pipeline.api.reasons import Reason
from task_pipeline.api.resources import Resource

if TYPE_CHECKING:
    from typing_extensions import TypeIs

Manifest = dict[str, Any]


class PodSecurity(StrEnum):
    """How strict the pods are that the operator builds from its own short forms."""

    BASELINE = "baseline"
    RESTRICTED = "restricted"


@dataclass(frozen=True, slots=True)
class KindDefaults:
    """The operator settings that kinds may use."""

    shell_image: str | None = None
    pod_security: PodSecurity = PodSecurity.BASELINE


@dataclass(frozen=True, slots=True)
class AttemptIdentity:
    """Everything that names one attempt of one PipelineJob."""

    namespace: str
    job: str  # metadata.name of the PipelineJob
    job_uid: str
    job_hash: str  # label value, also in the PipelineJob's name
    pipeline: str  # metadata.name of the Pipeline
    pipeline_uid: str
    attempt: int  # 1, 2, ...
    workload: str  # deterministic name of what this attempt launches (at most 63 characters, a DNS label)


@dataclass(frozen=True, slots=True)
class Launch:
    """What one attempt sends to the API server.

    `companions` (ConfigMaps) are created before `manifest`; all of them are owned by the PipelineJob. With `apply` the
    manifest is a server-side apply (by field manager task-pipeline, `force` as given) instead of a create.
    """

    resource: Resource
    manifest: Manifest
    companions: tuple[Manifest, ...] = ()
    apply: bool = False
    force: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """A launch that the kind itself refuses for good, e.g. a paused Deployment. The attempt fails with this."""

    reason: Reason
    message: str


class Phase(StrEnum):
    """How far a workload has come."""

    STARTING = "Starting"  # exists, nothing of the user's runs yet
    RUNNING = "Running"
    SUSPENDED = "Suspended"  # held back by someone else (Kueue)
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Observation:
    """A workload as its kind judges it. `reason` and `message` explain STARTING and FAILED.

    `permanent` says that a STARTING or FAILED workload can never succeed and waiting for a start timeout is pointless
    (an invalid image name). `charged` is False when the infrastructure took the workload, so the attempt is given back.
    """

    phase: Phase
    reason: Reason | None = None
    message: str = ""
    exit_code: int | None = None
    node: str | None = None
    start_time: str | None = None
    completion_time: str | None = None
    charged: bool = True
    permanent: bool = False


@dataclass(frozen=True, slots=True)
class Right:
    """One API right that a kind needs: becomes an RBAC rule."""

    resource: Resource
    verbs: tuple[str, ...]


class Params(BaseModel):
    """Base of the params models; kinds derive their versions from it."""

    model_config = {"extra": "forbid", "frozen": True, "populate_by_name": True}


class _Kind(Protocol):
    """What every kind has: a file in `kinds/`, pure, and independent of the other kinds."""

    @property
    def name(self) -> str:
        """The value of `spec.jobs[].kind`."""

    @property
    def versions(self) -> Mapping[str, type[BaseModel]]:
        """The params model of every supported version, by exact semver."""

    @property
    def rights(self) -> tuple[Right, ...]:
        """The API rights that launching and watching need."""

    def problems(self, params: BaseModel, defaults: KindDefaults) -> Sequence[tuple[str, str]]:
        """Faults that the model alone cannot see, as (path below params, message): e.g. no image and no default."""


class RemoteKind(_Kind, Protocol):
    """A kind whose attempts are claimed by workers. Nothing is launched: the PipelineJob's status is the record."""

    @property
    def for_runner(self) -> bool:
        """True when the runner that comes with the operator does them, for all clients; else a client's own workers."""

    def queue(self, params: BaseModel) -> str:
        """The queue in which an attempt waits for its worker."""


class WorkloadKind(_Kind, Protocol):
    """A kind whose attempts are objects in the cluster."""

    @property
    def resource(self) -> Resource:
        """What an attempt launches."""

    @property
    def reads_current(self) -> bool:
        """True when `launch` wants the object of the same name as it exists now."""

    def launch(
        self, params: BaseModel, attempt: AttemptIdentity, defaults: KindDefaults, current: Manifest | None
    ) -> Launch | Refusal:
        """What this attempt sends.

        `current` is the object of the same name as the API server answers it, managedFields and all; None unless
        `reads_current` and it exists. A kind that applies must repeat what it applied before, or lose it.
        """

    def workload_name(self, params: BaseModel, attempt: AttemptIdentity) -> str:
        """The name of the main object: `attempt.workload`, or the user's own name for a Deployment."""

    def observe(self, workload: WorkloadView, pods: Sequence[PodView]) -> Observation:
        """Judge what was launched; `pods` are those below it (empty for a bare Pod)."""


JobKind: TypeAlias = WorkloadKind | RemoteKind


def is_remote_kind(kind: JobKind | None) -> "TypeIs[RemoteKind]":
    """Whether workers do what the kind wants; else it is launched."""
    return hasattr(kind, "queue")
