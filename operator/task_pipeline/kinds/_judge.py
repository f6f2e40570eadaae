"""Judging a pod: one snapshot of it in, one Observation out.

Rule: level, not edge: the answer follows from the pod as it is now, whatever was or was not seen before.
With `main` that container's end decides, and others neither decide nor delay; without, all containers do. Exit
code 0 is a success, also when a child process was killed for memory; but a pod whose phase is Failed, and not on
another container's account, is none. What took the whole pod (eviction, deletion, a lost node) goes before what
the container says.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from task_pipeline.api.objects import ContainerStatus, PodView, Terminated
from task_pipeline.api.reasons import Reason
from task_pipeline.core.workload import Observation, Phase
from task_pipeline.kinds._starting import explain_start, may_pass
from task_pipeline.kinds._taken import disruption_text, explain_taken
from task_pipeline.kinds._text import exit_text, join

# Written by the container runtime in the container's own name when the program cannot be executed.
_NOT_EXECUTABLE = ("exec format error", "no such file or directory", "permission denied")
_START_ERRORS = frozenset({"StartError", "ContainerCannotRun", "RunContainerError"})
_EPOCH = "1970-01-01T00:00:00Z"  # start of a container that never started


def judge_pod(pod: PodView, main: str | None = None) -> Observation:
    """How far `pod` is, by its container `main`, or by all its containers when None."""
    containers = pod.status.container_statuses
    chosen = [status for status in containers if main is None or status.name == main]
    ended = _deciding_end(pod, chosen)
    if ended is not None:
        return _judge_end(pod, ended)
    if pod.status.phase == "Succeeded":
        return Observation(Phase.SUCCEEDED, node=pod.spec.node_name)
    if pod.status.phase == "Failed":
        return _failed_without_end(pod)
    if any(_has_run(status) for status in chosen):
        return _running(pod, chosen)
    return explain_start(pod, chosen)


def _deciding_end(pod: PodView, chosen: Sequence[ContainerStatus]) -> ContainerStatus | None:
    """The container whose end is the pod's; None while that is open. A failed one goes first."""
    ends = [status for status in chosen if status.state.terminated is not None]
    if not ends or (len(ends) < len(chosen) and pod.status.phase != "Failed"):
        return None
    return min(ends, key=_blame)


def _blame(status: ContainerStatus) -> int:
    ended = status.state.terminated
    assert ended is not None
    if ended.reason == "OOMKilled":
        return 0 if ended.exit_code else 2
    return 1 if ended.exit_code else 3


def _judge_end(pod: PodView, status: ContainerStatus) -> Observation:
    ended = status.state.terminated
    assert ended is not None
    end = _end(pod, ended)
    if ended.exit_code == 0 and (pod.status.phase != "Failed" or _others_failed(pod, status.name)):
        if ended.reason != "OOMKilled":
            return replace(end, phase=Phase.SUCCEEDED)
        message = "exit code 0, although a process in the container was killed for memory (OOMKilled)"
        return replace(end, phase=Phase.SUCCEEDED, reason=Reason.OOM_KILLED, message=message)
    taken = explain_taken(pod, ended)
    if taken is not None:
        reason, message, charged = taken
        return replace(end, reason=reason, message=message, charged=charged)
    reason, message = _own_fault(pod, ended)
    return _by_own_fault(end, reason, message)


def _by_own_fault(end: Observation, reason: Reason, message: str) -> Observation:
    """The failure `end` with its cause: charged unless the node lost it, hopeless when nothing could be started."""
    hopeless = reason is Reason.START_ERROR and not may_pass(message)
    return replace(end, reason=reason, message=message, charged=reason is not Reason.LOST, permanent=hopeless)


def _others_failed(pod: PodView, name: str) -> bool:
    """Whether another container explains why the pod, as a whole, is Failed."""
    others = (status.state.terminated for status in pod.status.container_statuses if status.name != name)
    return not pod.status.reason and any(ended is not None and ended.exit_code != 0 for ended in others)


