"""Slots and order with the whole operator: field cases B013, B017 and B018 in small, and slots of what is deleted."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.cluster import Cluster
from tests.cluster.polling import wait_for
from tests.contract.kubectl import Kubectl
from tests.operators import OperatorProcess
from tests.real.pipelines import GARBAGE_SECONDS, create_all, jobs_of, pods_of, shell, states, wait_all, wait_for_status

pytestmark = pytest.mark.cluster

NOWHERE = {"nodeSelector": {"no": "such-node"}}
SAMPLE_SECONDS = 0.05


class Samples:
    """The most jobs IN PROGRESS, and the most live pods, that were seen in a namespace."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._client = cluster.client
        self._jobs = f"/apis/taskpipeline.dev/v1alpha1/namespaces/{namespace}/pipelinejobs"
        self._pods = f"/api/v1/namespaces/{namespace}/pods"
        self.taken = self.jobs = self.pods = 0

    def take(self) -> None:
        """Look once."""
        jobs = self._client.request("GET", self._jobs)["items"]
        pods = self._client.request("GET", self._pods)["items"]
        self.jobs = max(self.jobs, sum(job["status"]["state"] == "IN PROGRESS" for job in jobs))
        self.pods = max(self.pods, sum(pod["status"]["phase"] in ("Pending", "Running") for pod in pods))
        self.taken += 1


@contextmanager
def sampling(cluster: Cluster, namespace: str) -> Iterator[Samples]:
    """Look again and again while the block runs."""
    samples, over = Samples(cluster, namespace), threading.Event()

    def work() -> None:
        while not over.wait(SAMPLE_SECONDS):
            samples.take()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()


def test_b017_never_more_jobs_nor_pods_than_slots(
    installed: Cluster, kubectl: Kubectl, new_operator: Callable[..., OperatorProcess]
) -> None:
    new_operator(MAX_RUNNING_JOBS="2").start()
    two = {"stages": ["s"], "jobs": [shell("a", seconds=1), shell("b", seconds=1)]}
    with sampling(installed, kubectl.namespace) as samples:
        create_all(kubectl, {f"burst-{number}": two for number in range(4)})
        assert set(wait_all(kubectl).values()) == {"DONE"}
    assert samples.taken > 20
    assert (samples.jobs, samples.pods) == (2, 2)


def test_b017_nor_directly_after_a_restart(
    installed: Cluster, kubectl: Kubectl, new_operator: Callable[..., OperatorProcess]
) -> None:
    operator = new_operator(MAX_RUNNING_JOBS="2")
    operator.start()
    with sampling(installed, kubectl.namespace) as samples:
        create_all(kubectl, {"burst": {"stages": ["s"], "jobs": [shell(f"j{n}", seconds=1) for n in range(6)]}})
        wait_for_status(kubectl, "tpl/burst", state="IN PROGRESS")
        operator.kill()
        operator.start()
        assert wait_all(kubectl) == {"burst": "DONE"}
    assert (samples.jobs, samples.pods) == (2, 2)


def test_b018_a_pod_that_does_not_start_keeps_its_slot(
    installed: Cluster, kubectl: Kubectl, new_operator: Callable[..., OperatorProcess]
) -> None:
    new_operator(MAX_RUNNING_JOBS="2").start()
    jobs = [shell(f"j{n}", startTimeout=2) for n in range(4)]
    for job in jobs:
        job["params"] |= NOWHERE
    with sampling(installed, kubectl.namespace) as samples:
        create_all(kubectl, {"slowpull": {"stages": ["s"], "jobs": jobs}})
        assert wait_all(kubectl) == {"slowpull": "ERROR"}
    assert {job["status"]["reason"] for job in jobs_of(kubectl)} == {"StartTimeout"}
    assert all("no nodes match" in message or "didn't match" in message for message in
               (job["status"]["message"] for job in jobs_of(kubectl))), jobs_of(kubectl)  # fmt: skip
    assert (samples.jobs, samples.pods) == (2, 2)


