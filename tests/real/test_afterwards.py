"""What happens to a Pipeline after its end, on a real API server: another run, clean-up, deletion, the name again."""

import json
from typing import Any

import pytest

from tests.cluster.polling import wait_for
from tests.contract.kubectl import Kubectl, manifest
from tests.operators import OperatorProcess
from tests.real.pipelines import GARBAGE_SECONDS, jobs_of, pods_of, shell, wait_all

pytestmark = pytest.mark.cluster

SPEC = {
    "stages": ["s", "t"],
    "jobs": [shell("a"), shell("b", exit_code=1), shell("c", "t")],
}


def ran(kubectl: Kubectl) -> list[tuple[int, str, str]]:
    """Run, name and state of every PipelineJob."""
    found = [(job["spec"]["run"], job["spec"]["name"], job["status"]["state"]) for job in jobs_of(kubectl)]
    return sorted(found)


def status_of(kubectl: Kubectl, name: str) -> dict[str, Any]:
    """The status of a Pipeline."""
    found: dict[str, Any] = kubectl.get("tpl", name).get("status", {})
    return found


def edit(kubectl: Kubectl, name: str, **spec: Any) -> None:
    """Change a Pipeline's spec as a user does."""
    kubectl.ok("patch", "tpl", name, "--type=merge", "-p", json.dumps({"spec": spec}))


def answered(kubectl: Kubectl, name: str, id: str) -> dict[str, Any]:
    """The status once the rerun has been answered and is over."""
    wait_for(lambda: status_of(kubectl, name).get("rerunId") == id, f"an answer to rerun {id}", 20)
    wait_all(kubectl)
    return status_of(kubectl, name)


def test_semantics_22_a_rerun_keeps_what_is_done(kubectl: Kubectl, operator: OperatorProcess) -> None:
    kubectl.ok("create", "-f", "-", stdin=manifest("Pipeline", "p", SPEC))
    assert wait_all(kubectl) == {"p": "ERROR"}
    edit(kubectl, "p", rerun={"id": "1"})
    status = answered(kubectl, "p", "1")
    assert (status["run"], status["state"], status["kept"]) == (2, "ERROR", {"since": 1, "jobs": [1, 0]})
    assert ran(kubectl) == [(1, "a", "DONE"), (1, "b", "ERROR"), (2, "b", "ERROR")]
    edit(kubectl, "p", rerun={"id": "2", "scope": "All"})
    status = answered(kubectl, "p", "2")
    assert (status["run"], "kept" in status) == (3, False)
    assert ran(kubectl)[3:] == [(3, "a", "DONE"), (3, "b", "ERROR")]
    assert kubectl.run("wait", "tpl/p", "--for=condition=Finished", "--timeout=5s").code == 0


def test_semantics_23_slim_removes_jobs_and_pods_and_a_rerun_of_what_failed_is_refused_then(
    kubectl: Kubectl, operator: OperatorProcess
) -> None:
    spec = SPEC | {"ttlSecondsAfterFinished": 0}
    kubectl.ok("create", "-f", "-", stdin=manifest("Pipeline", "p", spec))
    wait_for(lambda: status_of(kubectl, "p").get("cleanupTime"), "the clean-up", 30)
    wait_for(lambda: not jobs_of(kubectl), "no PipelineJobs", 30)
    wait_for(lambda: not pods_of(kubectl), "no pods", GARBAGE_SECONDS)
    status = status_of(kubectl, "p")
    assert (status["state"], status["reason"], status["progress"]) == ("ERROR", "JobFailed", "3/3")
    edit(kubectl, "p", rerun={"id": "1"})
    assert "its PipelineJobs have been removed" in answered(kubectl, "p", "1")["message"]
    edit(kubectl, "p", rerun={"id": "2", "scope": "All"}, ttlSecondsAfterFinished=600)
    assert answered(kubectl, "p", "2")["run"] == 2
    assert len(jobs_of(kubectl)) == 2


def test_delete_removes_the_pipeline_and_all_it_owns(kubectl: Kubectl, operator: OperatorProcess) -> None:
    spec = SPEC | {"ttlSecondsAfterFinished": 1, "ttlPolicy": "Delete"}
    kubectl.ok("create", "-f", "-", stdin=manifest("Pipeline", "p", spec))
    wait_for(lambda: not json.loads(kubectl.ok("get", "tpl", "-o", "json"))["items"], "no Pipeline", 30)
    wait_for(lambda: not jobs_of(kubectl) and not pods_of(kubectl), "nothing of it", GARBAGE_SECONDS)


def test_b067_a_pipeline_created_again_within_a_second_is_another_one(
    kubectl: Kubectl, operator: OperatorProcess
) -> None:
    long = {"stages": ["s"], "jobs": [shell("a", seconds=600)]}
    short = {"stages": ["s"], "jobs": [shell("a")], "ttlSecondsAfterFinished": 600}
    kubectl.ok("create", "-f", "-", stdin=manifest("Pipeline", "p", long))
    wait_for(lambda: pods_of(kubectl), "a pod", 20)
    (first,) = jobs_of(kubectl)
    kubectl.ok("delete", "tpl", "p", "--wait=false")
    kubectl.ok("create", "-f", "-", stdin=manifest("Pipeline", "p", short))
    assert wait_all(kubectl) == {"p": "DONE"}
    wait_for(lambda: len(pods_of(kubectl)) == 1, "the first pod to go", GARBAGE_SECONDS)
    (second,) = jobs_of(kubectl)
    assert first["metadata"]["name"] != second["metadata"]["name"]
    assert second["status"]["state"] == "DONE"


def test_semantics_21_a_running_pipeline_is_deleted_while_no_operator_runs(
    kubectl: Kubectl, operator: OperatorProcess
) -> None:
    spec = {"stages": ["s"], "jobs": [shell("a", seconds=600), shell("b", seconds=600)]}
    kubectl.ok("create", "-f", "-", stdin=manifest("Pipeline", "p", spec))
    wait_for(lambda: len(pods_of(kubectl)) == 2, "two pods", 20)
    operator.stop()
    kubectl.ok("delete", "tpl", "p", "--timeout=10s")
    wait_for(lambda: not jobs_of(kubectl) and not pods_of(kubectl), "nothing of it", GARBAGE_SECONDS)


@pytest.mark.parametrize("running", [True, False], ids=["an operator runs", "no operator runs"])
def test_b065_a_namespace_with_a_running_pipeline_goes_away(
    kubectl: Kubectl, operator: OperatorProcess, running: bool
) -> None:
    spec = {"stages": ["s", "t"], "jobs": [shell("a", seconds=600), shell("b", "t")]}
    kubectl.ok("create", "-f", "-", stdin=manifest("Pipeline", "p", spec))
    wait_for(lambda: pods_of(kubectl), "a pod", 20)
    if not running:
        operator.stop()
    kubectl.ok("delete", "namespace", kubectl.namespace, f"--timeout={GARBAGE_SECONDS:.0f}s")
    kubectl.ok("create", "namespace", kubectl.namespace)
