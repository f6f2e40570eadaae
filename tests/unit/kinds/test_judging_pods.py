"""One snapshot of a pod in, one judgement out."""

from typing import Any

import pytest

from task_pipeline.api.objects import PodView
from task_pipeline.api.reasons import Reason
from task_pipeline.core.workload import Observation, Phase
from task_pipeline.kinds.shell import ShellKind
from tests.unit.kinds.builders import NODE, condition, pod, state

SIDECAR = state("proxy", running=True)
NOT_FOUND = 'exec: "/bin/sh": stat /bin/sh: no such file or directory'


def judged(view: PodView) -> Observation:
    return ShellKind().observe(view, ())


def disrupted(reason: str, time: str = "") -> dict[str, Any]:
    return {"conditions": (condition("DisruptionTarget", reason=reason, message="why", time=time),)}


FAILED: dict[str, tuple[PodView, Reason, str, bool]] = {
    "B042 killed": (pod(state(code=137), phase="Failed"), Reason.EXIT_CODE, "exit code 137 (SIGKILL)", True),
    "B042 status unknown": (
        pod(state(code=137, reason="ContainerStatusUnknown", message="gone"), phase="Failed"),
        Reason.LOST,
        "lost track of the container: gone",
        False,
    ),
    "B046 failed with code 0": (
        pod(state(code=0, reason="OOMKilled"), phase="Failed"),
        Reason.OOM_KILLED,
        "exit code 0",
        True,
    ),
    "B046 failed with code 0 and no reason": (pod(state(code=0), phase="Failed"), Reason.FAILED, "although", True),
    "B097 out of memory": (
        pod(state(code=137, reason="OOMKilled"), phase="Failed"),
        Reason.OOM_KILLED,
        "memory than its limit, exit code 137",
        True,
    ),
    "B097 deleted": (pod(state(code=137), phase="Failed", deleted=True), Reason.LOST, "deleted by someone else", False),
    "B097 node pressure": (
        pod(state(code=137), phase="Failed", reason="Evicted", message="The node was low on resource: memory."),
        Reason.EVICTED,
        "Evicted: The node was low on resource: memory.",
        False,
    ),
    "B098 no shell": (
        pod(state(code=128, reason="StartError", message=NOT_FOUND), phase="Failed"),
        Reason.START_ERROR,
        "could not be started: exec",
        True,
    ),
    "B098 exec format": (
        pod(state(code=255, message="exec /bin/sh: exec format error\n"), phase="Failed"),
        Reason.START_ERROR,
        "exec format error",
        True,
    ),
    "B098 the script's own 127": (
        pod(state(code=127, message="sh: foo: not found"), phase="Failed"),
        Reason.EXIT_CODE,
        "exit code 127: sh: foo: not found",
        True,
    ),
    "B098 the script's own exec": (
        pod(state(code=255, message="begin\nexec /x: exec format error"), phase="Failed"),
        Reason.EXIT_CODE,
        "exit code 255",
        True,
    ),
    "B102 eviction API": (
        pod(state(code=143), phase="Failed", deleted=True, **disrupted("EvictionByEvictionAPI")),
        Reason.EVICTED,
        "EvictionByEvictionAPI: why",
        False,
    ),
    "B101 node removed": (
        pod(state(running=True), phase="Failed", **disrupted("DeletionByPodGC")),
        Reason.LOST,
        "DeletionByPodGC: why",
        False,
    ),
    "ended before it was disrupted": (
        pod(state(code=3), phase="Failed", deleted=True, **disrupted("EvictionByEvictionAPI", "2026-01-01T00:00:30Z")),
        Reason.EXIT_CODE,
        "exit code 3",
        True,
    ),
    "B103 its own limit": (
        pod(
            state(code=137),
            phase="Failed",
            reason="Evicted",
            message="Pod ephemeral local storage usage exceeds the total limit of containers 50Mi. ",
        ),
        Reason.EVICTED,
        "ephemeral local storage usage exceeds the total limit of containers 50Mi.",
        True,
    ),
    "a disruption that is over": (
        pod(
            state(code=3),
            phase="Failed",
            conditions=(condition("Ready", "False"), condition("DisruptionTarget", "False")),
        ),
        Reason.EXIT_CODE,
        "exit code 3",
        True,
    ),
    "preempted before it ran": (pod(phase="Failed", reason="Preempting"), Reason.EVICTED, "Preempting", False),
    "node shut down": (
        pod(state(code=143), phase="Failed", reason="Terminated", message="imminent node shutdown"),
        Reason.EVICTED,
        "imminent node shutdown",
        False,
    ),
    "node lost": (pod(phase="Failed", reason="NodeLost"), Reason.LOST, "NodeLost", False),
    "its own deadline": (
        pod(state(code=143), phase="Failed", reason="DeadlineExceeded", message="was active longer"),
        Reason.DEADLINE_KILLED,
        "activeDeadlineSeconds: was active longer",
        True,
    ),
    "deleted before it ran": (pod(phase="Failed", deleted=True), Reason.LOST, "deleted by someone else", False),
    "rejected by the kubelet": (
        pod(phase="Failed", reason="OutOfcpu", message="Node didn't have enough resource: cpu"),
        Reason.POD_REJECTED,
        "OutOfcpu: Node didn't have enough",
        False,
    ),
    "B044 init container": (
        pod(
            state(waiting="PodInitializing"),
            phase="Failed",
            inits=(state("ok", code=0), state("prep", code=7, message="no such host")),
        ),
        Reason.EXIT_CODE,
        "init container prep: exit code 7: no such host",
        True,
    ),
    "another container before the main one": (
        pod(state("proxy", code=1), phase="Failed"),
        Reason.EXIT_CODE,
        "container proxy: exit code 1",
        True,
    ),
    "nothing known": (pod(state(waiting=""), phase="Failed"), Reason.FAILED, "the pod failed", True),
}


