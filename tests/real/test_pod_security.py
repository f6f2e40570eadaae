"""Pod Security `restricted` as the API server judges it: our table of controls, and jobs where it is enforced."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.cluster import Cluster
from tests.cluster.client import ApiError
from tests.contract.kubectl import Kubectl
from tests.install.pod_security import OF_A_CONTAINER, OF_A_POD, PLACES, Breach, put
from tests.install.test_pod_security import EVERYTHING, KINDS, compliant, ids, pod_of
from tests.operators import OperatorProcess
from tests.real.pipelines import create_all, job_named, jobs_of, pods_of, shell, wait_all

pytestmark = pytest.mark.cluster

LABEL = "pod-security.kubernetes.io/enforce=restricted"
Judge = Callable[[dict[str, Any]], tuple[int, str]]


@pytest.fixture(scope="module")
def strict(installed: Cluster) -> Iterator[Kubectl]:
    """A namespace that enforces the standard."""
    kubectl = Kubectl(installed.paths.kubectl, "strict-pods")
    kubectl.ok("create", "namespace", kubectl.namespace)
    kubectl.ok("label", "namespace", kubectl.namespace, LABEL)
    kubectl.ok("create", "serviceaccount", "builder")
    yield kubectl
    kubectl.ok("delete", "namespace", kubectl.namespace, "--wait=false")


@pytest.fixture(scope="module")
def judge(installed: Cluster, strict: Kubectl) -> Judge:
    """Says what the API server answers to a pod: status and text. Nothing is stored."""
    path = f"/api/v1/namespaces/{strict.namespace}/pods?dryRun=All"

    def ask(spec: dict[str, Any]) -> tuple[int, str]:
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "tried"}, "spec": spec}
        try:
            installed.client.request("POST", path, body)
        except ApiError as error:
            return error.status, str(error)
        return 201, ""

    return ask


def refused_for(answer: tuple[int, str], breach: Breach) -> bool:
    """Whether the standard refuses it, or already the validation of pods: some fields may not stand everywhere."""
    status, text = answer
    return status == 422 or (status == 403 and "violates PodSecurity" in text and breach.says in text)


def test_a_pod_that_satisfies_every_control_is_taken(judge: Judge) -> None:
    assert judge(compliant()) == (201, "")


@pytest.mark.parametrize("params", [{}, EVERYTHING], ids=["least", "most"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_the_operator_builds_is_taken(judge: Judge, kind: str, params: dict[str, Any]) -> None:
    assert judge(pod_of(kind, KINDS[kind] | params)) == (201, "")


@pytest.mark.parametrize("breach", OF_A_CONTAINER, ids=ids)
@pytest.mark.parametrize("place", PLACES)
def test_a_container_that_breaks_a_control_is_refused(judge: Judge, place: str, breach: Breach) -> None:
    spec = compliant()
    container = spec[place][0]
    put(container, breach.path, breach.value)
    if breach.control == "privileged":  # which no one may be without the other
        put(container, "securityContext.allowPrivilegeEscalation", True)
    assert refused_for(judge(spec), breach), judge(spec)


@pytest.mark.parametrize("breach", OF_A_POD, ids=ids)
def test_a_pod_that_breaks_a_control_is_refused(judge: Judge, breach: Breach) -> None:
    spec = compliant()
    put(spec, breach.path, breach.value)
    if breach.control == "host process":
        spec["hostNetwork"] = True
    assert refused_for(judge(spec), breach), judge(spec)


def test_jobs_of_all_kinds_run_where_it_is_enforced(
    strict: Kubectl, new_operator: Callable[..., OperatorProcess]
) -> None:
    new_operator(TASK_PIPELINE_POD_SECURITY="restricted").start()
    jobs = [{"name": f"j{number}", "stage": "s", "kind": kind, "version": "1.0.0", "params": params}
            for number, (kind, params) in enumerate(KINDS.items())]  # fmt: skip
    create_all(strict, {"kinds": {"stages": ["s"], "jobs": jobs}})
    assert wait_all(strict) == {"kinds": "DONE"}, jobs_of(strict)
    assert len(pods_of(strict)) == len(KINDS)
    rooted = shell("rooted")
    rooted["params"] |= {"securityContext": {"runAsNonRoot": False}}
    native = copy.deepcopy(compliant())
    native["hostNetwork"] = True
    batch = {"name": "native", "stage": "s", "kind": "K8S/Job", "version": "1.0.0", "startTimeout": 10,
             "params": {"spec": {"template": {"spec": native}}}}  # fmt: skip
    create_all(strict, {"broken": {"stages": ["s"], "jobs": [rooted, batch]}})
    assert wait_all(strict)["broken"] == "ERROR"
    told = job_named(strict, "rooted")["status"]
    assert told["reason"] == "PodRejected"
    assert "runAsNonRoot != true" in told["message"]
    assert job_named(strict, "native")["status"]["state"] == "ERROR"
    assert len(pods_of(strict)) == len(KINDS)
