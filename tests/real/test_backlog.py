"""Much that waits and much that is over: what the operator does for it, counted from the API server's audit log."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest
import uvloop

from task_pipeline.kube.client import HttpCluster
from task_pipeline.kube.config import connect
from tests import history
from tests.cluster import Cluster
from tests.contract.kubectl import Kubectl, manifest
from tests.onlooker import Onlooker
from tests.operators import OperatorProcess
from tests.real import audit
from tests.real.pipelines import create_all, grid, shell, wait_all, wait_for_status
from tests.real.submissions import accepted

pytestmark = pytest.mark.cluster

WAITING, CLIENTS, WINDOW = 500, 20, 100
BUDGET = 20  # writes of reasons a second, and as many in advance
OLD, JOBS = 120, 5  # finished Pipelines: more PipelineJobs than one page of a list holds
SOON = 60.0


def submit(cluster: Cluster, namespace: str, specs: dict[str, Any]) -> None:
    """Create Pipelines, some at a time."""
    path = f"/apis/taskpipeline.dev/v1alpha1/namespaces/{namespace}/pipelines"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: cluster.client.request("POST", path, manifest("Pipeline", *one)), specs.items()))


def seconds_of(events: Sequence[dict[str, Any]]) -> Counter[int]:
    """How many there were in each second."""
    return Counter(int(datetime.fromisoformat(event["requestReceivedTimestamp"]).timestamp()) for event in events)


def test_waiting_costs_few_writes_and_an_urgent_pipeline_takes_the_next_slot(
    installed: Cluster, alone: None, kubectl: Kubectl, clients: Callable[..., None],
    new_operator: Callable[..., OperatorProcess],
) -> None:  # fmt: skip
    clients(**{f"many-{number:02}": {"priority": number} for number in range(CLIENTS)})
    new_operator(MAX_RUNNING_JOBS="2", QUEUE_SIZE=str(WINDOW)).start()
    create_all(kubectl, {f"filler-{n}": {"stages": ["s"], "jobs": [shell("a", seconds=600)]} for n in "ab"})
    for name in "ab":
        wait_for_status(kubectl, f"tpl/filler-{name}", state="IN PROGRESS")
    one = {"stages": ["s"], "jobs": [shell("a", seconds=600)]}
    specs = {
        f"w-{n:03}": one | {"clientId": f"many-{n * 7 % CLIENTS:02}", "priority": n * 11 % 50} for n in range(WAITING)
    }
    with Onlooker(installed.kubeconfig, kubectl.namespace) as seen:
        submitting = audit.mark(installed.audit_log)
        submit(installed, kubectl.namespace, specs)
        accepted(kubectl, specs)
        waiting = audit.mark(installed.audit_log)
        rested = audit.until_at_rest(installed.audit_log)
        taken, told = audit.writes(installed.audit_log, submitting), audit.writes(installed.audit_log, waiting)
        by_second = seconds_of(told)
        by_second.pop(min(by_second, default=0), None)  # the last submissions still cause writes in that one
        print(f"{WAITING} waiting: {dict(Counter(audit.resource(event) for event in taken))}")
        print(f"after their acceptance {len(told)} writes, in a second at most {max(by_second.values(), default=0)}")
        assert max(by_second.values(), default=0) <= 2 * BUDGET + 2
        assert audit.writes(installed.audit_log, rested) == []
        submit(installed, kubectl.namespace, {"urgent": one | {"clientId": "many-00", "priority": -1}})
        accepted(kubectl, ["urgent"])
        assert seen.launches == []
        kubectl.ok(*kubectl.merge("tpl/filler-a", {"spec": {"cancel": "Now"}}))
        seen.wait("a launch", lambda onlooker: onlooker.launched > 0)
        assert [seen.jobs[launch.job]["pipeline"] for launch in seen.launches] == ["urgent"]


def test_b072_finished_pipelines_cost_a_restart_nothing_but_reading(
    installed: Cluster, kubectl: Kubectl, new_operator: Callable[..., OperatorProcess]
) -> None:
    operator = new_operator()
    operator.start()
    create_all(kubectl, {"model": grid(1, JOBS)})
    assert wait_all(kubectl) == {"model": "DONE"}
    operator.stop()
    names = [f"old-{number:05}" for number in range(OLD)]
    uvloop.run(write_history(installed, kubectl.namespace, names))
    since, began = audit.mark(installed.audit_log), time.monotonic()
    operator.start()
    ready = time.monotonic() - began
    create_all(kubectl, {"new": grid(1, 1)})
    wait_for_status(kubectl, "tpl/new", state="DONE", seconds=int(SOON))
    done = time.monotonic() - began
    audit.until_at_rest(installed.audit_log)
    events = list(audit.requests(installed.audit_log, since))
    lists = [event["requestURI"] for event in events if event["verb"] == "list"]
    print(f"{OLD} finished Pipelines of {JOBS} jobs: ready after {ready:.1f} s, the new one done after {done:.1f} s")
    written = [event["objectRef"].get("name", "") for event in events if event["verb"] in audit.MUTATING]
    assert [name for name in written if name.startswith(("old-", "model"))] == []
    jobs = [uri for uri in lists if "/pipelinejobs?" in uri and "limit=500" in uri]
    assert any("continue=" in uri for uri in jobs), lists


async def write_history(cluster: Cluster, namespace: str, names: list[str]) -> None:
    """Finished Pipelines like the one called `model`."""
    async with HttpCluster(await connect(cluster.kubeconfig)) as connection:
        await history.write(connection, await history.model(connection, namespace, "model"), names)