def test_b013_one_slot_serves_by_priority_and_then_by_place_in_the_list(
    kubectl: Kubectl, new_operator: Callable[..., OperatorProcess]
) -> None:
    new_operator(MAX_RUNNING_JOBS="1").start()
    priorities = [10, 10, 5, 20, 10, -1, 5, 20, 10, 10, -1, 5]
    jobs = [shell(f"j-{n:02}", priority=priority) for n, priority in enumerate(priorities)]
    create_all(kubectl, {"fifo": {"stages": ["s"], "jobs": jobs}})
    assert wait_all(kubectl) == {"fifo": "DONE"}
    started = sorted(jobs_of(kubectl), key=lambda job: job["status"]["startTime"])
    wanted = sorted(jobs, key=lambda job: (job["priority"], job["name"]))
    assert [job["spec"]["name"] for job in started] == [job["name"] for job in wanted]
    ends = [job["status"]["completionTime"] for job in started]
    begins = [job["status"]["startTime"] for job in started]
    assert all(end <= begin for end, begin in zip(ends, begins[1:], strict=False)), "two ran at once"


def test_b013_the_order_is_the_same_after_a_restart(
    kubectl: Kubectl, new_operator: Callable[..., OperatorProcess]
) -> None:
    closed = new_operator(MAX_RUNNING_JOBS="0")
    closed.start()
    jobs = [shell(f"j-{number:02}", priority=100 - number) for number in range(40)]  # more than are looked at at once
    create_all(kubectl, {"fifo": {"stages": ["s"], "jobs": jobs}})
    wait_for(lambda: len(jobs_of(kubectl)) == len(jobs), "the division")
    wait_for_status(kubectl, "tpl/fifo", divided="0")
    closed.stop()
    new_operator(MAX_RUNNING_JOBS="1").start()
    assert wait_all(kubectl) == {"fifo": "DONE"}
    started = sorted(jobs_of(kubectl), key=lambda job: job["status"]["startTime"])
    assert [job["spec"]["name"] for job in started] == [job["name"] for job in reversed(jobs)]


def test_b013_equal_pipelines_run_in_the_order_of_their_arrival(
    kubectl: Kubectl, new_operator: Callable[..., OperatorProcess]
) -> None:
    new_operator(MAX_RUNNING_JOBS="1").start()
    names = [f"p-{number:02}" for number in range(12)]
    create_all(kubectl, {name: {"stages": ["s"], "jobs": [shell("a")]} for name in names})
    assert set(wait_all(kubectl).values()) == {"DONE"}
    started = sorted(jobs_of(kubectl), key=lambda job: job["status"]["startTime"])
    assert [job["spec"]["pipeline"] for job in started] == names


def test_deleting_a_pipeline_that_runs_removes_its_work_and_frees_its_slot(
    kubectl: Kubectl, new_operator: Callable[..., OperatorProcess]
) -> None:
    new_operator(MAX_RUNNING_JOBS="1").start()
    create_all(kubectl, {"first": {"stages": ["s"], "jobs": [shell("a", seconds=100), shell("b"), shell("c")]}})
    wait_for_status(kubectl, "tpl/first", state="IN PROGRESS")
    create_all(kubectl, {"second": {"stages": ["s"], "jobs": [shell("a")]}})
    wait_for(lambda: len(jobs_of(kubectl)) == 4, "the division of both")
    assert sorted(states(kubectl, "pjob").values()) == ["IN PROGRESS", "READY", "READY", "READY"]
    kubectl.ok("delete", "tpl", "first")
    assert wait_all(kubectl) == {"second": "DONE"}
    wait_for(
        lambda: len(jobs_of(kubectl)) == len(pods_of(kubectl)) == 1, "the end of the first one's work", GARBAGE_SECONDS
    )
    assert list(states(kubectl, "pjob").values()) == ["DONE"]