def _own_fault(pod: PodView, ended: Terminated) -> tuple[Reason, str]:
    code = exit_text(ended.exit_code)
    if ended.reason == "OOMKilled":
        return Reason.OOM_KILLED, join(f"killed for using more memory than its limit, {code}", ended.message)
    if ended.reason in _START_ERRORS or _is_not_executable(ended):
        return Reason.START_ERROR, join("the container could not be started", ended.message)
    if ended.reason == "ContainerStatusUnknown":
        return Reason.LOST, join("the node lost track of the container", ended.message)
    if ended.exit_code == 0:
        said = f"{pod.status.reason} {pod.status.message}".strip()
        return Reason.FAILED, join("the pod failed although its container ended with exit code 0", said)
    return Reason.EXIT_CODE, join(code, ended.message)


def _is_not_executable(ended: Terminated) -> bool:
    line = ended.message.strip()
    return (
        ended.exit_code in (1, 255)
        and line.startswith("exec /")
        and "\n" not in line
        and line.endswith(_NOT_EXECUTABLE)
    )


def _end(pod: PodView, ended: Terminated) -> Observation:
    """A failure without a cause yet, with the facts of the container's end."""
    return Observation(
        Phase.FAILED,
        exit_code=ended.exit_code,
        node=pod.spec.node_name,
        start_time=None if ended.started_at == _EPOCH else ended.started_at,
        completion_time=ended.finished_at,
    )


def _failed_without_end(pod: PodView) -> Observation:
    """A failed pod whose deciding container never ended: taken, rejected, or stopped by an init container."""
    failed = Observation(Phase.FAILED, node=pod.spec.node_name)
    taken = explain_taken(pod, None)
    if taken is not None:
        reason, message, charged = taken
        return replace(failed, reason=reason, message=message, charged=charged)
    inits, containers = pod.status.init_container_statuses, pod.status.container_statuses
    for status in (*inits, *containers):
        ended = status.state.terminated
        if ended is not None and ended.exit_code != 0:
            kind = "init container" if status in inits else "container"
            reason, message = _own_fault(pod, ended)
            return _by_own_fault(_end(pod, ended), reason, join(f"{kind} {status.name}", message))
    said = join(pod.status.reason or "the pod failed", pod.status.message)
    if containers:
        return replace(failed, reason=Reason.FAILED, message=said)
    return replace(failed, reason=Reason.POD_REJECTED, message=said, charged=False)


def _has_run(status: ContainerStatus) -> bool:
    state = status.state
    return state.running is not None or state.terminated is not None or status.restart_count > 0


def _running(pod: PodView, chosen: Sequence[ContainerStatus]) -> Observation:
    everyone = (*pod.status.init_container_statuses, *pod.status.container_statuses)
    notes = "; ".join(_casualties(everyone)) or disruption_text(pod)
    if pod.status.reason:
        notes = join(pod.status.reason, pod.status.message)
    first = (_first_start(status) for status in chosen)
    start = min((moment for moment in first if moment is not None), default=None)
    return Observation(Phase.RUNNING, message=notes, node=pod.spec.node_name, start_time=start)


def _first_start(status: ContainerStatus) -> str | None:
    """When the container began to run, as long as that is known: a second restart hides it."""
    current = status.state.running or status.state.terminated
    if status.restart_count == 0:
        return current.started_at if current is not None else None
    before = status.last_state.terminated
    return before.started_at if before is not None and status.restart_count == 1 else None


def _casualties(statuses: Iterable[ContainerStatus]) -> Iterable[str]:
    """Containers that have died while others go on: often the real cause of a job that hangs."""
    for status in statuses:
        ended = status.state.terminated or status.last_state.terminated
        if ended is None or (ended.exit_code == 0 and ended.reason != "OOMKilled"):
            continue
        why = "" if ended.reason in ("", "Error") else f"{ended.reason}, "
        times = f", restarts: {status.restart_count}" if status.restart_count else ""
        yield f"container {status.name} ended: {why}{exit_text(ended.exit_code)}{times}"
