"""Fates of workloads that depend on the API server and its controllers: taken pods and Jobs, refusals, suspension.

Rows 6, 7 and 10 of the semantics; field cases B068, B101, B102, B104.
"""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.cluster import Cluster
from tests.cluster.polling import wait_for
from tests.cluster.simulated import LABEL, node
from tests.contract.kubectl import Kubectl
from tests.operators import OperatorProcess
from tests.real.pipelines import create_all, job_named, pods_of, shell, wait_all, wait_for_status, workload_of

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("shared_operator")]

LONG = {"simulate.test/seconds": "600"}


def k8s_job(name: str, *, seconds: float = 600, pod: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    """A Kubernetes Job in its native form."""
    containers = [{"name": "main", "image": "busybox:1.36"}]
    fields = {"restartPolicy": "Never", "containers": containers} | (pod or {})
    template = {"metadata": {"annotations": {"simulate.test/seconds": str(seconds)}}, "spec": fields}
    native = {"template": template} | spec
    return {"name": name, "stage": "s", "kind": "K8S/Job", "version": "1.0.0", "params": {"spec": native}}


def submit(kubectl: Kubectl, *jobs: dict[str, Any], name: str = "p") -> None:
    """A Pipeline of one stage."""
    create_all(kubectl, {name: {"stages": ["s"], "jobs": list(jobs)}})


def running_pod(kubectl: Kubectl) -> str:
    """Name of the only pod that runs."""

    def names() -> list[str]:
        return [pod["metadata"]["name"] for pod in pods_of(kubectl) if pod["status"].get("phase") == "Running"]

    wait_for(lambda: len(names()) == 1, "one running pod", 30)
    return names()[0]


def first_attempt(kubectl: Kubectl, job: str = "a", seconds: float = 30) -> dict[str, Any]:
    """The first attempt of a job, once it has ended."""
    wait_for(lambda: job_named(kubectl, job)["status"].get("attempts"), "the end of the first attempt", seconds)
    attempt: dict[str, Any] = job_named(kubectl, job)["status"]["attempts"][0]
    return attempt


def evict(kubectl: Kubectl, pod: str) -> None:
    """Evict a pod through the eviction API."""
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": kubectl.namespace}}
    kubectl.ok("create", "--raw", f"/api/v1/namespaces/{kubectl.namespace}/pods/{pod}/eviction", "-f", "-", stdin=body)


KINDS = {"Shell": shell("a", seconds=600), "K8S/Job": k8s_job("a")}


@pytest.mark.parametrize("kind", KINDS)
def test_b102_an_eviction_through_the_api_is_told_and_given_back(kubectl: Kubectl, kind: str) -> None:
    submit(kubectl, KINDS[kind] | {"retryAttempt": 1, "timeout": 1200})
    evict(kubectl, running_pod(kubectl))
    attempt = first_attempt(kubectl)
    assert (attempt["outcome"], attempt["reason"], attempt["charged"]) == ("Evicted", "Evicted", False)
    assert attempt["message"].startswith("EvictionByEvictionAPI: Eviction API: evicting")
    evict(kubectl, running_pod(kubectl))
    kubectl.ok(*kubectl.merge("tpl/p", {"spec": {"cancel": "Now"}}))
    wait_for_status(kubectl, "tpl/p", state="CANCELLED")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("grace", ["0", "30"])
def test_b101_a_pod_deleted_by_hand_is_replaced_and_not_charged(kubectl: Kubectl, kind: str, grace: str) -> None:
    submit(kubectl, KINDS[kind])
    old = running_pod(kubectl)
    kubectl.ok(
        "delete", "pod", old, f"--grace-period={grace}", "--wait=false", "--force" if grace == "0" else "--now=false"
    )
    attempt = first_attempt(kubectl)
    assert (attempt["outcome"], attempt["charged"]) == ("Lost", False)
    assert "deleted by someone else" in attempt["message"]
    assert running_pod(kubectl) != old


@pytest.mark.parametrize("cascade", ["foreground", "background", "orphan"])
def test_semantics_6_a_kubernetes_job_deleted_by_hand_takes_its_pods_along(kubectl: Kubectl, cascade: str) -> None:
    submit(kubectl, k8s_job("a"))
    old = running_pod(kubectl)
    name = workload_of(kubectl, "a")
    kubectl.ok("delete", "job", name, f"--cascade={cascade}", "--wait=false")
    attempt = first_attempt(kubectl, seconds=60)
    assert (attempt["outcome"], attempt["charged"]) == ("Lost", False)
    assert running_pod(kubectl) != old
    assert old not in [pod["metadata"]["name"] for pod in pods_of(kubectl)]


@pytest.fixture
def small_node(installed: Cluster) -> Iterator[dict[str, str]]:
    """A node of its own with one CPU, as its node selector; gone after the test."""
    name = f"small-{secrets.token_hex(3)}"
    body = node(0, 10, tainted=False)
    body["metadata"] = {"name": name, "labels": {LABEL: "true", "kubernetes.io/hostname": name}}
    body["status"] = {kind: {**room, "cpu": "1"} for kind, room in body["status"].items()}
    installed.client.request("POST", "/api/v1/nodes", body)
    yield {"kubernetes.io/hostname": name}
    Kubectl(installed.paths.kubectl).run("delete", "node", name, "--ignore-not-found")


@pytest.mark.parametrize("kind", KINDS)
def test_b101_the_removal_of_a_node_is_noticed_and_told(
    kubectl: Kubectl, small_node: dict[str, str], kind: str
) -> None:
    job = shell("a", seconds=600) if kind == "Shell" else k8s_job("a", pod={"nodeSelector": small_node})
    if kind == "Shell":
        job["params"]["nodeSelector"] = small_node
    submit(kubectl, job)
    running_pod(kubectl)
    kubectl.ok("delete", "node", small_node["kubernetes.io/hostname"])
    attempt = first_attempt(kubectl, seconds=120)  # the pod collector waits 40 s and looks every 20
    assert (attempt["outcome"], attempt["charged"]) == ("Lost", False)
    assert attempt["message"].startswith("DeletionByPodGC: PodGC: node no longer exists")


@contextmanager
def priority_class(kubectl: Kubectl, value: int) -> Iterator[str]:
    """A PriorityClass of its own."""
    name = f"fates-{secrets.token_hex(3)}"
    kubectl.ok("create", "priorityclass", name, f"--value={value}")
    yield name
    kubectl.ok("delete", "priorityclass", name)


def test_semantics_6_a_preempted_pod_is_told_and_given_back(kubectl: Kubectl, small_node: dict[str, str]) -> None:
    resources = {"requests": {"cpu": "800m"}}
    job = shell("a", seconds=600)
    job["params"] |= {"nodeSelector": small_node, "resources": resources}
    submit(kubectl, job)
    running_pod(kubectl)
    with priority_class(kubectl, 1000) as important:
        containers = [{"name": "c", "image": "busybox:1.36", "resources": resources}]
        spec = {"containers": containers, "nodeSelector": small_node, "priorityClassName": important}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "vip", "annotations": LONG}, "spec": spec}
        kubectl.ok("create", "-f", "-", stdin=body)
        attempt = first_attempt(kubectl)
    assert (attempt["outcome"], attempt["reason"], attempt["charged"]) == ("Evicted", "Evicted", False)
    assert attempt["message"].startswith("PreemptionByScheduler: ")


