"""Two replicas on a real API server: who leads, how long a handover takes, and what it may not do.

Times are bounded generously, because other work may share the machine; what was measured is printed.
"""

import http.client
import os
import secrets
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import Cluster
from tests.cluster.polling import wait_for
from tests.cluster.ports import free
from tests.contract.kubectl import Kubectl, manifest
from tests.faults.proxy import FaultProxy
from tests.onlooker import Onlooker, peak
from tests.operators import Replica, Replicas
from tests.real import audit
from tests.real.pipelines import create_all, grid, jobs_of, pods_of, shell
from tests.real.users import OPERATOR_RULES, grant, kubeconfig_of, service_account

pytestmark = pytest.mark.cluster

LEASE = "/apis/coordination.k8s.io/v1/namespaces/task-pipeline/leases/task-pipeline-operator"
USUAL_LEASE = {  # as it is set up by default
    "TASK_PIPELINE_LEADER_LEASE_DURATION": "15",
    "TASK_PIPELINE_LEADER_RENEW_DEADLINE": "10",
    "TASK_PIPELINE_LEADER_RETRY_PERIOD": "2",
}
LIMIT = 6
MANY = {"stages": ["s"], "jobs": [shell(f"j{number:03}", seconds=1) for number in range(200)]}


@pytest.fixture
def pair(new_replicas: Callable[..., Replicas]) -> Replicas:
    """Two replicas with the usual times, at work."""
    made = new_replicas(MAX_RUNNING_JOBS=str(LIMIT), **USUAL_LEASE)
    made.start()
    return made


@pytest.fixture
def port() -> int:
    """A free port, for probes."""
    return free(1, secrets.randbelow(10_000))[0]


@pytest.fixture
def unprivileged(installed: Cluster, kubectl: Kubectl, tmp_path: Path, port: int) -> Iterator[Replica]:
    """A replica that has all rights in its namespaces but those to the Lease, not started yet."""
    account = service_account(kubectl, "operator")
    grant(kubectl, account, *(one for one in OPERATOR_RULES if "leases" not in one["resources"]))
    file = kubeconfig_of(kubectl, "operator", installed.kubeconfig, tmp_path / "operator.kubeconfig")
    kubectl.ok("create", "-f", "-", stdin=manifest("PipelineClient", "default", {"namespaces": ["*"]}))
    place = kubectl.namespace
    settings = {
        "TASK_PIPELINE_NAMESPACES": place,
        "TASK_PIPELINE_OPERATOR_NAMESPACE": place,
        "TASK_PIPELINE_HEALTH_PORT": str(port),
    }
    log = tmp_path / "unprivileged.log"
    log.touch()
    made = Replica(file, log, "unprivileged", settings)
    yield made
    made.kill()


def lease(cluster: Cluster) -> dict[str, Any]:
    """The spec of the Lease."""
    found: dict[str, Any] = cluster.client.request("GET", LEASE)["spec"]
    return found


