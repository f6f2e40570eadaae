"""How real containers end: exit codes, last words, retries, signals, and those that never start."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from task_pipeline.api.times import parse_time
from tests.cluster import Cluster
from tests.contract.kubectl import Kubectl
from tests.node.jobs import IMAGE, Left, of_kind, run_all, script
from tests.real.pipelines import create_all, job_named, jobs_of, pods_of, wait_for_status

pytestmark = pytest.mark.node

START_SECONDS = 20
AT_ONCE = 60.0  # on a machine with many other containers to start; the default startTimeout is 600
ATTEMPT = {"ATTEMPT": {"fieldRef": {"fieldPath": "metadata.annotations['taskpipeline.dev/attempt']"}}}
TRAP = "trap 'echo got TERM; exit 9' TERM; echo ready; while :; do sleep 0.1; done"
NATIVE = {
    "restartPolicy": "Never",
    "containers": [{"name": "c", "image": IMAGE, "command": ["sh", "-c", "echo native"]}],
}

JOBS = [
    script("fails", "echo first; echo to stderr >&2; echo last words; exit 3", fields={"retryAttempt": 1}),
    script("flaky", 'echo "attempt $ATTEMPT"; test "$ATTEMPT" -ge 2', env=ATTEMPT, fields={"retryAttempt": 3}),
    of_kind("no-program", "Shell", image=IMAGE, command=["/no/such/program"]),
    of_kind("job-done", "K8S/Job", image=IMAGE, command=["sh", "-c", "echo built"]),
    of_kind("job-native", "K8S/Job", spec={"template": {"spec": NATIVE}}),
    of_kind("job-fails", "K8S/Job", image=IMAGE, command=["sh", "-c", "echo broken build; exit 7"]),
    of_kind("bad-image", "Shell", image="Not/Valid:1", command=["true"]),
    of_kind("no-image", "Shell", image="registry.example.test/huge:1", command=["true"],
            fields={"startTimeout": START_SECONDS}),
    script("no-secret", "true", env={"TOKEN": {"secretKeyRef": {"name": "nowhere", "key": "token"}}},
           fields={"startTimeout": START_SECONDS}),
    of_kind("job-no-image", "K8S/Job", image="registry.example.test/huge:1", command=["true"],
            fields={"startTimeout": START_SECONDS}),
]  # fmt: skip


@pytest.fixture(scope="module")
def left(shared_kubectl: Kubectl) -> dict[str, Left]:
    """What the Pipeline of all these jobs has left."""
    return run_all(shared_kubectl, "ends", JOBS)


def test_an_exit_code_and_the_last_lines_of_the_log_are_told(left: dict[str, Left]) -> None:
    status = left["fails"].status
    assert (status["state"], status["reason"], status["attempt"]) == ("ERROR", "ExitCode", 2)
    assert [(one["outcome"], one["exitCode"], one["charged"]) for one in status["attempts"]] == [
        ("Failed", 3, True)
    ] * 2
    for message in (status["message"], status["attempts"][0]["message"]):
        assert "exit code 3" in message
        assert "last words" in message
        assert "to stderr" in message


def test_a_retry_passes_at_its_second_attempt(left: dict[str, Left]) -> None:
    flaky = left["flaky"]
    assert (flaky.status["state"], flaky.status["attempt"]) == ("DONE", 2)
    assert [one["outcome"] for one in flaky.status["attempts"]] == ["Failed", "Succeeded"]
    assert flaky.log == "attempt 2\n"


def test_what_can_never_start_ends_at_once(left: dict[str, Left]) -> None:
    program, image = left["no-program"].status, left["bad-image"].status
    for status in (program, image):
        took = parse_time(status["completionTime"]) - parse_time(status["startTime"])
        assert took.total_seconds() < AT_ONCE, status
    assert (program["state"], program["reason"]) == ("ERROR", "StartError")
    assert "/no/such/program" in program["message"]
    assert (image["state"], image["reason"]) == ("ERROR", "InvalidImageName")
    assert "Not/Valid:1" in image["message"]


def test_kubernetes_jobs_end_as_their_pods_do(left: dict[str, Left]) -> None:
    assert left["job-done"].status["state"] == left["job-native"].status["state"] == "DONE"
    assert (left["job-done"].log, left["job-native"].log) == ("built\n", "native\n")
    failed = left["job-fails"]
    assert (failed.status["state"], failed.status["reason"], failed.last["exitCode"]) == ("ERROR", "ExitCode", 7)
    assert failed.log == "broken build\n"


@pytest.mark.parametrize("name", ["no-image", "job-no-image"])
def test_an_image_that_never_comes_ends_by_start_timeout_in_the_kubelets_words(
    left: dict[str, Left], name: str
) -> None:
    status = left[name].status
    assert (status["state"], status["reason"]) == ("ERROR", "StartTimeout")
    assert f"not started within {START_SECONDS} s" in status["message"]
    assert "registry.example.test/huge:1" in status["message"]


def test_a_missing_secret_ends_by_start_timeout_and_is_named(left: dict[str, Left]) -> None:
    status = left["no-secret"].status
    assert (status["state"], status["reason"]) == ("ERROR", "StartTimeout")
    assert 'secret "nowhere" not found' in status["message"]


def test_nothing_of_what_was_stopped_is_left(left: dict[str, Left], shared_kubectl: Kubectl) -> None:
    phases = {pod["metadata"]["name"]: pod["status"]["phase"] for pod in pods_of(shared_kubectl)}
    assert set(phases.values()) <= {"Succeeded", "Failed"}, phases


@contextmanager
def following(cluster: Cluster, kubectl: Kubectl, job: str) -> Iterator["subprocess.Popen[str]"]:
    """Follow the log of a running job, which is gone with its pod; past the line `ready`."""
    pod = job_named(kubectl, job)["status"]["workload"]["name"]
    kubectl.ok("wait", f"pod/{pod}", "--for=jsonpath={.status.phase}=Running", "--timeout=20s")
    command = [str(cluster.paths.kubectl), "-n", kubectl.namespace, "logs", "-f", pod]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_trap_runs_when_the_pipeline_is_cancelled(operated: Cluster, kubectl: Kubectl) -> None:
    create_all(kubectl, {"stopped": {"stages": ["s"], "jobs": [script("a", TRAP)]}})
    wait_for_status(kubectl, "tpl/stopped", state="IN PROGRESS")
    with following(operated, kubectl, "a") as log:
        kubectl.ok(*kubectl.merge("tpl/stopped", {"spec": {"cancel": "Now"}}))
        ended = wait_for_status(kubectl, "tpl/stopped", state="CANCELLED", reason="UserCancelled", seconds=60)
        assert log.communicate(timeout=30)[0] == "got TERM\n"
    assert ended["status"]["progress"] == "1/1"
    assert [(job["status"]["state"], job["status"]["reason"]) for job in jobs_of(kubectl)] == [
        ("CANCELLED", "UserCancelled")
    ]


def test_a_trap_runs_when_the_timeout_passes(operated: Cluster, kubectl: Kubectl) -> None:
    create_all(kubectl, {"slow": {"stages": ["s"], "jobs": [script("a", TRAP, fields={"timeout": 20})]}})
    wait_for_status(kubectl, "tpl/slow", state="IN PROGRESS")
    with following(operated, kubectl, "a") as log:
        wait_for_status(kubectl, "tpl/slow", state="ERROR", reason="JobFailed", seconds=60)
        assert log.communicate(timeout=30)[0] == "got TERM\n"
    status = job_named(kubectl, "a")["status"]
    assert (status["state"], status["reason"], status["message"]) == ("ERROR", "Timeout", "ran longer than 20 s")