def test_b104_the_jobs_own_policy_for_disruptions_is_kept(kubectl: Kubectl) -> None:
    rules = [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]
    submit(kubectl, k8s_job("a", seconds=6, backoffLimit=0, podFailurePolicy={"rules": rules}))
    pod = running_pod(kubectl)
    evict(kubectl, pod)
    kubectl.status(f"pod/{pod}", phase="Failed")  # as a kubelet does; with such a policy the Job waits for it
    assert wait_all(kubectl) == {"p": "DONE"}
    status = job_named(kubectl, "a")["status"]
    assert (status["attempt"], status.get("failures", 0), len(status["attempts"])) == (1, 0, 1)


@pytest.mark.parametrize("code", [0, 1])
def test_b068_a_ttl_in_the_spec_is_refused_and_the_result_outlasts_the_operator(
    kubectl: Kubectl, shared_operator: OperatorProcess, code: int
) -> None:
    job = k8s_job("a", seconds=8)
    job["params"]["spec"]["template"]["metadata"]["annotations"]["simulate.test/exit-code"] = str(code)
    refused = k8s_job("b", ttlSecondsAfterFinished=0)
    submit(kubectl, refused, name="refused")
    submit(kubectl, job)
    running_pod(kubectl)
    name = workload_of(kubectl, "a")
    shared_operator.kill()
    kubectl.ok("wait", f"job/{name}", f"--for=condition={'Failed' if code else 'Complete'}", "--timeout=30s")
    shared_operator.start()
    assert wait_all(kubectl) == {"p": "ERROR" if code else "DONE", "refused": "ERROR"}
    assert "ttlSecondsAfterFinished" in kubectl.get("tpl", "refused")["status"]["message"]