def probe(port: int, path: str) -> tuple[int, str]:
    """What the replica without rights answers to a probe."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    found = answer.status, answer.read().decode()
    connection.close()
    return found


def leader_of(cluster: Cluster) -> str:
    """The name of the replica that the Lease names."""
    return str(lease(cluster)["holderIdentity"]).rpartition("_")[0]


def after_handover(seen: Onlooker, launched: int, began: float, bound: float) -> float:
    """Seconds until the first launch after `launched` of them; at most `bound`."""
    seen.wait("a launch by the new leader", lambda one: one.launched > launched)
    took = time.monotonic() - began
    print(f"first launch {took:.2f} s after the handover began")
    assert took <= bound
    return took


def assert_one_pod_for_each_attempt(kubectl: Kubectl) -> None:
    """No attempt was launched twice, and none is without its pod."""
    wanted = Counter({job["metadata"]["name"]: job["status"].get("attempt", 0) for job in jobs_of(kubectl)})
    owners = Counter(pod["metadata"]["ownerReferences"][0]["name"] for pod in pods_of(kubectl))
    assert owners == +wanted


@pytest.fixture
def watched(installed: Cluster, kubectl: Kubectl, pair: Replicas) -> Iterator[Onlooker]:
    """An onlooker of a run of 200 jobs, a few of which have been launched."""
    with Onlooker(installed.kubeconfig, kubectl.namespace) as seen:
        create_all(kubectl, {"many": MANY})
        seen.wait("the first launches", lambda one: one.launched > 10)
        yield seen


def the_rest(seen: Onlooker, kubectl: Kubectl) -> int:
    """Wait for the end of the run and check it; returns by how much the limit was exceeded at most."""
    seen.wait_until_final(200)
    assert_one_pod_for_each_attempt(kubectl)
    assert set(Counter(launch.job for launch in seen.launches).values()) == {1}
    overshoot = peak(seen.changes, lambda job: job in seen.jobs) - LIMIT
    print(f"overshoot {overshoot}")
    return overshoot


def test_of_two_that_start_at_the_same_moment_one_leads(installed: Cluster, alone: None, pair: Replicas) -> None:
    leader = pair.leader
    assert leader is not None
    assert leader_of(installed) == leader.name
    assert pair.log.read_text().count('"working: ') == 1
    audit.until_at_rest(installed.audit_log)
    since = audit.mark(installed.audit_log)
    time.sleep(10)
    writes = {
        key: number for key, number in audit.counted(installed.audit_log, since).items() if key[0] in audit.MUTATING
    }
    print(f"writes in 10 s at rest: {writes}")
    assert set(writes) <= {("update", "leases"), ("patch", "pipelineclients/status")}
    assert writes[("update", "leases")] <= 7


def test_after_a_kill_the_standby_goes_on(kubectl: Kubectl, pair: Replicas, watched: Onlooker) -> None:
    launched, began = watched.launched, time.monotonic()
    pair.kill()
    after_handover(watched, max(launched, watched.launched), began, 40)
    assert the_rest(watched, kubectl) <= 0


def test_after_sigterm_the_standby_goes_on_at_once(
    installed: Cluster, kubectl: Kubectl, pair: Replicas, watched: Onlooker
) -> None:
    leader, standby = pair.leader, pair.standby
    assert leader is not None
    before, began = lease(installed)["leaseTransitions"], time.monotonic()
    leader.stop()
    launched = watched.launched
    after_handover(watched, launched, began, 15)
    assert "gave the Lease back" in pair.log.read_text()
    assert leader_of(installed) == standby.name
    assert lease(installed)["leaseTransitions"] == before + 1
    assert the_rest(watched, kubectl) <= 0


def test_one_that_was_stopped_past_its_lease_leaves_when_it_wakes(
    kubectl: Kubectl, pair: Replicas, watched: Onlooker
) -> None:
    leader, standby = pair.leader, pair.standby
    assert leader is not None
    os.kill(leader.pid, signal.SIGSTOP)
    try:
        wait_for(lambda: pair.log.read_bytes().count(b'"working: ') == 2, "the standby to work", 60)
        launched = watched.launched
        watched.wait("launches by the new leader", lambda one: one.launched > launched + 10)
    finally:
        os.kill(leader.pid, signal.SIGCONT)
    wait_for(lambda: not leader.running, "the old leader to leave", 30)
    assert "lost the Lease, and leave" in pair.log.read_text()
    assert standby.running
    assert the_rest(watched, kubectl) <= 32  # as many as it may have had in flight


def test_the_api_server_away_for_half_a_minute(
    kubectl: Kubectl, proxy: tuple[FaultProxy, Path], new_replicas: Callable[..., Replicas], installed: Cluster
) -> None:
    switch, kubeconfig = proxy
    pair = new_replicas(kubeconfig=kubeconfig, MAX_RUNNING_JOBS=str(LIMIT), **USUAL_LEASE)
    pair.start()
    leader, standby = pair.leader, pair.standby
    assert leader is not None
    with Onlooker(installed.kubeconfig, kubectl.namespace) as seen:
        create_all(kubectl, {"many": MANY})
        seen.wait("the first launches", lambda one: one.launched > 10)
        switch.close()
        wait_for(lambda: not leader.running, "the leader to leave", 30)
        time.sleep(15)
        assert standby.running
        launched = seen.launched
        switch.open()
        after_handover(seen, launched, time.monotonic(), 40)
        assert the_rest(seen, kubectl) <= 0


def test_without_the_right_to_the_lease_it_waits_and_says_so(
    unprivileged: Replica, kubectl: Kubectl, port: int
) -> None:
    unprivileged.start()
    wait_for(lambda: "the operator needs create on leases" in unprivileged.log.read_text(), "what is missing", 30)
    assert probe(port, "/healthz") == (200, "ok\n")
    assert probe(port, "/readyz") == (503, "the Lease cannot be read: it is not known who leads\n")
    create_all(kubectl, {"p": grid(1, 1)})
    time.sleep(2)
    assert jobs_of(kubectl) == []
    assert '"working: ' not in unprivileged.log.read_text()
    assert unprivileged.stop() < 5
