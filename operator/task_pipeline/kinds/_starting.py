"""Why a pod does not run yet, in the words of the kubelet or of the scheduler.

Rule: only what can never get better is permanent: an image reference that is none, a container that the runtime
cannot start. Registries, nodes and missing Secrets recover, so for them the start timeout decides.
"""

import re
from collections.abc import Mapping, Sequence

from task_pipeline.api.objects import ContainerStatus, PodView, Waiting
from task_pipeline.api.reasons import Reason
from task_pipeline.core.workload import Observation, Phase
from task_pipeline.kinds._text import join, tail

_WAITING: Mapping[str, Reason] = {
    "ErrImagePull": Reason.IMAGE_PULL_FAILED,
    "ImagePullBackOff": Reason.IMAGE_PULL_FAILED,
    "ErrImageNeverPull": Reason.IMAGE_PULL_FAILED,
    "ImageInspectError": Reason.IMAGE_PULL_FAILED,
    "RegistryUnavailable": Reason.IMAGE_PULL_FAILED,
    "SignatureValidationFailed": Reason.IMAGE_PULL_FAILED,
    "InvalidImageName": Reason.INVALID_IMAGE_NAME,
    "CreateContainerConfigError": Reason.CONFIG_ERROR,
    "CreateContainerError": Reason.START_ERROR,
    "RunContainerError": Reason.START_ERROR,
    "ContainerCannotRun": Reason.START_ERROR,
    "StartError": Reason.START_ERROR,
}
_PERMANENT = frozenset({Reason.INVALID_IMAGE_NAME, Reason.START_ERROR})
# A runtime or a node under load reports these as start errors; the next try often succeeds.
_PASSING = (
    "deadline exceeded",
    "is reserved for",
    "failed to reserve",
    "unavailable",
    "connection refused",
    "context canceled",
    "no space left",
    "cannot allocate memory",
)
_UNREMARKABLE = frozenset({"", "ContainerCreating", "PodInitializing"})
_BACK_OFF = re.compile(r'Back-off pulling image "[^"]*":? ?')


def explain_start(pod: PodView, chosen: Sequence[ContainerStatus]) -> Observation:
    """The STARTING, SUSPENDED or (in its init containers) RUNNING observation of a pod whose `chosen` wait."""
    inits = pod.status.init_container_statuses
    for status in (*chosen, *inits):
        waiting = status.state.waiting
        if waiting is not None and waiting.reason not in _UNREMARKABLE:
            return _waiting(pod, waiting)
    if any(status.state.running is not None for status in inits) and not _is_creating(chosen):
        return Observation(Phase.RUNNING, node=pod.spec.node_name)
    for condition in pod.status.conditions:
        if condition.type == "PodScheduled" and condition.status == "False":
            return _unscheduled(condition.reason, condition.message)
    messages = (status.state.waiting.message for status in chosen if status.state.waiting is not None)
    message = pod.status.message or next((text for text in messages if text), "")
    return Observation(Phase.STARTING, Reason.STARTING, tail(message), node=pod.spec.node_name)


def may_pass(message: str) -> bool:
    """Whether a start that failed with this message of the runtime may succeed another time."""
    return any(text in message.lower() for text in _PASSING)


def _is_creating(chosen: Sequence[ContainerStatus]) -> bool:
    """Whether the init containers are through, apart from sidecars that run beside the main container."""
    states = [status.state.waiting for status in chosen]
    return any(waiting is not None and waiting.reason == "ContainerCreating" for waiting in states)


def _waiting(pod: PodView, waiting: Waiting) -> Observation:
    if waiting.reason == "CrashLoopBackOff":
        message = join(waiting.reason, waiting.message)
        return Observation(Phase.RUNNING, message=message, node=pod.spec.node_name)
    reason = _WAITING.get(waiting.reason, Reason.STARTING)
    return Observation(
        Phase.STARTING,
        reason,
        _waiting_text(waiting),
        node=pod.spec.node_name,
        permanent=reason in _PERMANENT and not may_pass(waiting.message),
    )


def _waiting_text(waiting: Waiting) -> str:
    """The kubelet's message; the same for the failed pull and for the pause after it, which take turns."""
    if waiting.reason not in ("ErrImagePull", "ImagePullBackOff"):
        return join(waiting.reason, waiting.message)
    cause = _BACK_OFF.sub("", waiting.message).removeprefix("ErrImagePull: ")
    return join("ErrImagePull", cause or waiting.message)


def _unscheduled(reason: str, message: str) -> Observation:
    if reason == "SchedulingGated":
        return Observation(Phase.SUSPENDED, Reason.EXTERNALLY_QUEUED, join("the pod has scheduling gates", message))
    if reason == "Unschedulable":
        return Observation(Phase.STARTING, Reason.UNSCHEDULABLE, join("Unschedulable", message))
    return Observation(Phase.STARTING, Reason.STARTING, join(reason or "not scheduled", message))
