"""What the tests of kinds build again and again: an attempt, launches, and objects as the API server tells them."""

from typing import Any

import msgspec

from task_pipeline.api.objects import DeploymentView, KubernetesJobView, PodView
from task_pipeline.core.workload import AttemptIdentity, KindDefaults, Launch, Manifest, is_remote_kind
from task_pipeline.kinds.registry import KINDS, check_params, parse

ATTEMPT = AttemptIdentity(
    namespace="shop",
    job="web-build-abcdefghijklmnop",
    job_uid="1111",
    job_hash="abcdefghijklmnop",
    pipeline="web",
    pipeline_uid="2222",
    attempt=2,
    workload="web-build-abcdefghijklmnop-qrstuvwxyz",
)
DEFAULTS = KindDefaults()
IMAGE = "busybox:1.36"
NODE = "node-1"


def faults(kind: str, params: Any, defaults: KindDefaults = DEFAULTS, version: str = "1.0.0") -> dict[str, str]:
    """Every fault by its path."""
    return {error.path: error.message for error in check_params(kind, version, params, defaults)}


def launch(kind: str, params: Manifest, defaults: KindDefaults = DEFAULTS, current: Manifest | None = None) -> Launch:
    """What the attempt launches; the params must be right."""
    assert faults(kind, params, defaults) == {}
    job_kind = KINDS[kind]
    assert not is_remote_kind(job_kind)
    launched = job_kind.launch(parse(kind, "1.0.0", params), ATTEMPT, defaults, current)
    assert isinstance(launched, Launch), launched
    return launched


def shell(defaults: KindDefaults = DEFAULTS, **params: Any) -> Manifest:
    """The pod spec of a Shell job."""
    spec: Manifest = launch("Shell", {"image": IMAGE, **params}, defaults).manifest["spec"]
    return spec


def state(
    name: str = "main",
    *,
    code: int | None = None,
    running: bool = False,
    waiting: str | None = None,
    reason: str = "",
    message: str = "",
    restarts: int = 0,
    last_code: int | None = None,
) -> Manifest:
    """One container status."""
    current: Manifest = {}
    if code is not None:
        current["terminated"] = _end(code, reason, message)
    if running:
        current["running"] = {"startedAt": "2026-01-01T00:00:05Z"}
    if waiting is not None:
        current["waiting"] = {"reason": waiting, "message": message}
    last = {"terminated": _end(last_code, reason, "")} if last_code is not None else {}
    return {"name": name, "restartCount": restarts, "state": current, "lastState": last}


def _end(code: int, reason: str, message: str) -> Manifest:
    word = reason or ("Completed" if code == 0 else "Error")
    times = {"startedAt": "2026-01-01T00:00:05Z", "finishedAt": "2026-01-01T00:00:09Z"}
    return {"exitCode": code, "reason": word, "message": message, **times}


def pod(
    *containers: Manifest,
    phase: str = "Running",
    inits: tuple[Manifest, ...] = (),
    deleted: bool = False,
    name: str = "p",
    created: str = "2026-01-01T00:00:00Z",
    conditions: tuple[Manifest, ...] = (),
    **status: Any,
) -> PodView:
    """A pod with these container statuses."""
    metadata: Manifest = {"name": name, "uid": f"uid-{name}", "creationTimestamp": created}
    if deleted:
        metadata["deletionTimestamp"] = "2026-01-01T00:01:00Z"
    return msgspec.convert(
        {
            "metadata": metadata,
            "spec": {"nodeName": NODE},
            "status": {
                "phase": phase,
                "containerStatuses": list(containers),
                "initContainerStatuses": list(inits),
                "conditions": list(conditions),
                **status,
            },
        },
        type=PodView,
    )


def condition(kind: str, status: str = "True", reason: str = "", message: str = "", time: str = "") -> Manifest:
    """One condition; `time` defaults to a moment before the container's end."""
    moment = time or "2026-01-01T00:00:08Z"
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": moment}


def job(*conditions: Manifest, spec: Manifest | None = None, **status: Any) -> KubernetesJobView:
    """A Kubernetes Job of one completion unless `spec` says otherwise."""
    return msgspec.convert(
        {
            "metadata": {"name": "j", "uid": "uid-j"},
            "spec": spec if spec is not None else {"completions": 1, "parallelism": 1},
            "status": {"conditions": list(conditions), "startTime": "2026-01-01T00:00:01Z", **status},
        },
        type=KubernetesJobView,
    )


def deployment(
    *conditions: Manifest,
    wanted: int = 2,
    counts: tuple[int, int, int] = (2, 2, 2),
    generation: int = 4,
    observed: int = 4,
    paused: bool = False,
    terminating: int = 0,
) -> DeploymentView:
    """A Deployment with `counts` of replicas: in all, updated, available."""
    replicas, updated, available = counts
    return msgspec.convert(
        {
            "metadata": {"name": "shop", "uid": "uid-d", "generation": generation},
            "spec": {"replicas": wanted, "paused": paused},
            "status": {
                "observedGeneration": observed,
                "replicas": replicas,
                "updatedReplicas": updated,
                "availableReplicas": available,
                "terminatingReplicas": terminating,
                "conditions": list(conditions),
            },
        },
        type=DeploymentView,
    )