@pytest.mark.parametrize("case", FAILED.values(), ids=FAILED.keys())
def test_failed(case: tuple[PodView, Reason, str, bool]) -> None:
    view, reason, message, charged = case
    seen = judged(view)
    assert (seen.phase, seen.reason, seen.charged) == (Phase.FAILED, reason, charged)
    assert message in seen.message
    assert seen.node == NODE
    assert seen.permanent is (reason is Reason.START_ERROR)


@pytest.mark.parametrize("code", [1, 2, 64, 126, 127, 137, 141, 143, 255])
def test_b028_every_code_is_a_charged_failure(code: int) -> None:
    seen = judged(pod(state(code=code), phase="Failed"))
    assert (seen.reason, seen.exit_code, seen.charged) == (Reason.EXIT_CODE, code, True)


def test_b105_the_last_lines_are_kept() -> None:
    seen = judged(pod(state(code=4, message="\n".join(f"line {n}" for n in range(500))), phase="Failed"))
    assert seen.message.startswith("exit code 4: ...line ")
    assert seen.message.endswith("line 499")
    assert len(seen.message) <= 1024


SUCCEEDED = {
    "ended well": pod(state(code=0), phase="Succeeded"),
    "B040 a sidecar goes on": pod(state(code=0), SIDECAR),
    "a sidecar failed afterwards": pod(state(code=0), state("proxy", code=137), phase="Failed"),
    "a sidecar failed before": pod(state(code=0), state("proxy", code=1)),
    "ended while it was deleted": pod(state(code=0), phase="Succeeded", deleted=True),
}


@pytest.mark.parametrize("view", SUCCEEDED.values(), ids=SUCCEEDED.keys())
def test_succeeded(view: PodView) -> None:
    seen = judged(view)
    assert seen == Observation(
        Phase.SUCCEEDED,
        exit_code=0,
        node=NODE,
        start_time="2026-01-01T00:00:05Z",
        completion_time="2026-01-01T00:00:09Z",
    )


def test_succeeded_without_a_container_status() -> None:
    assert judged(pod(phase="Succeeded")).phase is Phase.SUCCEEDED


def test_b040_a_failure_does_not_wait_for_the_sidecar() -> None:
    assert judged(pod(state(code=3), SIDECAR)).reason is Reason.EXIT_CODE


def test_b046_b095_a_killed_child_is_told_and_code_0_is_success() -> None:
    seen = judged(pod(state(code=0, reason="OOMKilled"), phase="Succeeded"))
    assert (seen.phase, seen.reason) == (Phase.SUCCEEDED, Reason.OOM_KILLED)
    assert "OOMKilled" in seen.message


def test_a_container_that_never_started_has_no_start_time() -> None:
    view = pod(state(code=128, reason="StartError"), phase="Failed")
    ended = view.status.container_statuses[0].state.terminated
    assert ended is not None
    never = pod(phase="Failed")
    raw = {"name": "main", "state": {"terminated": {"exitCode": 128, "startedAt": "1970-01-01T00:00:00Z"}}}
    assert judged(never).start_time is None
    assert judged(pod(raw, phase="Failed")).start_time is None


