"""Field cases about ends: what a pod or a Kubernetes Job says about why it ended, and what an attempt more would do."""

from typing import Any

import pytest

from task_pipeline.api.objects import PodView
from task_pipeline.api.reasons import Reason
from task_pipeline.core.workload import Observation, Phase
from task_pipeline.kinds.k8s_job import KubernetesJobKind
from task_pipeline.kinds.registry import parse
from task_pipeline.kinds.shell import ShellKind
from tests.unit.kinds.builders import condition, job, pod, state

JOB = KubernetesJobKind()
FAILED = condition("Failed", reason="BackoffLimitExceeded", message="Job has reached the specified backoff limit")
TAINT = condition(
    "DisruptionTarget", reason="DeletionByTaintManager", message="Taint manager: deleting due to NoExecute"
)
PRESSURE = (
    "The node was low on resource: ephemeral-storage. Threshold quantity: 1Gi, available: 512Mi. "
    "Container main was using 204800Ki, request is 0, has larger consumption of ephemeral-storage. "
)


def judged(view: PodView) -> Observation:
    """The pod of a Shell job."""
    return ShellKind().observe(view, ())


def start_error(message: str) -> PodView:
    """A pod whose container could not be started."""
    return pod(state(code=128, reason="StartError", message=message), phase="Failed")


def test_b097_five_causes_of_137_are_told_apart() -> None:
    ends = {
        "memory": judged(pod(state(code=137, reason="OOMKilled"), phase="Failed")),
        "kill": judged(pod(state(code=137), phase="Failed")),
        "deleted": judged(pod(state(code=137), phase="Failed", deleted=True)),
        "evicted": judged(pod(state(code=137), phase="Failed", reason="Evicted", message=PRESSURE)),
    }
    assert {name: end.reason for name, end in ends.items()} == {
        "memory": Reason.OOM_KILLED, "kill": Reason.EXIT_CODE, "deleted": Reason.LOST, "evicted": Reason.EVICTED,
    }  # fmt: skip
    probe = JOB.hint(params(livenessProbe={"exec": {"command": ["false"]}}), ends["kill"])
    assert "liveness probe" in probe
    assert len({probe, *(end.message for end in ends.values())}) == 5


def params(**container: Any) -> Any:
    """Params of a K8S/Job with one container."""
    containers = [{"name": "main", "image": "i", **container}]
    return parse("K8S/Job", "1.0.0", {"spec": {"template": {"spec": {"containers": containers}}}})


@pytest.mark.parametrize("code", [143, 137])
def test_b097_a_liveness_probe_is_mentioned_only_where_there_is_one(code: int) -> None:
    end = Observation(Phase.FAILED, Reason.EXIT_CODE, exit_code=code)
    assert JOB.hint(params(livenessProbe={"exec": {"command": ["false"]}}), end)
    assert not JOB.hint(params(), end)
    assert not JOB.hint(parse("K8S/Job", "1.0.0", {"image": "i"}), end)


@pytest.mark.parametrize(("reason", "code"), [(Reason.EXIT_CODE, 1), (Reason.OOM_KILLED, 137)])
def test_b097_nor_for_an_end_that_a_probe_does_not_cause(reason: Reason, code: int) -> None:
    end = Observation(Phase.FAILED, reason, exit_code=code)
    assert not JOB.hint(params(livenessProbe={"exec": {"command": ["false"]}}), end)


@pytest.mark.parametrize(
    ("message", "hopeless"),
    [
        ('exec: "/bin/sh": stat /bin/sh: no such file or directory', True),
        ("exec /run.sh: exec format error", True),
        ("failed to create containerd task: context deadline exceeded", False),
        ("fork/exec /usr/bin/runc: Cannot allocate memory", False),
    ],
)
def test_b098_a_failed_start_is_hopeless_unless_its_cause_may_pass(message: str, hopeless: bool) -> None:
    seen = judged(start_error(message))
    assert (seen.phase, seen.reason, seen.permanent) == (Phase.FAILED, Reason.START_ERROR, hopeless)


@pytest.mark.parametrize("code", [2, 126, 127])
def test_b098_the_scripts_own_codes_are_no_failed_start(code: int) -> None:
    seen = judged(pod(state(code=code, message="sh: 1: nothing: not found"), phase="Failed"))
    assert (seen.reason, seen.permanent, seen.exit_code) == (Reason.EXIT_CODE, False, code)


