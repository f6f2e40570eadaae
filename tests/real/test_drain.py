"""Nodes are drained in mid-run, as at every upgrade of a cluster: nothing is charged, and the Pipeline ends DONE.

Rows 6 and 13 of the semantics: the jobs have no attempt to lose.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster import Cluster
from tests.cluster.polling import wait_for
from tests.contract.kubectl import Kubectl
from tests.operators import OperatorProcess
from tests.real.pipelines import create_all, jobs_of, pods_of, shell, wait_all
from tests.real.test_fates import k8s_job

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("shared_operator")]

SECONDS = 25  # long enough for a drain of some nodes on a busy machine
DRAINED = 3


@pytest.fixture
def drain(installed: Cluster, kubectl: Kubectl) -> Iterator[Any]:
    """Drains nodes as an administrator does, by the eviction API; they take pods again after the test."""
    drained: list[str] = []

    def together(*chosen: str) -> None:  # no new pods on any of them, then one after the other
        drained.extend(chosen)
        kubectl.ok("drain", *chosen, "--force", "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=50s")

    yield together
    if drained:
        kubectl.ok("uncordon", *drained)


def nodes(kubectl: Kubectl) -> Counter[str]:
    """On which nodes pods run, and how many."""
    return Counter(pod["spec"]["nodeName"] for pod in pods_of(kubectl) if pod["status"].get("phase") == "Running")


@pytest.mark.parametrize("crash", [False, True], ids=["", "and-the-operator-crashes"])
def test_a_drain_of_nodes_charges_nothing_and_the_pipeline_ends_done(
    kubectl: Kubectl, drain: Any, shared_operator: OperatorProcess, crash: bool
) -> None:
    jobs = [shell(f"shell-{number}", seconds=SECONDS) for number in range(12)]
    if not crash:  # of the pod of a Job nobody but the operator would remember why it went
        jobs += [k8s_job(f"job-{number}", seconds=SECONDS) for number in range(6)]
    create_all(kubectl, {"p": {"stages": ["s", "t"], "jobs": [*jobs, shell("last", "t")]}})
    wait_for(lambda: nodes(kubectl).total() == len(jobs), "all to run", 30)
    wait_for(lambda: all("workload" in job["status"] for job in jobs_of(kubectl)), "that to be told", 10)
    chosen = [node for node, _ in nodes(kubectl).most_common(DRAINED)]
    before = {job["metadata"]["name"]: job["status"]["workload"]["name"] for job in jobs_of(kubectl)}
    hit = {pod["metadata"]["name"] for pod in pods_of(kubectl) if pod["spec"]["nodeName"] in chosen}
    owners = {pod["metadata"]["name"]: pod["metadata"]["ownerReferences"][0]["name"] for pod in pods_of(kubectl)}
    evicted = {pod for pod in hit if owners[pod] in before} | {owners[pod] for pod in hit if owners[pod] not in before}
    if crash:
        shared_operator.kill()
    drain(*chosen)
    if crash:
        shared_operator.start()
    assert not set(nodes(kubectl)) & set(chosen)
    assert wait_all(kubectl, seconds=110) == {"p": "DONE"}
    again = 0
    for job in jobs_of(kubectl):
        status, name = job["status"], job["metadata"]["name"]
        assert (status["state"], status.get("failures", 0)) == ("DONE", 0), status
        if before.get(name) not in evicted:
            assert len(status["attempts"]) == 1, status
            continue
        taken = status["attempts"][:-1]
        again += bool(taken)  # none: it was over before its node's turn came
        assert [one["charged"] for one in taken] in ([], [False]), status
        if not crash:  # a pod that vanishes unseen leaves no trace of why
            assert all(one["outcome"] == "Evicted" for one in taken), status
    assert again >= DRAINED
