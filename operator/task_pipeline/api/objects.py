"""What the operator reads of Kubernetes objects that are not its own: slim, typed views.

Each struct names only the fields that a decision needs; the decoder skips the rest without building it, which is
what makes a watch event cheap. Field names follow the Kubernetes API in snake_case.
"""

from msgspec import Struct


class View(Struct, frozen=True, rename="camel", kw_only=True):
    """Base of all views: immutable, camelCase on the wire, absent fields take their default."""


class OwnerReference(View, frozen=True):
    uid: str
    kind: str = ""
    name: str = ""
    controller: bool = False


class ObjectMeta(View, frozen=True):
    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = "0"
    generation: int = 0
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[OwnerReference, ...] = ()

    @property
    def controller_uid(self) -> str | None:
        """UID of the controlling owner, if there is one."""
        return next((owner.uid for owner in self.owner_references if owner.controller), None)


class ObjectCondition(View, frozen=True):
    type: str
    status: str = "Unknown"
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None


class Waiting(View, frozen=True):
    reason: str = ""
    message: str = ""


class Running(View, frozen=True):
    started_at: str | None = None


class Terminated(View, frozen=True):
    exit_code: int = 0
    signal: int = 0
    reason: str = ""
    message: str = ""
    started_at: str | None = None
    finished_at: str | None = None


class ContainerState(View, frozen=True):
    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Terminated | None = None


class ContainerStatus(View, frozen=True):
    name: str
    restart_count: int = 0
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()


class PodSpecView(View, frozen=True):
    node_name: str | None = None


class PodStatusView(View, frozen=True):
    phase: str = "Pending"
    reason: str = ""
    message: str = ""
    start_time: str | None = None
    conditions: tuple[ObjectCondition, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()


class PodView(View, frozen=True):
    metadata: ObjectMeta
    spec: PodSpecView = PodSpecView()
    status: PodStatusView = PodStatusView()


class KubernetesJobSpecView(View, frozen=True):
    completions: int | None = None
    parallelism: int | None = None
    suspend: bool = False


class KubernetesJobStatusView(View, frozen=True):
    active: int = 0
    succeeded: int = 0
    failed: int = 0
    start_time: str | None = None
    completion_time: str | None = None
    conditions: tuple[ObjectCondition, ...] = ()


class KubernetesJobView(View, frozen=True):
    metadata: ObjectMeta
    spec: KubernetesJobSpecView = KubernetesJobSpecView()
    status: KubernetesJobStatusView = KubernetesJobStatusView()


class NamedContainer(View, frozen=True):
    name: str


class DeploymentPodSpecView(View, frozen=True):
    containers: tuple[NamedContainer, ...] = ()


class DeploymentTemplateView(View, frozen=True):
    spec: DeploymentPodSpecView = DeploymentPodSpecView()


class DeploymentSpecView(View, frozen=True):
    replicas: int = 1
    paused: bool = False
    progress_deadline_seconds: int = 600
    template: DeploymentTemplateView = DeploymentTemplateView()


class DeploymentStatusView(View, frozen=True):
    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    available_replicas: int = 0
    terminating_replicas: int = 0
    conditions: tuple[ObjectCondition, ...] = ()


class DeploymentView(View, frozen=True):
    metadata: ObjectMeta
    spec: DeploymentSpecView = DeploymentSpecView()
    status: DeploymentStatusView = DeploymentStatusView()


WorkloadView = PodView | KubernetesJobView | DeploymentView