def test_b098_an_init_container_that_cannot_be_started_is_hopeless_too() -> None:
    init = state("prep", code=128, reason="StartError", message="no such file or directory")
    seen = judged(pod(state(waiting="PodInitializing"), phase="Failed", inits=(init,)))
    assert (seen.reason, seen.permanent) == (Reason.START_ERROR, True)
    assert seen.message.startswith("init container prep: the container could not be started")


def test_b103_resource_use_and_limit_of_an_eviction_are_told() -> None:
    seen = judged(pod(state(code=137), phase="Failed", reason="Evicted", message=PRESSURE))
    assert (seen.reason, seen.charged) == (Reason.EVICTED, False)
    for words in ("Evicted", "ephemeral-storage", "204800Ki", "available: 512Mi"):
        assert words in seen.message


@pytest.mark.parametrize(
    "message",
    [
        "Pod ephemeral local storage usage exceeds the total limit of containers 50Mi. ",
        'Container main exceeded its local ephemeral storage limit "50Mi". ',
        'Usage of EmptyDir volume "cache" exceeds the limit "50Mi". ',
    ],
)
def test_b103_an_eviction_for_its_own_limit_is_charged(message: str) -> None:
    seen = judged(pod(state(code=137), phase="Failed", reason="Evicted", message=message))
    assert (seen.reason, seen.charged) == (Reason.EVICTED, True)
    assert seen.message == f"Evicted: {message.strip()}"


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("PreemptionByScheduler", Reason.EVICTED),
        ("EvictionByEvictionAPI", Reason.EVICTED),
        ("DeletionByTaintManager", Reason.EVICTED),
        ("TerminationByKubelet", Reason.EVICTED),
        ("DeletionByPodGC", Reason.LOST),
    ],
)
def test_semantics_6_every_disruption_is_told_and_free(reason: str, expected: Reason) -> None:
    mark = condition("DisruptionTarget", reason=reason, message="why")
    seen = judged(pod(state(code=143), phase="Failed", deleted=True, conditions=(mark,)))
    assert (seen.reason, seen.charged, seen.message) == (expected, False, f"{reason}: why")


def test_semantics_6_a_pod_that_is_being_taken_runs_on_and_says_why() -> None:
    seen = judged(pod(state(running=True), deleted=True, conditions=(TAINT,)))
    assert (seen.phase, seen.message) == (
        Phase.RUNNING, "DeletionByTaintManager: Taint manager: deleting due to NoExecute",
    )  # fmt: skip


def test_b096_a_sidecar_that_dies_is_named() -> None:
    init = state("db", running=True, last_code=137, reason="OOMKilled", restarts=2)
    seen = judged(pod(state(running=True), inits=(init,)))
    assert seen.message == "container db ended: OOMKilled, exit code 137 (SIGKILL), restarts: 2"


class TestFirstStart:
    """B029: how long a pod was pending is known as long as the kubelet tells its first start."""

    def since(self, *containers: Any) -> str | None:
        """Since when the Job runs that has one pod with these containers."""
        return JOB.observe(job(), [pod(*containers)]).start_time

    def test_b029_of_a_job_it_is_the_containers_not_the_jobs(self) -> None:
        assert self.since(state(running=True)) == "2026-01-01T00:00:05Z"

    def test_b029_a_first_restart_still_tells(self) -> None:
        assert self.since(state(running=True, last_code=1, restarts=1)) == "2026-01-01T00:00:05Z"

    @pytest.mark.parametrize("last_code", [None, 1])
    def test_b029_a_second_one_does_not(self, last_code: int | None) -> None:
        again = state(running=True, last_code=last_code, restarts=2 if last_code else 1)
        assert self.since(again) == "2026-01-01T00:00:01Z"  # the Job's own

    def test_a_container_that_waits_beside_one_that_runs(self) -> None:
        assert self.since(state("a", running=True), state("b", waiting="ErrImagePull")) == "2026-01-01T00:00:05Z"


def test_a_job_of_pods_that_were_taken_is_given_back() -> None:
    gone = pod(state(code=143), phase="Failed", deleted=True)
    seen = JOB.observe(job(FAILED), [gone])
    assert (seen.reason, seen.charged) == (Reason.LOST, False)
