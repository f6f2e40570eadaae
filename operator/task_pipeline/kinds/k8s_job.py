"""K8S/Job: one batch/v1 Job per attempt.

Two forms: the short one describes a pod with one container, as Shell does without a script; `spec` is a JobSpec,
passed on as written. There the expansion of `$(NAME)`, the security context and everything else are Kubernetes' own.
In both, an attempt is one try unless the user says otherwise: `backoffLimit` 0, `restartPolicy` Never.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, Field

from task_pipeline.api.objects import KubernetesJobView, ObjectCondition, PodView, WorkloadView
from task_pipeline.api.reasons import Reason
from task_pipeline.api.resources import KUBERNETES_JOBS, PODS, Resource
from task_pipeline.core.workload import (
    AttemptIdentity,
    KindDefaults,
    Launch,
    Manifest,
    Observation,
    Phase,
    Right,
)
from task_pipeline.kinds._checks import Problem, form_problems, given, pod_problems, template_problems
from task_pipeline.kinds._judge import judge_pod
from task_pipeline.kinds._params import LabelledParams, NativeSpec
from task_pipeline.kinds._pods import compact, container_fields, owned_metadata, pod_spec, tracking_labels
from task_pipeline.kinds._scalars import DnsLabel, Natural, Positive
from task_pipeline.kinds._text import join

MAIN = "main"
_BESIDE_SPEC = frozenset({"spec", "labels", "annotations"})
_KILLED = frozenset({128 + 9, 128 + 15})
_LIVENESS = "it has a liveness probe, and one that fails ends a container like this; the events of the pod tell"
# The Job's status does not say that a quota or a policy refuses its pods: that is in its events alone.
_NO_POD = "the Job has no pod yet; the events of the Job tell whether a quota or a policy refuses it"


class KubernetesJobParams(LabelledParams):
    """A batch/v1 Job: the short form, or `spec`."""

    container_name: DnsLabel | None = Field(default=None, description="Name of the container; absent = main.")
    parallelism: Positive | None = Field(default=None, description="Pods at the same time; absent = 1.")
    completions: Natural | None = Field(default=None, description="Pods that must succeed; absent = 1.")
    spec: NativeSpec | None = Field(
        default=None,
        description="A batch/v1 JobSpec instead of the short form; only labels and annotations go beside it.",
    )


def _native_problems(spec: Mapping[str, Any]) -> Iterator[Problem]:
    if spec.get("ttlSecondsAfterFinished") is not None:
        yield (
            "spec.ttlSecondsAfterFinished",
            "is not allowed: the Pipeline's own ttlSecondsAfterFinished cleans up",
        )
    for field in ("selector", "manualSelector"):
        if spec.get(field) is not None:
            yield f"spec.{field}", "is not allowed: each attempt is a Job whose selector Kubernetes makes"
    yield from template_problems(spec)


class KubernetesJobKind:
    """The kind `K8S/Job`."""

    name = "K8S/Job"
    versions: Mapping[str, type[BaseModel]] = MappingProxyType({"1.0.0": KubernetesJobParams})
    resource: Resource = KUBERNETES_JOBS
    reads_current = False
    rights = (
        Right(KUBERNETES_JOBS, ("create", "delete", "get", "list", "watch")),
        Right(PODS, ("delete", "get", "list", "watch")),
    )

    def problems(self, params: BaseModel, defaults: KindDefaults) -> Sequence[Problem]:
        """Faults between fields, and what must be known of a native spec."""
        assert isinstance(params, KubernetesJobParams)
        if given(params, "spec"):
            return (*form_problems(params, _BESIDE_SPEC), *_native_problems(params.spec or {}))
        missing = [] if given(params, "image") else [("image", "required, unless spec is given")]
        return (*missing, *pod_problems(params, defaults))

    def workload_name(self, params: BaseModel, attempt: AttemptIdentity) -> str:
        """The Job's name: the attempt's."""
        return attempt.workload

    def launch(
        self, params: BaseModel, attempt: AttemptIdentity, defaults: KindDefaults, current: Manifest | None
    ) -> Launch:
        """The Job. Labels of the user go to it, and in the short form to its pods as well."""
        assert isinstance(params, KubernetesJobParams)
        spec = _short_spec(params, defaults) if params.spec is None else _native_spec(params.spec)
        metadata = spec["template"].setdefault("metadata", {})
        metadata["labels"] = {**(metadata.get("labels") or {}), **tracking_labels(attempt)}
        manifest: Manifest = {
            "apiVersion": KUBERNETES_JOBS.api_version,
            "kind": KUBERNETES_JOBS.kind,
            "metadata": owned_metadata(attempt, params.labels, params.annotations),
            "spec": spec,
        }
        return Launch(KUBERNETES_JOBS, manifest)

    def hint(self, params: BaseModel, end: Observation) -> str:
        """What else may have ended a pod: the kubelet kills a container whose liveness probe fails without a trace."""
        assert isinstance(params, KubernetesJobParams)
        killed = end.reason is Reason.EXIT_CODE and end.exit_code in _KILLED
        return _LIVENESS if killed and params.spec is not None and _has_liveness_probe(params.spec) else ""

    def observe(self, workload: WorkloadView, pods: Sequence[PodView]) -> Observation:
        """The Job's condition decides; for a single completion its pod's success does, which is known sooner."""
        assert isinstance(workload, KubernetesJobView)
        status = workload.status
        for condition in status.conditions:
            if condition.status == "True" and condition.type == "Complete":
                return _complete(workload, pods)
            if condition.status == "True" and condition.type == "Failed":
                return _failed(workload, condition, pods)
        seen = [judge_pod(pod) for pod in sorted(pods, key=_age)]
        if _is_single(workload):
            done = next((one for one in seen if one.phase is Phase.SUCCEEDED), None)
            if done is not None:
                return done
        if workload.spec.suspend:
            message = "the Job is suspended by another controller (spec.suspend)"
            return Observation(Phase.SUSPENDED, Reason.EXTERNALLY_QUEUED, message)
        return _open(seen, status.start_time)


def _short_spec(params: KubernetesJobParams, defaults: KindDefaults) -> Manifest:
    container: Manifest = {
        "name": params.container_name or MAIN,
        **container_fields(params),
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    pod = pod_spec(params, defaults, container) | {"restartPolicy": "Never"}
    metadata = compact({"labels": dict(params.labels or {}), "annotations": dict(params.annotations or {})})
    spec = {"parallelism": params.parallelism, "completions": params.completions, "backoffLimit": 0}
    return compact({**spec, "template": {"metadata": metadata, "spec": pod}})


def _native_spec(native: Mapping[str, Any]) -> Manifest:
    """`native` with what makes an attempt one try; a field that is null is an absent one, as everywhere."""
    spec = deepcopy(dict(native))
    if spec.get("backoffLimit") is None and spec.get("backoffLimitPerIndex") is None:
        spec["backoffLimit"] = 0
    if spec["template"]["spec"].get("restartPolicy") is None:
        spec["template"]["spec"]["restartPolicy"] = "Never"
    if spec["template"].get("metadata") is None:
        spec["template"]["metadata"] = {}
    return spec


def _has_liveness_probe(spec: Mapping[str, Any]) -> bool:
    return any(one.get("livenessProbe") for one in spec["template"]["spec"]["containers"])


def _age(pod: PodView) -> tuple[str, str]:
    return pod.metadata.creation_timestamp, pod.metadata.name


def _is_single(job: KubernetesJobView) -> bool:
    return job.spec.completions in (None, 1) and job.spec.parallelism in (None, 1)


def _complete(job: KubernetesJobView, pods: Sequence[PodView]) -> Observation:
    nodes = [pod.spec.node_name for pod in sorted(pods, key=_age) if pod.spec.node_name]
    return Observation(
        Phase.SUCCEEDED,
        node=nodes[-1] if nodes else None,
        start_time=job.status.start_time,
        completion_time=job.status.completion_time,
    )


def _failed(job: KubernetesJobView, condition: ObjectCondition, pods: Sequence[PodView]) -> Observation:
    """The end of the Job, told by the newest pod that failed by its own fault, else by the newest that failed."""
    said = join(condition.reason, condition.message)
    if condition.reason == "DeadlineExceeded":
        return Observation(Phase.FAILED, Reason.DEADLINE_KILLED, said, completion_time=condition.last_transition_time)
    ends = [end for end in (judge_pod(pod) for pod in sorted(pods, key=_age)) if end.phase is Phase.FAILED]
    blamed = [end for end in ends if end.charged] or ends
    if not blamed:
        return Observation(Phase.FAILED, Reason.FAILED, said, completion_time=condition.last_transition_time)
    end = blamed[-1]
    return Observation(
        Phase.FAILED,
        end.reason,
        join(end.message, f"(Job: {condition.reason})") if len(ends) > 1 else end.message,
        exit_code=end.exit_code,
        node=end.node,
        start_time=end.start_time or job.status.start_time,
        completion_time=end.completion_time or condition.last_transition_time,
        charged=end.charged,
        permanent=end.permanent,
    )


def _open(seen: Sequence[Observation], start_time: str | None) -> Observation:
    """A Job that goes on: running when any pod has run, else starting for the reason of the first that waits."""
    if not seen:
        return Observation(Phase.STARTING, Reason.STARTING, _NO_POD)
    has_run = [one for one in seen if one.phase not in (Phase.STARTING, Phase.SUSPENDED)]
    if has_run:
        notes = "; ".join(dict.fromkeys(one.message for one in has_run if one.message))
        starts = [one.start_time for one in has_run if one.start_time is not None]
        start = min(starts, default=start_time)
        return Observation(Phase.RUNNING, message=notes, node=has_run[-1].node, start_time=start)
    return next((one for one in seen if one.permanent), seen[-1])


KIND = KubernetesJobKind()