def test_semantics_7_a_suspension_keeps_what_was_run_before(kubectl: Kubectl) -> None:
    submit(kubectl, k8s_job("a") | {"timeout": 30})
    running_pod(kubectl)
    name = workload_of(kubectl, "a")
    wait_for_status(kubectl, f"pjob/{pjob(kubectl)}", reason="Running")  # after 5 s
    kubectl.ok(*kubectl.merge(f"job/{name}", {"spec": {"suspend": True}}))
    held = wait_for_status(kubectl, f"pjob/{pjob(kubectl)}", reason="ExternallyQueued")["status"]
    assert (held["state"], held["conditions"][0]["type"]) == ("IN PROGRESS", "Suspended")
    kubectl.run("wait", f"pjob/{pjob(kubectl)}", "--for=condition=Finished", "--timeout=30s")
    assert job_named(kubectl, "a")["status"]["reason"] == "ExternallyQueued"
    kubectl.ok(*kubectl.merge(f"job/{name}", {"spec": {"suspend": False}}))
    wait_for_status(kubectl, "tpl/p", state="ERROR", seconds=27)  # 30 s less those before
    assert job_named(kubectl, "a")["status"]["reason"] == "Timeout"


def pjob(kubectl: Kubectl) -> str:
    """Name of the PipelineJob `a`."""
    name: str = job_named(kubectl, "a")["metadata"]["name"]
    return name


class TestRefusals:
    """Semantics 10: refused for good is ERROR with the server's words, a quota is a wait."""

    @pytest.mark.parametrize("kind", KINDS)
    def test_semantics_10_pod_security(self, kubectl: Kubectl, kind: str) -> None:
        label = "pod-security.kubernetes.io/enforce=restricted"
        kubectl.ok("label", "namespace", kubectl.namespace, label)
        submit(kubectl, KINDS[kind] | {"startTimeout": 15})
        assert wait_all(kubectl) == {"p": "ERROR"}
        status = job_named(kubectl, "a")["status"]
        if kind == "Shell":
            assert status["reason"] == "PodRejected"
            assert 'violates PodSecurity "restricted:latest"' in status["message"]
            assert "runAsNonRoot != true" in status["message"]
        else:  # the Job is accepted, and only its events tell that its pods are not
            assert status["reason"] == "StartTimeout"
            assert "the events of the Job tell" in status["message"]

    def test_semantics_10_an_admission_policy(self, kubectl: Kubectl) -> None:
        with denying(kubectl, "pods", "images come from our registry"):
            submit(kubectl, shell("a", retryAttempt=3))
            assert wait_all(kubectl) == {"p": "ERROR"}
        status = job_named(kubectl, "a")["status"]
        assert (status["reason"], status["attempt"]) == ("PodRejected", 1)
        assert "images come from our registry" in status["message"]
        assert "not retried" in status["message"]

    def test_semantics_10_a_quota_that_wants_limits_is_no_quota_that_is_full(self, kubectl: Kubectl) -> None:
        kubectl.ok("create", "quota", "compute", "--hard=limits.memory=1Gi")
        submit(kubectl, shell("a"))
        assert wait_all(kubectl) == {"p": "ERROR"}
        assert "failed quota: compute: must specify limits.memory" in job_named(kubectl, "a")["status"]["message"]

    def test_semantics_10_two_quotas(self, kubectl: Kubectl) -> None:
        kubectl.ok("create", "quota", "one", "--hard=pods=0")
        kubectl.ok("create", "quota", "two", "--hard=count/pods=0")
        for name in ("one", "two"):
            kubectl.ok("wait", f"quota/{name}", "--for=jsonpath={.status.hard}", "--timeout=30s")
        submit(kubectl, shell("a"))
        wait_for_status(kubectl, f"pjob/{pjob_when_there(kubectl)}", reason="QuotaExceeded")
        status = job_named(kubectl, "a")["status"]
        assert (status["state"], status.get("attempt", 0)) == ("READY", 0)
        assert "exceeded quota: " in status["message"]
        kubectl.ok("delete", "quota", "one", "two")
        assert wait_all(kubectl, seconds=90) == {"p": "DONE"}

    def test_semantics_10_a_service_account_that_does_not_exist(self, kubectl: Kubectl) -> None:
        job = shell("a")
        job["params"]["serviceAccountName"] = "nobody"
        submit(kubectl, job)
        assert wait_all(kubectl) == {"p": "ERROR"}
        assert 'serviceaccount "nobody" not found' in job_named(kubectl, "a")["status"]["message"]

    def test_semantics_10_a_pipeline_as_old_as_its_namespace_finds_its_service_account(self, kubectl: Kubectl) -> None:
        name = f"{kubectl.namespace}-new"
        fields = {"apiVersion": "taskpipeline.dev/v1alpha1", "kind": "Pipeline"}
        pipeline = fields | {
            "metadata": {"name": "p", "namespace": name}, "spec": {"stages": ["s"], "jobs": [shell("a")]},
        }  # fmt: skip
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        kubectl.ok("create", "-f", "-", stdin={"apiVersion": "v1", "kind": "List", "items": [namespace]})
        kubectl.ok("-n", name, "create", "-f", "-", stdin=pipeline)
        kubectl.ok("-n", name, "wait", "tpl/p", "--for=jsonpath={.status.state}=DONE", "--timeout=30s")
        kubectl.ok("delete", "namespace", name, "--wait=false")


