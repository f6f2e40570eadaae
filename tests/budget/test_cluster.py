"""What a job costs a real API server: counted from its audit log, and from what it tells of the bodies it was sent."""

import re
import time
from collections import Counter
from typing import Any

import msgspec
import pytest

from tests.budget.limits import BYTES_PER_JOB_ON_A_CLUSTER, STATUS_BYTES, STATUS_GROWTH, WRITES_PER_JOB
from tests.cluster import Cluster
from tests.contract.kubectl import Kubectl
from tests.operators import OperatorProcess
from tests.real import audit
from tests.real.pipelines import create_all, grid, job_named, shell, wait_all, wait_for_status

pytestmark = pytest.mark.cluster

PIPELINES, STAGES, JOBS = 5, 4, 5
TOTAL = PIPELINES * STAGES * JOBS
QUIET_SECONDS = 2.0
COUNTS_SECONDS = 11.0  # a client's counts are told every ten seconds
_RECEIVED = re.compile(r"^apiserver_request_body_size_bytes_sum\{([^}]*)\} (\S+)", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


def received(cluster: Cluster) -> Counter[str]:
    """Bytes of the bodies that the API server has been sent until now, by verb and resource; from whom, it forgets."""
    found: Counter[str] = Counter()
    for labels, size in _RECEIVED.findall(cluster.client.request("GET", "/metrics")):
        told = dict(_LABEL.findall(labels))
        found[f"{told['verb']} {told['resource']}"] += int(float(size))
    return found


def requests(cluster: Cluster, namespace: str, since: int) -> list[dict[str, Any]]:
    """The operator's requests after a position of the audit log, for the namespace or for the whole cluster.

    Its Lease is left out, and what it does in namespaces of earlier tests, whose deletion goes on beside this one.
    """
    found = audit.requests(cluster.audit_log, since)
    ours = [event for event in found if event.get("objectRef", {}).get("namespace") in (None, namespace)]
    return [event for event in ours if audit.resource(event) != "leases"]


def asked(cluster: Cluster, namespace: str, since: int) -> Counter[tuple[str, str]]:
    """How often the operator asked for what after a position of the audit log."""
    return Counter((event["verb"], audit.resource(event)) for event in requests(cluster, namespace, since))


def until_at_rest(cluster: Cluster, namespace: str, seconds: float = QUIET_SECONDS) -> None:
    """Wait until the operator has asked for nothing for some seconds."""
    audit.until_at_rest(cluster.audit_log, seconds, lambda since: requests(cluster, namespace, since))


def writes(cluster: Cluster, namespace: str, since: int) -> list[str]:
    """What the operator has written after a position of the audit log."""
    found = [event for event in requests(cluster, namespace, since) if event["verb"] in audit.MUTATING]
    return [f"{event['verb']} {audit.resource(event)} {event['objectRef'].get('name', '')}" for event in found]


def test_a_job_keeps_to_its_writes_and_bytes_and_nothing_is_read(
    installed: Cluster, alone: None, kubectl: Kubectl, operator: OperatorProcess
) -> None:
    create_all(kubectl, {"warm-up": grid(1, 1)})  # kopf has listed what it watches when this is over
    wait_all(kubectl)
    until_at_rest(installed, kubectl.namespace)
    since, before = audit.mark(installed.audit_log), received(installed)
    create_all(kubectl, {f"p{number}": grid(STAGES, JOBS) for number in range(PIPELINES)})
    assert set(wait_all(kubectl).values()) == {"DONE"}
    until_at_rest(installed, kubectl.namespace)
    counts = asked(installed, kubectl.namespace, since)
    written = sum(number for (verb, _), number in counts.items() if verb in audit.MUTATING)
    print(f"writes per job: {written / TOTAL:.2f}; {dict(counts)}")
    assert written / TOTAL <= WRITES_PER_JOB, counts
    assert not [key for key in counts if key[0] in ("get", "list")], counts
    sizes = received(installed) - before
    ours = ("create pipelinejobs", "patch pipelinejobs", "patch pipelines", "create pods")
    sent = {sort: sizes[sort] / TOTAL for sort in ours}
    print(f"bytes per job: {sum(sent.values()):.0f}; {sent}")
    assert all(sent.values()), sizes
    assert sum(sent.values()) <= BYTES_PER_JOB_ON_A_CLUSTER, sent


def test_a_pipeline_is_stored_in_one_size_however_many_jobs_it_has(
    installed: Cluster, kubectl: Kubectl, operator: OperatorProcess
) -> None:
    create_all(kubectl, {f"jobs-{jobs}": grid(1, jobs) for jobs in (10, 100)})
    assert set(wait_all(kubectl).values()) == {"DONE"}
    path = f"/apis/taskpipeline.dev/v1alpha1/namespaces/{kubectl.namespace}/pipelines"  # kubectl hides managedFields
    few, many = (installed.client.request("GET", f"{path}/jobs-{jobs}") for jobs in (10, 100))
    statuses = [len(msgspec.json.encode(one["status"])) for one in (few, many)]
    managed = [len(msgspec.json.encode(of_operator(one))) for one in (few, many)]
    print(f"bytes of the status: {statuses}; of what managedFields say of it: {managed}")
    assert max(statuses) <= STATUS_BYTES[1]
    assert statuses[1] - statuses[0] <= STATUS_GROWTH
    assert managed[1] == managed[0] > len("[]")


def of_operator(pipeline: dict[str, Any]) -> list[Any]:
    """What managedFields say of the status."""
    return [one["fieldsV1"] for one in pipeline["metadata"].get("managedFields", ()) if one.get("subresource")]


def test_a_restart_with_nothing_changed_writes_nothing(
    installed: Cluster, kubectl: Kubectl, operator: OperatorProcess
) -> None:
    """What is over, what runs and what waits, after SIGTERM and after SIGKILL."""
    wrong = {"stages": ["s"], "jobs": [{"name": "a", "stage": "s", "kind": "Nope", "version": "1.0.0"}]}
    create_all(kubectl, {"done": grid(2, 2), "failed": grid(1, 1, exit_code=1), "wrong": wrong})
    wait_all(kubectl)
    lasting = {"stages": ["s", "t"], "jobs": [shell("a", seconds=600), shell("b"), shell("c", "t")]}
    create_all(kubectl, {"runs": lasting, "waits": grid(1, 2) | {"suspend": True}})
    wait_for_status(kubectl, "tpl/runs", progress="1/3")
    wait_for_status(kubectl, "tpl/waits", reason="Suspended")
    wait_for_status(kubectl, f"pjob/{job_named(kubectl, 'a')['metadata']['name']}", reason="Running")
    until_at_rest(installed, kubectl.namespace, COUNTS_SECONDS)
    for end in (operator.stop, operator.kill):
        end()
        since = audit.mark(installed.audit_log)
        operator.start()
        until_at_rest(installed, kubectl.namespace)
        assert not writes(installed, kubectl.namespace, since), writes(installed, kubectl.namespace, since)
    create_all(kubectl, {"marker": grid(1, 1)})
    wait_for_status(kubectl, "tpl/marker", state="DONE")  # and it works again


def test_at_rest_nothing_is_asked_for(installed: Cluster, kubectl: Kubectl, operator: OperatorProcess) -> None:
    create_all(kubectl, {f"done-{number}": grid(1, 1) for number in range(10)})
    wait_all(kubectl)
    until_at_rest(installed, kubectl.namespace)
    time.sleep(1)
    since = audit.mark(installed.audit_log)
    time.sleep(5)
    assert not asked(installed, kubectl.namespace, since)
