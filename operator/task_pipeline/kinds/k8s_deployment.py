"""K8S/Deployment: a server-side apply of an apps/v1 Deployment, watched until it is rolled out.

Two forms: `name` with `spec`, a DeploymentSpec passed on as written, which is then the whole of what this operator
applies; or the short form. That changes only what it names if the Deployment exists (never its selector), and makes
a whole one, selected by `app.kubernetes.io/name`, if it does not. The Deployment outlives its Pipeline unless
`onDelete` is Remove: then the Pipeline is an owner, and garbage collection takes it along, without a finalizer.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from task_pipeline.api.group import (
    ANNOTATION_ATTEMPT,
    API_VERSION,
    FIELD_MANAGER,
    LABEL_JOB_HASH,
    PIPELINE_KIND,
)
from task_pipeline.api.objects import DeploymentView, PodView, WorkloadView
from task_pipeline.api.reasons import Reason
from task_pipeline.api.resources import DEPLOYMENTS, PODS, REPLICA_SETS, Resource
from task_pipeline.core.workload import (
    AttemptIdentity,
    KindDefaults,
    Launch,
    Manifest,
    Observation,
    Refusal,
    Right,
)
from task_pipeline.kinds._apply import overlay, owned_fields
from task_pipeline.kinds._checks import Problem, form_problems, given, pod_problems, template_problems
from task_pipeline.kinds._params import NativeSpec, PodParams
from task_pipeline.kinds._pods import compact, container_fields, named_security, pod_fields, pod_spec
from task_pipeline.kinds._rollout import judge_rollout
from task_pipeline.kinds._scalars import DnsLabel, KindModel, Natural, ObjectName, Port, Positive

NAME_LABEL = "app.kubernetes.io/name"
_LABEL_LENGTH = 63


class ContainerPort(KindModel):
    """A port that the container listens on."""

    name: DnsLabel | None = Field(default=None, description="A name for Services to refer to.")
    container_port: Port = Field(description="The number.")
    protocol: Literal["TCP", "UDP", "SCTP"] = Field(default="TCP", description="TCP, UDP or SCTP.")


class DeploymentParams(PodParams):
    """An apps/v1 Deployment: the short form, or `spec`."""

    name: ObjectName = Field(description="The Deployment's name, in the Pipeline's namespace.")
    container_name: DnsLabel | None = Field(
        default=None,
        description="The container meant; absent = the only one, or in a new Deployment its name.",
    )
    replicas: Natural | None = Field(default=None, description="Pods wanted; absent = left as it is, or 1 when new.")
    ports: Annotated[tuple[ContainerPort, ...], Field(strict=False)] | None = Field(
        default=None, description="Ports that the container listens on."
    )
    readiness_probe: dict[str, Any] | None = Field(
        default=None, description="When a pod counts as available; a Probe as in Kubernetes."
    )
    progress_deadline_seconds: Positive | None = Field(
        default=None,
        description="Without progress for so long, the rollout has failed; Kubernetes' default is 600.",
    )
    spec: NativeSpec | None = Field(default=None, description="An apps/v1 DeploymentSpec instead of the short form.")
    force: bool = Field(default=False, description="true: take over fields that another manager owns.")
    on_failure: Literal["Keep", "Rollback"] = Field(
        default="Keep", description="Rollback: after a failed rollout, go back to the revision before."
    )
    on_delete: Literal["Keep", "Remove"] = Field(
        default="Keep", description="Remove: the Deployment is deleted together with its Pipeline."
    )


_BESIDE_SPEC = frozenset({"name", "spec", "force", "on_failure", "on_delete"})


def _native_problems(spec: Mapping[str, Any]) -> Iterator[Problem]:
    if spec.get("paused"):
        yield "spec.paused", "must not be true: a paused Deployment never rolls out"
    yield from template_problems(spec)


class DeploymentKind:
    """The kind `K8S/Deployment`."""

    name = "K8S/Deployment"
    versions: Mapping[str, type[BaseModel]] = MappingProxyType({"1.0.0": DeploymentParams})
    resource: Resource = DEPLOYMENTS
    reads_current = True
    rights = (
        Right(DEPLOYMENTS, ("create", "get", "list", "patch", "watch")),
        Right(REPLICA_SETS, ("list",)),
        Right(PODS, ("list",)),
    )

    def problems(self, params: BaseModel, defaults: KindDefaults) -> Sequence[Problem]:
        """Faults between fields, and what must be known of a native spec."""
        assert isinstance(params, DeploymentParams)
        if given(params, "spec"):
            return (*form_problems(params, _BESIDE_SPEC), *_native_problems(params.spec or {}))
        return tuple(pod_problems(params, defaults))

    def workload_name(self, params: BaseModel, attempt: AttemptIdentity) -> str:
        """The name that the user gave."""
        assert isinstance(params, DeploymentParams)
        return params.name

    def rollback_on_failure(self, params: BaseModel) -> bool:
        """Whether a failed rollout is to be followed by a return to the revision before."""
        assert isinstance(params, DeploymentParams)
        return params.on_failure == "Rollback"

    def launch(
        self, params: BaseModel, attempt: AttemptIdentity, defaults: KindDefaults, current: Manifest | None
    ) -> Launch | Refusal:
        """The apply; a Refusal when `current` is paused, or is not what the short form takes it for."""
        assert isinstance(params, DeploymentParams)
        if params.spec is not None:
            resumes = params.spec.get("paused") is False
            refusal = None if resumes else _paused(params.name, current)
            spec: Manifest | Refusal = refusal or deepcopy(params.spec)
        elif current is None:
            spec = _new_spec(params, defaults)
        else:
            spec = _paused(params.name, current) or _changed_spec(params, current)
        if isinstance(spec, Refusal):
            return spec
        manifest: Manifest = {
            "apiVersion": DEPLOYMENTS.api_version,
            "kind": DEPLOYMENTS.kind,
            "metadata": _metadata(params, attempt),
            "spec": spec,
        }
        return Launch(DEPLOYMENTS, manifest, apply=True, force=params.force)

    def observe(self, workload: WorkloadView, pods: Sequence[PodView]) -> Observation:
        """The rollout of the generation that the object has now."""
        assert isinstance(workload, DeploymentView)
        return judge_rollout(workload, pods)


def _metadata(params: DeploymentParams, attempt: AttemptIdentity) -> Manifest:
    owner = {
        "apiVersion": API_VERSION,
        "kind": PIPELINE_KIND,
        "name": attempt.pipeline,
        "uid": attempt.pipeline_uid,
    }
    return compact(
        {
            "name": params.name,
            "namespace": attempt.namespace,
            "labels": {LABEL_JOB_HASH: attempt.job_hash},
            "annotations": {ANNOTATION_ATTEMPT: str(attempt.attempt)},
            "ownerReferences": [owner] if params.on_delete == "Remove" else [],
        }
    )


def _paused(name: str, current: Manifest | None) -> Refusal | None:
    if current is None or not current.get("spec", {}).get("paused"):
        return None
    return Refusal(
        Reason.CONFLICT,
        f"Deployment {name} is paused, so it would never roll out: kubectl rollout resume deployment/{name}",
    )


def _container(params: DeploymentParams) -> Manifest:
    """The fields of the container that the short form names."""
    fields = container_fields(params)
    ports = [port.wire() for port in params.ports or ()]
    return {**fields, **compact({"ports": ports, "readinessProbe": deepcopy(params.readiness_probe)})}


def _outer_fields(params: DeploymentParams) -> Manifest:
    return compact({"replicas": params.replicas, "progressDeadlineSeconds": params.progress_deadline_seconds})


def _new_spec(params: DeploymentParams, defaults: KindDefaults) -> Manifest | Refusal:
    if params.image is None:
        return Refusal(Reason.INVALID_SPEC, f"Deployment {params.name} does not exist; give image to make it")
    if len(params.name) > _LABEL_LENGTH:
        return Refusal(
            Reason.INVALID_SPEC,
            f"Deployment {params.name} does not exist, and its name is longer than the {_LABEL_LENGTH} characters "
            "of the label that would select its pods; use spec",
        )
    labels = {NAME_LABEL: params.name}
    name = params.container_name or params.name.replace(".", "-")
    template = {
        "metadata": {"labels": labels},
        "spec": pod_spec(params, defaults, {"name": name, **_container(params)}),
    }
    return {**_outer_fields(params), "selector": {"matchLabels": dict(labels)}, "template": template}


def _changed_spec(params: DeploymentParams, current: Manifest) -> Manifest | Refusal:
    container = _container(params) | compact({"securityContext": named_security(params.security_context)})
    pod = pod_fields(params)
    if container:
        names = [one.get("name", "") for one in current["spec"]["template"]["spec"]["containers"]]
        name = params.container_name or (names[0] if len(names) == 1 else None)
        if name not in names:
            return Refusal(
                Reason.INVALID_SPEC,
                f"Deployment {params.name} has the containers {', '.join(names)}: name one of them in containerName",
            )
        pod["containers"] = [{"name": name, **container}]
    change = _outer_fields(params) | ({"template": {"spec": pod}} if pod else {})
    return overlay(owned_fields(current, FIELD_MANAGER), change)


KIND = DeploymentKind()
