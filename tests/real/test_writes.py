"""What a run costs the API server, counted from its own audit log."""

import time

import pytest

from tests.cluster import Cluster
from tests.contract.kubectl import Kubectl
from tests.operators import OperatorProcess
from tests.real import audit
from tests.real.pipelines import create_all, grid, wait_all

pytestmark = pytest.mark.cluster


def until_listed(installed: Cluster) -> None:
    """Wait until the operator has made the lists that belong to its start: it has made none for two seconds."""
    since, quiet_from = audit.mark(installed.audit_log), time.monotonic()
    while time.monotonic() - quiet_from < 2:
        time.sleep(0.1)
        if any(verb == "list" for verb, _ in audit.counted(installed.audit_log, since)):
            since, quiet_from = audit.mark(installed.audit_log), time.monotonic()


def test_a_job_costs_at_most_4_3_writes_and_no_reads(
    installed: Cluster, kubectl: Kubectl, operator: OperatorProcess
) -> None:
    pipelines, stages, jobs = 10, 4, 5
    create_all(kubectl, {"warm-up": grid(1, 1)})  # kopf has listed what it watches when this is over
    wait_all(kubectl)
    until_listed(installed)
    since = audit.mark(installed.audit_log)
    create_all(kubectl, {f"p{number}": grid(stages, jobs) for number in range(pipelines)})
    assert set(wait_all(kubectl).values()) == {"DONE"}
    counts = audit.counted(installed.audit_log, since)
    writes = sum(number for (verb, _), number in counts.items() if verb in audit.MUTATING)
    per_job = writes / (pipelines * stages * jobs)
    print(f"writes per job: {per_job:.2f}; {dict(counts)}")
    assert per_job <= 4.3, counts
    assert not [key for key in counts if key[0] in ("get", "list")], counts


def test_a_restart_with_nothing_changed_writes_nothing(
    installed: Cluster, kubectl: Kubectl, operator: OperatorProcess
) -> None:
    create_all(kubectl, {"done": grid(2, 2), "failed": grid(1, 1, exit_code=1), "wrong": {"stages": ["s"], "jobs": [
        {"name": "a", "stage": "s", "kind": "Nope", "version": "1.0.0"}]}})  # fmt: skip
    wait_all(kubectl)
    operator.stop()
    since = audit.mark(installed.audit_log)
    operator.start()
    kubectl.ok("create", "-f", "-", stdin={"apiVersion": "taskpipeline.dev/v1alpha1", "kind": "Pipeline",
               "metadata": {"name": "marker"}, "spec": grid(1, 1)})  # fmt: skip
    wait_all(kubectl)
    named = {event["objectRef"].get("name", "") for event in audit.requests(installed.audit_log, since)
             if event["verb"] in audit.MUTATING}  # fmt: skip
    counts = {"default"}  # the client, whose counts follow the marker
    assert {name for name in named - counts if not name.startswith("marker")} <= {""}, named
