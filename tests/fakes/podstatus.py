"""The statuses that a kubelet writes, as plain data.

Rule: each function returns a whole status for one moment of a pod's life; conditions say what they say on a real
node, with the time of the change.
"""

from typing import Any

from tests.fakes.fates import Fate
from tests.fakes.store import Object

Status = dict[str, Any]
LOST_MESSAGE = "The container could not be located when the pod was terminated"


def main_container(pod: Object) -> str:
    """Name of the container that a fate is about: the annotated default, or the first."""
    chosen = pod["metadata"].get("annotations", {}).get("kubectl.kubernetes.io/default-container")
    return str(chosen or pod["spec"]["containers"][0]["name"])


def condition(kind: str, status: str, at: str, reason: str = "", message: str = "") -> Status:
    """One pod condition."""
    result = {"type": kind, "status": status, "lastTransitionTime": at}
    return result | ({"reason": reason} if reason else {}) | ({"message": message} if message else {})


def unscheduled(at: str, message: str) -> Status:
    """The scheduler found no node."""
    return {
        "phase": "Pending",
        "qosClass": "BestEffort",
        "conditions": [condition("PodScheduled", "False", at, "Unschedulable", message)],
    }


def scheduled(at: str) -> Status:
    """Bound to a node, not seen by its kubelet yet."""
    return {"phase": "Pending", "qosClass": "BestEffort", "conditions": [condition("PodScheduled", "True", at)]}


def waiting(pod: Object, at: str, reason: str, message: str = "") -> Status:
    """Seen by the kubelet; the main container waits for `reason`."""
    state = {"waiting": {"reason": reason} | ({"message": message} if message else {})}
    status = _status(pod, at, "Pending", ready=False)
    inits = pod["spec"].get("initContainers", ())
    if inits:
        status["initContainerStatuses"] = [_container(one, state, False) for one in inits]
        state = {"waiting": {"reason": "PodInitializing"}}
    status["containerStatuses"] = [_container(one, state, False) for one in pod["spec"]["containers"]]
    return status


def running(pod: Object, at: str) -> Status:
    """All containers run."""
    status = _status(pod, at, "Running", ready=True)
    _initialised(pod, status, at)
    state = {"running": {"startedAt": at}}
    status["containerStatuses"] = [_container(one, state, True) for one in pod["spec"]["containers"]]
    return status


def ended(pod: Object, started: str, at: str, fate: Fate) -> Status:
    """The main container has ended; the others with it, or not at all."""
    phase = "Running"
    if fate.sidecar_ends or len(pod["spec"]["containers"]) == 1:
        phase = "Succeeded" if fate.exit_code == 0 else "Failed"
    status = _status(pod, at, phase, ready=False)
    _initialised(pod, status, started)
    final = terminated(fate.exit_code, fate.end_reason, started, at, fate.message)
    main = main_container(pod)
    states = []
    for one in pod["spec"]["containers"]:
        if one["name"] == main:
            states.append(_container(one, final, False))
        elif fate.sidecar_ends:
            states.append(_container(one, terminated(0, "Completed", started, at), False))
        else:
            states.append(_container(one, {"running": {"startedAt": started}}, True))
    status["containerStatuses"] = states
    return status


def init_failed(pod: Object, at: str, code: int) -> Status:
    """The first init container has failed for good."""
    status = _status(pod, at, "Failed", ready=False)
    inits = pod["spec"].get("initContainers") or [{"name": "init", "image": "busybox"}]
    status["initContainerStatuses"] = [_container(one, terminated(code, "Error", at, at), False) for one in inits]
    state = {"waiting": {"reason": "PodInitializing"}}
    status["containerStatuses"] = [_container(one, state, False) for one in pod["spec"]["containers"]]
    return status


def taken(pod: Object, at: str, reason: str, message: str, disruption: str = "") -> Status:
    """The whole pod has been ended from outside, with a reason of its own (Evicted, DeadlineExceeded ...)."""
    old = pod.get("status", {})
    status = {**old, "phase": "Failed", "message": message} | ({"reason": reason} if reason else {})
    states = []
    for one in old.get("containerStatuses", ()):
        started = one["state"].get("running", {}).get("startedAt")
        final = one["state"] if "terminated" in one["state"] else terminated(137, "Error", started, at)
        states.append({**one, "ready": False, "started": False, "state": final})
    status["containerStatuses"] = states
    if disruption:
        mark = condition("DisruptionTarget", "True", at, disruption, message)
        status["conditions"] = [*(c for c in old.get("conditions", ()) if c["type"] != "DisruptionTarget"), mark]
    return status


def terminated(code: int, reason: str, started: str | None, at: str, message: str = "") -> Status:
    """The state of a container that has ended."""
    state = {"exitCode": code, "reason": reason, "startedAt": started or at, "finishedAt": at}
    return {"terminated": state | ({"message": message} if message else {})}


def _status(pod: Object, at: str, phase: str, *, ready: bool) -> Status:
    old = pod.get("status", {})
    done = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}.get(phase, "" if ready else "ContainersNotReady")
    flag = "True" if ready else "False"
    kept = [one for one in old.get("conditions", ()) if one["type"] in ("PodScheduled", "DisruptionTarget")]
    return {
        "phase": phase,
        "qosClass": "BestEffort",
        "hostIP": "10.0.0.1",
        "startTime": old.get("startTime", at),
        "conditions": [
            condition("PodReadyToStartContainers", "True" if phase == "Running" else "False", at),
            condition("Initialized", "True", at),
            condition("Ready", flag, at, done),
            condition("ContainersReady", flag, at, done),
            *kept,
        ],
    }


def _initialised(pod: Object, status: Status, at: str) -> None:
    inits = pod["spec"].get("initContainers", ())
    if inits:
        final = terminated(0, "Completed", at, at)
        status["initContainerStatuses"] = [_container(one, final, True) for one in inits]


def _container(spec: Object, state: Status, ready: bool) -> Status:
    return {
        "name": spec["name"],
        "image": spec["image"],
        "imageID": "",
        "ready": ready,
        "started": ready,
        "restartCount": 0,
        "state": state,
    }
