"""Cancels on the real API server, seen by an onlooker's own watches (semantics row 20).

1,000 jobs wait and 10 run: what waits is CANCELLED within seconds and nothing of it is launched any more; a slot goes
to the next Pipeline only after its pod has ended. The time is printed; the bound of the test is generous, because
other work may share the machine.
"""

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.cluster import Cluster
from tests.contract.kubectl import Kubectl
from tests.onlooker import Change, Onlooker, peak
from tests.operators import OperatorProcess
from tests.real.pipelines import create_all, shell, wait_for_status

pytestmark = pytest.mark.cluster

RUNNING, WAITING = 10, 1000
GOAL, BOUND = 5.0, 60.0  # seconds from the edit to the last of the waiting


def spec(running: int, waiting: int, **fields: Any) -> dict[str, Any]:
    """One stage in which the first jobs run and the others wait."""
    jobs = [shell(f"r{number:02}", seconds=600) for number in range(running)]
    return {"stages": ["s"], "jobs": jobs + [shell(f"w{number:04}") for number in range(waiting)]} | fields


def count(seen: Onlooker, state: str) -> int:
    """How many PipelineJobs are in that state now."""
    return list(seen.states.values()).count(state)


def last_of(changes: list[Change], state: str, jobs: set[str]) -> Change:
    """The change by which the last of the jobs came into that state."""
    return max(change for change in changes if not change.is_pod and change.state == state and change.job in jobs)


@pytest.mark.parametrize("how", ["Now", "Drain"])
def test_row_20_a_thousand_waiting_and_ten_running(
    installed: Cluster, kubectl: Kubectl, new_operator: Callable[..., OperatorProcess], how: str
) -> None:
    new_operator(MAX_RUNNING_JOBS=str(RUNNING), QUEUE_SIZE="5000").start()
    with Onlooker(installed.kubeconfig, kubectl.namespace) as seen:
        create_all(kubectl, {"p": spec(RUNNING, WAITING)})
        wait_for_status(kubectl, "tpl/p", state="IN PROGRESS")
        create_all(
            kubectl, {"next": {"stages": ["s"], "jobs": [shell(f"n{number}", seconds=1) for number in range(20)]}}
        )
        seen.wait(
            "all jobs, ten of them running",
            lambda one: len(one.states) == RUNNING + WAITING + 20 and count(one, "IN PROGRESS") == RUNNING,
        )
        seen.wait("ten pods that run", lambda one: sum(c.is_pod and c.state == "Running" for c in one.changes) >= 10)
        before, began = seen.changes[-1].version, time.monotonic()
        kubectl.ok(*kubectl.merge("tpl/p", {"spec": {"cancel": how}}))
        answered = time.monotonic()
        waiting = {job for job, one in seen.jobs.items() if one["name"].startswith("w")}
        seen.wait("the end of what waits", lambda one: all(one.states[job] == "CANCELLED" for job in waiting))
        last = last_of(seen.changes, "CANCELLED", waiting)
        took = last.moment - answered
        print(f"{how}: {len(waiting)} waiting jobs CANCELLED {took:.2f} s after the answer to the edit", end="")
        print(f" ({last.moment - began:.2f} s after kubectl was started); goal {GOAL:.0f} s")
        if how == "Drain":
            assert count(seen, "IN PROGRESS") == RUNNING, "Drain lets them finish"
            kubectl.ok(*kubectl.merge("tpl/p", {"spec": {"cancel": "Now"}}))
        seen.wait_until_final(RUNNING + WAITING + 20, 60)
        wait_for_status(kubectl, "tpl/p", state="CANCELLED", reason="UserCancelled")
        changes = seen.changes
    ours = {job for job, one in seen.jobs.items() if one["pipeline"] == "p"}
    assert took < BOUND
    assert [launch for launch in seen.launches if launch.job in ours and launch.version > before] == []
    assert_slots_outlast_pods(changes, ours - waiting)
    assert peak(changes) == RUNNING


def assert_slots_outlast_pods(changes: list[Change], jobs: set[str]) -> None:
    """CANCELLED comes after the pod has ended, for every job that ran."""
    over: dict[str, int] = {}
    for change in changes:
        if change.is_pod and change.state in ("", "Succeeded", "Failed"):
            over.setdefault(change.job, change.version)
    for job in jobs:
        cancelled = last_of(changes, "CANCELLED", {job}).version
        assert over[job] < cancelled, f"{job} was CANCELLED at {cancelled}, its pod ended at {over[job]}"
