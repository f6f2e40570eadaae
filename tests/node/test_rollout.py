"""A real rollout, and a second Pipeline that changes only what it names."""

from typing import Any

import pytest

from tests.cluster.polling import wait_for
from tests.contract.kubectl import Kubectl
from tests.node.jobs import IMAGE, of_kind
from tests.real.pipelines import GARBAGE_SECONDS, create_all, job_named, jobs_of, pods_of, wait_for_status

pytestmark = pytest.mark.node

SERVE = """
trap "exit 0" TERM
mkdir /tmp/www
echo "release $RELEASE" > /tmp/www/index.html
httpd -f -p 8080 -h /tmp/www & wait
"""
SHORT: dict[str, Any] = {
    "containerName": "web",
    "image": IMAGE,
    "replicas": 2,
    "command": ["sh", "-c", SERVE],
    "env": {"RELEASE": "1", "KEPT": "yes"},
    "ports": [{"containerPort": 8080}],
    "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
}
OTHER_REFERENCE = f"docker.io/library/{IMAGE}"  # the same image by another name, so nothing has to be pulled


def roll_out(kubectl: Kubectl, pipeline: str, **params: Any) -> dict[str, Any]:
    """Run a Pipeline of one K8S/Deployment job to DONE; returns the Deployment."""
    create_all(kubectl, {pipeline: {"stages": ["s"], "jobs": [of_kind("web", "K8S/Deployment", name="web", **params)]}})
    wait_for_status(kubectl, f"tpl/{pipeline}", state="DONE", seconds=60)
    found: dict[str, Any] = kubectl.get("deployment", "web")
    return found


def pages(kubectl: Kubectl) -> set[str]:
    """What the pods that are to stay serve, each asked through the API server."""
    pods = [pod["metadata"] for pod in pods_of(kubectl) if pod["metadata"]["name"].startswith("web-")]
    names = [pod["name"] for pod in pods if "deletionTimestamp" not in pod]
    path = f"/api/v1/namespaces/{kubectl.namespace}/pods"
    return {kubectl.ok("get", "--raw", f"{path}/{name}:8080/proxy/") for name in names}


def test_a_rollout_and_a_second_one_that_changes_only_image_and_env(kubectl: Kubectl) -> None:
    first = roll_out(kubectl, "first", **SHORT)
    assert (first["status"]["availableReplicas"], first["status"]["updatedReplicas"]) == (2, 2)
    assert pages(kubectl) == {"release 1\n"}
    second = roll_out(kubectl, "second", image=OTHER_REFERENCE, env={"RELEASE": "2"})
    assert second["metadata"]["uid"] == first["metadata"]["uid"]
    assert second["spec"]["replicas"] == 2
    before, after = (one["spec"]["template"]["spec"]["containers"][0] for one in (first, second))
    assert after["image"] == OTHER_REFERENCE
    assert {one["name"]: one["value"] for one in after["env"]} == {"RELEASE": "2", "KEPT": "yes"}
    changed = {"image", "env"}
    assert {key: value for key, value in after.items() if key not in changed} == {
        key: value for key, value in before.items() if key not in changed
    }
    assert pages(kubectl) == {"release 2\n"}
    kubectl.ok("delete", "tpl", "first", "second")
    wait_for(lambda: not jobs_of(kubectl), "the end of the jobs", GARBAGE_SECONDS)
    assert kubectl.get("deployment", "web")["metadata"]["uid"] == first["metadata"]["uid"]


def test_a_rollout_that_cannot_make_progress_fails_with_the_pods_own_reason(kubectl: Kubectl) -> None:
    broken = SHORT | {"replicas": 1, "image": "registry.example.test/huge:1", "progressDeadlineSeconds": 3}
    jobs = [of_kind("web", "K8S/Deployment", name="web", **broken)]
    create_all(kubectl, {"broken": {"stages": ["s"], "jobs": jobs}})
    wait_for_status(kubectl, "tpl/broken", state="ERROR", reason="JobFailed", seconds=60)
    status = job_named(kubectl, "web")["status"]
    assert (status["state"], status["reason"]) == ("ERROR", "ProgressDeadlineExceeded")
    assert 'ReplicaSet "web-' in status["message"]
