"""A Deployment that a job applies and a GitOps tool holds as well: row 26 of the semantics."""

from typing import Any

import pytest

from tests.contract.kubectl import Kubectl
from tests.real.pipelines import create_all, job_named, shell, wait_all

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("shared_operator")]

TOOL = "argocd-controller"


def in_git(kubectl: Kubectl, image: str) -> None:
    """The tool's own apply of the whole Deployment."""
    labels = {"app": "shop"}
    container = {"name": "web", "image": image}
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
    }
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop"}, "spec": spec}
    kubectl.ok("apply", "--server-side", f"--field-manager={TOOL}", "-f", "-", stdin=body)


def rollout(image: str, **params: Any) -> dict[str, Any]:
    """The short form: another image for one container."""
    job = shell("roll", kind="K8S/Deployment")
    return {
        "stages": ["s"],
        "jobs": [job | {"params": {"name": "shop", "containerName": "web", "image": image} | params}],
    }


def image_of(kubectl: Kubectl) -> str:
    found: str = kubectl.get("deployment", "shop")["spec"]["template"]["spec"]["containers"][0]["image"]
    return found


def test_row26_two_managers_of_one_field_end_the_job_with_conflict(kubectl: Kubectl) -> None:
    in_git(kubectl, "nginx:1.26")
    create_all(kubectl, {"release": rollout("nginx:1.27")})
    assert wait_all(kubectl) == {"release": "ERROR"}
    status = job_named(kubectl, "roll")["status"]
    assert (status["state"], status["reason"]) == ("ERROR", "Conflict")
    assert TOOL in status["message"]
    assert "task-pipeline" in status["message"]
    assert "image" in status["message"]
    assert image_of(kubectl) == "nginx:1.26"


def test_row26_force_takes_the_field_and_the_tool_is_told_at_its_next_apply(kubectl: Kubectl) -> None:
    in_git(kubectl, "nginx:1.26")
    create_all(kubectl, {"release": rollout("nginx:1.27", force=True)})
    assert wait_all(kubectl) == {"release": "DONE"}
    assert image_of(kubectl) == "nginx:1.27"
    with pytest.raises(AssertionError, match='conflict with "task-pipeline"'):
        in_git(kubectl, "nginx:1.26")


def test_row26_the_same_value_is_no_conflict(kubectl: Kubectl) -> None:
    in_git(kubectl, "nginx:1.26")
    create_all(kubectl, {"release": rollout("nginx:1.26")})
    assert wait_all(kubectl) == {"release": "DONE"}
    in_git(kubectl, "nginx:1.26")