STARTING: dict[str, tuple[PodView, Reason, str, bool]] = {
    "just made": (pod(phase="Pending"), Reason.STARTING, "", False),
    "being made": (pod(state(waiting="ContainerCreating"), phase="Pending"), Reason.STARTING, "", False),
    "with a message": (
        pod(state(waiting="ContainerCreating", message="volume is being attached"), phase="Pending"),
        Reason.STARTING,
        "volume is being attached",
        False,
    ),
    "a reason unknown here": (
        pod(state(waiting="Odd", message="x"), phase="Pending"),
        Reason.STARTING,
        "Odd: x",
        False,
    ),
    "B099 pull": (
        pod(state(waiting="ErrImagePull", message="503 from registry"), phase="Pending"),
        Reason.IMAGE_PULL_FAILED,
        "ErrImagePull: 503 from registry",
        False,
    ),
    "B099 pull, pausing": (
        pod(
            state(waiting="ImagePullBackOff", message='Back-off pulling image "x:1": ErrImagePull: 503 from registry'),
            phase="Pending",
        ),
        Reason.IMAGE_PULL_FAILED,
        "ErrImagePull: 503 from registry",
        False,
    ),
    "B099 pull, older kubelet": (
        pod(state(waiting="ImagePullBackOff", message='Back-off pulling image "x:1"'), phase="Pending"),
        Reason.IMAGE_PULL_FAILED,
        'ErrImagePull: Back-off pulling image "x:1"',
        False,
    ),
    "invalid image": (
        pod(state(waiting="InvalidImageName", message="couldn't parse"), phase="Pending"),
        Reason.INVALID_IMAGE_NAME,
        "couldn't parse",
        True,
    ),
    "missing secret": (
        pod(state(waiting="CreateContainerConfigError", message='secret "t" not found'), phase="Pending"),
        Reason.CONFIG_ERROR,
        'secret "t" not found',
        False,
    ),
    "cannot be started": (
        pod(state(waiting="CreateContainerError", message="no command specified"), phase="Pending"),
        Reason.START_ERROR,
        "no command specified",
        True,
    ),
    "a runtime under load": (
        pod(state(waiting="CreateContainerError", message="context deadline exceeded"), phase="Pending"),
        Reason.START_ERROR,
        "context deadline exceeded",
        False,
    ),
    "an init container's image": (
        pod(
            state(waiting="PodInitializing"),
            phase="Pending",
            inits=(state("i", waiting="ErrImagePull", message="404"),),
        ),
        Reason.IMAGE_PULL_FAILED,
        "ErrImagePull: 404",
        False,
    ),
    "no node": (
        pod(phase="Pending", conditions=(condition("PodScheduled", "False", "Unschedulable", "0/3 nodes fit"),)),
        Reason.UNSCHEDULABLE,
        "Unschedulable: 0/3 nodes fit",
        False,
    ),
    "the scheduler's error": (
        pod(phase="Pending", conditions=(condition("PodScheduled", "False", "SchedulerError", "x"),)),
        Reason.STARTING,
        "SchedulerError: x",
        False,
    ),
    "scheduled": (pod(phase="Pending", conditions=(condition("PodScheduled"),)), Reason.STARTING, "", False),
    "a native sidecar runs already": (
        pod(state(waiting="ContainerCreating"), phase="Pending", inits=(state("proxy", running=True),)),
        Reason.STARTING,
        "",
        False,
    ),
}


@pytest.mark.parametrize("case", STARTING.values(), ids=STARTING.keys())
def test_starting(case: tuple[PodView, Reason, str, bool]) -> None:
    view, reason, message, permanent = case
    seen = judged(view)
    assert (seen.phase, seen.reason, seen.message, seen.permanent) == (
        Phase.STARTING,
        reason,
        seen.message if message and seen.message.endswith(message) else message,
        permanent,
    )


def test_scheduling_gates_are_somebody_elses_queue() -> None:
    view = pod(phase="Pending", conditions=(condition("PodScheduled", "False", "SchedulingGated", "gate"),))
    assert (judged(view).phase, judged(view).reason) == (Phase.SUSPENDED, Reason.EXTERNALLY_QUEUED)


RUNNING = {
    "runs": (pod(state(running=True), SIDECAR), ""),
    "an init container runs": (
        pod(state(waiting="PodInitializing"), phase="Pending", inits=(state("i", running=True),)),
        "",
    ),
    "B045 nothing new is no end": (pod(state(running=True), phase="Unknown"), ""),
    "its node does not answer": (
        pod(state(running=True), reason="NodeLost", message="unresponsive"),
        "NodeLost: unresponsive",
    ),
    "a helper ended well": (pod(state(running=True), state("h", code=0)), ""),
    "B096 a helper was killed": (
        pod(state(running=True), state("db", code=137, reason="OOMKilled", restarts=0)),
        "container db ended: OOMKilled, exit code 137 (SIGKILL)",
    ),
    "B096 a helper dies again and again": (
        pod(state(running=True), state("db", running=True, last_code=1, restarts=3)),
        "container db ended: exit code 1, restarts: 3",
    ),
    "crashes": (
        pod(state(waiting="CrashLoopBackOff", message="back-off 10s"), phase="Pending"),
        "CrashLoopBackOff: back-off 10s",
    ),
    "crashed": (
        pod(state(waiting="CrashLoopBackOff", restarts=1, last_code=2)),
        "container main ended: exit code 2, restarts: 1",
    ),
}


@pytest.mark.parametrize(("view", "message"), RUNNING.values(), ids=RUNNING.keys())
def test_running(view: PodView, message: str) -> None:
    seen = judged(view)
    assert (seen.phase, seen.message, seen.reason) == (Phase.RUNNING, message, None)


def test_running_since() -> None:
    assert judged(pod(state(running=True))).start_time == "2026-01-01T00:00:05Z"