def pjob_when_there(kubectl: Kubectl) -> str:
    """Name of the only PipelineJob, once it exists."""
    wait_for(lambda: kubectl.ok("get", "pjob", "-o", "name").split(), "a PipelineJob", 20)
    return pjob(kubectl)


@contextmanager
def denying(kubectl: Kubectl, resource: str, message: str) -> Iterator[None]:
    """An admission policy that refuses every new object of `resource` in the namespace."""
    name, api = f"fates-{secrets.token_hex(3)}", "admissionregistration.k8s.io/v1"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": [resource]}
    policy = {
        "apiVersion": api, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": "false", "message": message}],
        },
    }  # fmt: skip
    selector = {"matchLabels": {"kubernetes.io/metadata.name": kubectl.namespace}}
    binding = {
        "apiVersion": api, "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": name},
        "spec": {
            "policyName": name, "validationActions": ["Deny"], "matchResources": {"namespaceSelector": selector},
        },
    }  # fmt: skip
    kubectl.ok("create", "-f", "-", stdin={"apiVersion": "v1", "kind": "List", "items": [policy, binding]})
    probe = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "probe"},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    wait_for(lambda: message in kubectl.run("create", "--dry-run=server", "-f", "-", stdin=probe).err, "the policy", 30)
    yield
    kubectl.ok("delete", "validatingadmissionpolicybinding", name)
    kubectl.ok("delete", "validatingadmissionpolicy", name)


def test_a_namespace_that_is_being_deleted_ends_what_it_holds(kubectl: Kubectl) -> None:
    """Its Pipelines go with it; a launch into it is refused for good, in the server's words, and holds nothing up."""
    name = f"{kubectl.namespace}-ending"
    kubectl.ok("create", "namespace", name)
    inside = ("-n", name)
    body = {
        "apiVersion": "taskpipeline.dev/v1alpha1", "kind": "Pipeline", "metadata": {"name": "p"},
        "spec": {"stages": ["s", "t"], "jobs": [shell("a", seconds=3), shell("b", "t")]},
    }  # fmt: skip
    kubectl.ok(*inside, "create", "-f", "-", stdin=body)
    kubectl.ok(*inside, "wait", "tpl/p", "--for=jsonpath={.status.state}=IN PROGRESS", "--timeout=60s")
    kubectl.ok("delete", "namespace", name, "--wait=false")
    wait_for(lambda: kubectl.run("get", "namespace", name).code != 0, "the end of the namespace", 60)
    submit(kubectl, shell("a"))
    assert json.loads(kubectl.ok("get", "tpl", "-o", "json"))["items"]
    assert wait_all(kubectl) == {"p": "DONE"}
