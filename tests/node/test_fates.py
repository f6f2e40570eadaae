"""Fates of real containers: codes and signals, memory, failed starts, images, evictions, old pods that stay.

Field cases B028, B042, B044, B095 to B100, B102 and B047, B049 on a real node; B103 is not among them, for this node
does not measure its disk. One Pipeline holds all that can run beside each other; the tests read what it has left.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from tests.cluster import Cluster, ClusterError
from tests.cluster.polling import wait_for
from tests.cluster.realnode import ctr
from tests.contract.kubectl import Kubectl
from tests.node.jobs import IMAGE, Left, of_kind, run_all, script
from tests.real.pipelines import create_all, job_named, jobs_of, pods_of, wait_for_status

pytestmark = pytest.mark.node

CODES = (1, 2, 64, 126, 127, 137, 141, 143, 255)
ATTEMPT = {"ATTEMPT": {"fieldRef": {"fieldPath": "metadata.annotations['taskpipeline.dev/attempt']"}}}
HOG = "sleep 1; x=a; while :; do x=$x$x; done"
UNPRIVILEGED = {"runAsUser": 65532, "runAsNonRoot": True, "readOnlyRootFilesystem": True}
PROBED = {
    "restartPolicy": "Never",
    "terminationGracePeriodSeconds": 1,
    "containers": [
        {
            "name": "main",
            "image": IMAGE,
            "command": ["sh", "-c", "sleep 600"],
            "livenessProbe": {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1},
        }
    ],
}
INIT = {
    "restartPolicy": "Never",
    "initContainers": [{"name": "prep", "image": IMAGE, "command": ["sh", "-c", "echo no host; exit 7"]}],
    "containers": [{"name": "m", "image": IMAGE, "command": ["true"]}],
}
HELPED = {
    "restartPolicy": "Never",
    "terminationGracePeriodSeconds": 1,
    "containers": [
        {"name": "main", "image": IMAGE, "command": ["sleep", "3600"]},
        {"name": "db", "image": IMAGE, "command": ["sh", "-c", HOG], "resources": {"limits": {"memory": "16Mi"}}},
    ],
}

JOBS = [
    script("codes", f"set -- {' '.join(map(str, CODES))}; shift $((ATTEMPT - 1)); exit $1", env=ATTEMPT,
           fields={"retryAttempt": len(CODES) - 1}),
    script("oom", HOG, resources={"limits": {"memory": "16Mi"}}),
    script("oom-child", f"(sh -c '{HOG}'); echo finished", resources={"limits": {"memory": "16Mi"}}),
    script("killed", "sh -c 'kill -9 $$'; exit $?"),
    of_kind("probed", "K8S/Job", spec={"template": {"spec": PROBED}}),
    of_kind("helped", "K8S/Job", spec={"template": {"spec": HELPED}}, fields={"timeout": 40}),
    of_kind("init", "K8S/Job", spec={"template": {"spec": INIT}}),
    script("no-shell", "echo hi", shell=["/bin/nothing", "-c"], fields={"retryAttempt": 3}),
    of_kind("no-interpreter", "Shell", image=IMAGE, command=["sh", "-c"],
            args=["printf '#!/no/interpreter\\n' > /tmp/x; chmod +x /tmp/x; exec /tmp/x"]),
    of_kind("no-permission", "Shell", image=IMAGE, command=["/etc/passwd"]),
    of_kind("no-format", "Shell", image=IMAGE, command=["/format/run"],
            volumes=[{"name": "f", "configMap": {"name": "format", "defaultMode": 0o755}}],
            volumeMounts=[{"name": "f", "mountPath": "/format"}]),
    script("read-only", "echo begun; touch /new; exit 2", securityContext=UNPRIVILEGED),
]  # fmt: skip


@pytest.fixture(scope="module")
def left(shared_kubectl: Kubectl) -> dict[str, Left]:
    """What the Pipeline of all these jobs has left."""
    shared_kubectl.ok("create", "configmap", "format", "--from-literal=run=\x7fELF is no program")
    return run_all(shared_kubectl, "fates", JOBS)


def told(left: dict[str, Left], name: str) -> tuple[str, str, str]:
    """State, reason and message of a job."""
    status = left[name].status
    return status["state"], status["reason"], status.get("message", "")


def test_b028_every_code_is_retried_and_told(left: dict[str, Left]) -> None:
    attempts = left["codes"].status["attempts"]
    assert [one["exitCode"] for one in attempts] == list(CODES)
    assert {(one["outcome"], one["reason"], one["charged"]) for one in attempts} == {("Failed", "ExitCode", True)}


def test_b097_b095_memory(left: dict[str, Left]) -> None:
    state, reason, message = told(left, "oom")
    assert (state, reason) == ("ERROR", "OOMKilled")
    assert "exit code 137 (SIGKILL)" in message
    child = left["oom-child"]
    assert child.last["reason"] == "OOMKilled"
    assert "memory" in child.status["message"]
    if child.status["state"] == "DONE":  # else the kernel has killed the whole group, as some do
        assert "finished" in child.log.splitlines()  # the shell's "Killed" is of the other stream: before or after


def test_b097_a_kill_inside_and_a_failed_probe_are_told_apart(left: dict[str, Left]) -> None:
    assert told(left, "killed")[1] == told(left, "probed")[1] == "ExitCode"
    assert "exit code 137 (SIGKILL)" in told(left, "killed")[2]
    assert "liveness probe" not in told(left, "killed")[2]
    assert "liveness probe" in told(left, "probed")[2]


def test_b096_the_timeout_names_the_helper_that_was_killed_for_memory(left: dict[str, Left]) -> None:
    state, reason, message = told(left, "helped")
    assert (state, reason) == ("ERROR", "Timeout")
    assert message.startswith("ran longer than 40 s")
    assert "container db ended: OOMKilled, exit code 137 (SIGKILL)" in message


def test_b044_an_init_container_is_named_with_its_code(left: dict[str, Left]) -> None:
    assert told(left, "init")[2].startswith("init container prep: exit code 7")
    assert left["init"].last["exitCode"] == 7


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no-shell", "no such file or directory"),
        ("no-permission", "permission denied"),
        ("no-format", "exec format error"),
    ],
)
def test_b098_a_failed_start_says_why_and_is_not_retried(left: dict[str, Left], name: str, words: str) -> None:
    state, reason, message = told(left, name)
    assert (state, reason, left[name].status["attempt"]) == ("ERROR", "StartError", 1)
    assert message.startswith("the container could not be started: ")
    assert words in message
    assert ("not retried" in message) is (name == "no-shell")


def test_b098_a_script_that_began_is_told_by_its_own_code(left: dict[str, Left]) -> None:
    assert told(left, "no-interpreter")[1] == "ExitCode"
    assert left["no-interpreter"].last["exitCode"] in (126, 127, 2)
    state, reason, message = told(left, "read-only")
    assert (state, reason, left["read-only"].last["exitCode"]) == ("ERROR", "ExitCode", 2)
    assert "Read-only file system" in message


def sleeper(name: str, **fields: Any) -> dict[str, Any]:
    """A job that runs until it is stopped, and stops at once then."""
    return script(name, "trap 'exit 143' TERM; echo ready; while :; do sleep 0.1; done", fields=fields)


def running_pod(kubectl: Kubectl) -> str:
    """Name of the only running pod."""

    def names() -> list[str]:
        return [
            pod["metadata"]["name"]
            for pod in pods_of(kubectl)
            if pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]
        ]

    wait_for(lambda: len(names()) == 1, "one running pod", 40)
    return names()[0]


def attempts(kubectl: Kubectl) -> list[dict[str, Any]]:
    """The attempts of the job `a` that have ended."""
    found: list[dict[str, Any]] = job_named(kubectl, "a")["status"].get("attempts", [])
    return found


def test_b042_b097_b102_evicted_and_deleted_pods_are_told_and_replaced(kubectl: Kubectl) -> None:
    create_all(kubectl, {"p": {"stages": ["s"], "jobs": [sleeper("a", retryAttempt=1)]}})
    pod = running_pod(kubectl)
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": kubectl.namespace}}
    path = f"/api/v1/namespaces/{kubectl.namespace}/pods/{pod}/eviction"
    kubectl.ok("create", "--raw", path, "-f", "-", stdin=body)
    wait_for(lambda: len(attempts(kubectl)) == 1, "the end of the first attempt", 40)
    kubectl.ok("delete", "pod", running_pod(kubectl), "--grace-period=0", "--force")
    wait_for(lambda: len(attempts(kubectl)) == 2, "the end of the second", 40)
    running_pod(kubectl)
    first, second = attempts(kubectl)
    assert (first["reason"], first["charged"], first["exitCode"]) == ("Evicted", False, 143)
    assert first["message"].startswith("EvictionByEvictionAPI: ")
    assert (second["reason"], second["charged"]) == ("Lost", False)
    kubectl.ok(*kubectl.merge("tpl/p", {"spec": {"cancel": "Now"}}))
    wait_for_status(kubectl, "tpl/p", state="CANCELLED")
    assert job_named(kubectl, "a")["status"]["state"] == "CANCELLED"


@pytest.fixture
def image(operated: Cluster) -> Iterator[tuple[str, Callable[[], None]]]:
    """An image that no registry has, and what makes it appear on the node, as a pull that works again would."""
    reference = f"registry.example.test/late:{secrets.token_hex(4)}"

    def appear() -> None:
        ctr(operated.paths, "images", "tag", f"docker.io/library/{IMAGE}", reference)

    yield reference, appear
    with suppress(ClusterError):
        ctr(operated.paths, "images", "rm", reference)


def until_the_pull_fails(kubectl: Kubectl) -> None:
    """Wait until the status says why the pod does not start."""
    wait_for(lambda: jobs_of(kubectl), "the job", 20)
    wait_for(lambda: "ErrImagePull" in job_named(kubectl, "a")["status"].get("message", ""), "the message", 40)


@pytest.mark.parametrize("kind", ["Shell", "K8S/Job"])
def test_b099_an_image_that_comes_late_costs_no_attempt(
    kubectl: Kubectl, image: tuple[str, Callable[[], None]], kind: str
) -> None:
    reference, appear = image
    create_all(kubectl, {"p": {"stages": ["s"], "jobs": [of_kind("a", kind, image=reference, command=["true"])]}})
    until_the_pull_fails(kubectl)
    assert "registry.example.test" in job_named(kubectl, "a")["status"]["message"]
    appear()
    wait_for_status(kubectl, "tpl/p", state="DONE", seconds=60)
    assert [(one["attempt"], one["outcome"]) for one in attempts(kubectl)] == [(1, "Succeeded")]


@pytest.mark.parametrize("way", ["timeout", "cancel", "delete"])
def test_b100_nothing_starts_when_the_image_of_an_ended_job_appears(
    kubectl: Kubectl, image: tuple[str, Callable[[], None]], way: str
) -> None:
    reference, appear = image
    fields = {"timeout": 15} if way == "timeout" else {}
    job = of_kind("a", "K8S/Job", image=reference, command=["true"], fields=fields)
    create_all(kubectl, {"p": {"stages": ["s"], "jobs": [job]}})
    until_the_pull_fails(kubectl)
    if way == "cancel":
        kubectl.ok(*kubectl.merge("tpl/p", {"spec": {"cancel": "Now"}}))
    elif way == "delete":
        kubectl.ok("delete", "tpl", "p")
    wait_for(lambda: not pods_of(kubectl) and not kubectl.ok("get", "jobs", "-o", "name"), "the end of all", 60)
    appear()
    assert kubectl.run("wait", "pod", "--all", "--for=create", "--timeout=3s").code != 0
    assert pods_of(kubectl) == []


def test_b047_b049_the_image_message_of_a_rollout_and_old_pods_that_terminate(kubectl: Kubectl) -> None:
    stubborn = "trap '' TERM; touch /tmp/ready; while :; do sleep 1; done"
    container = {"name": "web", "image": IMAGE, "command": ["sh", "-c", stubborn]}
    pod = {"terminationGracePeriodSeconds": 30, "containers": [container]}
    labels = {"app": "shop"}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "progressDeadlineSeconds": 30,
            "template": {"metadata": {"labels": labels}, "spec": pod}}  # fmt: skip
    deploy(kubectl, "first", "DONE", name="shop", spec=spec)
    second = deploy(kubectl, "second", "DONE", name="shop", image=f"docker.io/library/{IMAGE}")
    assert second["message"] == "1 old pods still terminate"
    bad = deploy(kubectl, "bad", "ERROR", name="shop", image="registry.example.test/shop:none", onFailure="Rollback")
    assert bad["reason"] == "ProgressDeadlineExceeded"
    for words in ("has timed out progressing.", "pod shop-", "registry.example.test/shop:none", "rolled back"):
        assert words in bad["message"]
    kubectl.ok("rollout", "status", "deployment/shop", "--timeout=40s")


def deploy(kubectl: Kubectl, pipeline: str, state: str, **params: Any) -> dict[str, Any]:
    """Run a Pipeline of one K8S/Deployment job to that state; returns the job's status."""
    create_all(kubectl, {pipeline: {"stages": ["s"], "jobs": [of_kind(pipeline, "K8S/Deployment", **params)]}})
    wait_for_status(kubectl, f"tpl/{pipeline}", state=state, seconds=150)
    found: dict[str, Any] = job_named(kubectl, pipeline)["status"]
    return found
