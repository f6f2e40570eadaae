"""A control plane with simulated nodes: how pods end there, and what the tests may rely on."""

from typing import Any

import pytest

from tests.cluster import Cluster
from tests.cluster.polling import wait_for

pytestmark = pytest.mark.cluster
PODS = "/api/v1/namespaces/default/pods"


def pod(name: str, **annotations: str) -> dict[str, Any]:
    container = {"name": "main", "image": "busybox:1.36", "command": ["true"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "annotations": {f"simulate.test/{k}": v for k, v in annotations.items()}},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }


def ended(cluster: Cluster, name: str) -> Any:
    status = cluster.client.request("GET", f"{PODS}/{name}")["status"]
    return status if status["phase"] in ("Succeeded", "Failed") else None


@pytest.mark.parametrize(("code", "phase", "reason"), [(0, "Succeeded", "Completed"), (3, "Failed", "Error")])
def test_a_bare_pod_ends_as_its_annotation_says(simulated_cluster: Cluster, code: int, phase: str, reason: str) -> None:
    name = f"ends-{code}"
    simulated_cluster.client.request("POST", PODS, pod(name, **({"exit-code": str(code)} if code else {})))
    status = wait_for(lambda: ended(simulated_cluster, name), f"the end of {name}")
    final = status["containerStatuses"][0]["state"]["terminated"]
    assert (status["phase"], final["exitCode"], final["reason"]) == (phase, code, reason)
    assert final["startedAt"] <= final["finishedAt"]


def test_a_pod_with_a_duration_is_seen_running_first(simulated_cluster: Cluster) -> None:
    simulated_cluster.client.request("POST", PODS, pod("lasts", seconds="5", **{"exit-code": "7"}))

    def running() -> bool:
        status = simulated_cluster.client.request("GET", f"{PODS}/lasts")["status"]
        assert status["phase"] in ("Pending", "Running")
        return bool(status["phase"] == "Running" and "running" in status["containerStatuses"][0]["state"])

    wait_for(running, "the pod running")
    status = wait_for(lambda: ended(simulated_cluster, "lasts"), "its end")
    assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 7


def test_a_running_pod_is_gone_at_once_when_deleted(simulated_cluster: Cluster) -> None:
    simulated_cluster.client.request("POST", PODS, pod("deleted", seconds="600"))
    phase = f"{PODS}/deleted"
    wait_for(lambda: simulated_cluster.client.request("GET", phase)["status"]["phase"] == "Running")
    simulated_cluster.client.request("DELETE", phase)
    names = "?fieldSelector=metadata.name=deleted"
    wait_for(lambda: not simulated_cluster.client.request("GET", PODS + names)["items"], "the pod's end", 5)


def test_a_job_completes_and_a_deployment_stays(simulated_cluster: Cluster) -> None:
    simulated_cluster.kubectl("create", "job", "once", "--image=busybox:1.36")
    simulated_cluster.kubectl("create", "deployment", "stays", "--image=busybox:1.36")
    simulated_cluster.kubectl("wait", "job/once", "--for=condition=Complete", "--timeout=20s")
    simulated_cluster.kubectl("wait", "deployment/stays", "--for=condition=Available", "--timeout=20s")


def test_the_server_has_the_stamped_version_and_writes_down_who_calls(simulated_cluster: Cluster) -> None:
    before = simulated_cluster.audit_log.stat().st_size
    assert "Server Version: v1.37.2" in simulated_cluster.kubectl("version")

    def calls() -> list[str]:
        events = simulated_cluster.audit_events(before)
        return [event["requestURI"] for event in events if event["userAgent"].startswith("kubectl")]

    wait_for(lambda: any(uri.startswith("/version") for uri in calls()), "kubectl in the audit log")
