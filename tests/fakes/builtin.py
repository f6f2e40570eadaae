"""Defaults and refusals of the built-in kinds that the operator uses: as many as its behaviour depends on.

Rule: what is filled in here is what a real API server shows in the same field; a field that nothing reads is left
out. Nulls of a built-in kind say nothing and are dropped.
"""

from collections.abc import Callable, Iterator
from typing import Any

from task_pipeline.api.resources import DEPLOYMENTS, EVENTS, KUBERNETES_JOBS, PODS, REPLICA_SETS, Resource
from tests.fakes.store import Object, copied

_POD = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "securityContext": {},
    "schedulerName": "default-scheduler",
}
_CONTAINER = {
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
    "resources": {},
}
_JOB = {"parallelism": 1, "completions": 1, "backoffLimit": 6, "suspend": False, "completionMode": "NonIndexed"}
_DEPLOYMENT = {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600}
_EVENT_TEXTS = {"reason": 128, "action": 128, "note": 1024, "reportingController": 128, "reportingInstance": 128}
_ROLLING = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}}


def completed(resource: Resource, new: Object, old: Object | None) -> Object:
    """A copy of `new` with the defaults of its kind; a spec taken over from `old` has them already."""
    if old is not None and "spec" in old and new.get("spec") is old["spec"]:
        return {**without_nulls({**new, "spec": None}), "spec": new["spec"]}
    result: Object = without_nulls(new)
    if resource == PODS:
        _complete_pod(result.setdefault("spec", {}))
        result.setdefault("status", {"phase": "Pending", "qosClass": "BestEffort"})
    elif resource == KUBERNETES_JOBS:
        _complete_job(result)
    elif resource in (DEPLOYMENTS, REPLICA_SETS):
        _complete_deployment(result.setdefault("spec", {}), resource)
        result.setdefault("status", {} if resource == DEPLOYMENTS else {"replicas": 0})
    return result


def without_nulls(value: Any) -> Any:
    """A deep copy in which fields that are null are absent."""
    if isinstance(value, dict):
        return {name: without_nulls(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


def faults_of(resource: Resource, new: Object, old: Object | None) -> list[str]:
    """What the API server would refuse, each with its path."""
    check = _CHECKS.get(resource)
    return list(check(new, old)) if check else []


def _complete_pod(spec: Object) -> None:
    for name, value in _POD.items():
        spec.setdefault(name, copied(value))
    for container in [*spec.get("containers", ()), *spec.get("initContainers", ())]:
        for name, value in _CONTAINER.items():
            container.setdefault(name, copied(value))
        tag = str(container.get("image", "")).rpartition("/")[2].partition(":")[2]
        container.setdefault("imagePullPolicy", "IfNotPresent" if tag not in ("", "latest") else "Always")
        for port in container.get("ports", ()):
            port.setdefault("protocol", "TCP")


def _complete_job(job: Object) -> None:
    spec = job.setdefault("spec", {})
    if "completions" not in spec and "parallelism" in spec:
        spec["completions"] = None  # a work queue: how many succeed is not fixed
    for name, value in _JOB.items():
        spec.setdefault(name, value)
    if spec["completions"] is None:
        del spec["completions"]
    uid = job["metadata"]["uid"]
    spec.setdefault("selector", {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}})
    template = spec.setdefault("template", {})
    labels = template.setdefault("metadata", {}).setdefault("labels", {})
    for prefix in ("", "batch.kubernetes.io/"):
        labels.setdefault(f"{prefix}controller-uid", uid)
        labels.setdefault(f"{prefix}job-name", job["metadata"]["name"])
    _complete_pod(template.setdefault("spec", {}))
    job.setdefault("status", {})


def _complete_deployment(spec: Object, resource: Resource) -> None:
    if resource == DEPLOYMENTS:
        for name, value in _DEPLOYMENT.items():
            spec.setdefault(name, value)
        spec.setdefault("strategy", copied(_ROLLING))
    spec.setdefault("replicas", 1)
    if "template" in spec:
        _complete_pod(spec["template"].setdefault("spec", {}))


def _pod_faults(new: Object, old: Object | None) -> Iterator[str]:
    yield from _container_faults(new["spec"], "spec")
    if old is not None and _fixed(new["spec"]) != _fixed(old["spec"]):
        yield (
            "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
            "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to "
            "existing tolerations)"
        )


def _fixed(spec: Object) -> Object:
    """The part of a pod's spec that nobody but the scheduler changes."""
    rest = {k: v for k, v in spec.items() if k not in ("nodeName", "activeDeadlineSeconds", "tolerations")}
    for name in ("containers", "initContainers"):
        rest[name] = [{k: v for k, v in one.items() if k != "image"} for one in spec.get(name, ())]
    return rest


def _container_faults(spec: Object, path: str) -> Iterator[str]:
    if not spec.get("containers"):
        yield f"{path}.containers: Required value"
    seen: set[str] = set()
    for index, container in enumerate(spec.get("containers", ())):
        place = f"{path}.containers[{index}]"
        for field in ("name", "image"):
            if not container.get(field):
                yield f"{place}.{field}: Required value"
        if container.get("name") in seen:
            yield f'{place}.name: Duplicate value: "{container["name"]}"'
        seen.add(container.get("name"))


def _job_faults(new: Object, old: Object | None) -> Iterator[str]:
    spec = new["spec"]
    yield from _container_faults(spec["template"]["spec"], "spec.template.spec")
    if spec["template"]["spec"]["restartPolicy"] not in ("Never", "OnFailure"):
        policy = spec["template"]["spec"]["restartPolicy"]
        yield (f'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never", got "{policy}"')
    for field in ("template", "selector", "completions") if old else ():
        if old is not None and not old["spec"]["suspend"] and spec.get(field) != old["spec"].get(field):
            yield f"spec.{field}: Invalid value: field is immutable"


def _deployment_faults(new: Object, old: Object | None) -> Iterator[str]:
    spec = new["spec"]
    template = spec.get("template", {})
    yield from _container_faults(template.get("spec", {}), "spec.template.spec")
    wanted = spec.get("selector", {}).get("matchLabels", {})
    if not wanted:
        yield "spec.selector: Required value"
    labels = template.get("metadata", {}).get("labels", {})
    if any(labels.get(name) != value for name, value in wanted.items()):
        yield f"spec.template.metadata.labels: Invalid value: {labels}: `selector` does not match template `labels`"
    if old is not None and spec.get("selector") != old["spec"].get("selector"):
        yield f"spec.selector: Invalid value: {spec.get('selector')}: field is immutable"


def _event_faults(new: Object, old: Object | None) -> Iterator[str]:
    for field, most in _EVENT_TEXTS.items():
        if not 0 < len(new.get(field, "").encode()) <= most:
            yield f"{field}: Invalid value: has to have at most {most} bytes, and some"
    if new.get("type") not in ("Normal", "Warning"):
        yield f'type: Invalid value: "{new.get("type")}"'
    if not new.get("eventTime"):
        yield "eventTime: Required value"
    if new.get("regarding", {}).get("namespace") != new["metadata"]["namespace"]:
        yield "involvedObject.namespace: Invalid value: does not match event.namespace"


_CHECKS: dict[Resource, Callable[[Object, Object | None], Iterator[str]]] = {
    PODS: _pod_faults,
    KUBERNETES_JOBS: _job_faults,
    DEPLOYMENTS: _deployment_faults,
    EVENTS: _event_faults,
}
