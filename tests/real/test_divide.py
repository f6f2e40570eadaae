"""A Pipeline is divided once, whatever happens to it or to its children meanwhile. Field cases B007 to B010."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.cluster import Cluster
from tests.cluster.polling import wait_for
from tests.contract.kubectl import Kubectl, manifest
from tests.real import audit
from tests.real.pipelines import (
    GARBAGE_SECONDS,
    condition,
    create_all,
    job_named,
    jobs_of,
    pods_of,
    shell,
    wait_all,
    wait_for_status,
)

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("shared_operator")]

ROUNDS = 10
PATCHES = 50
WAYS_OUT = ("another name", "spec.rerun", "delete the Pipeline and create it again")
NOWHERE = {"nodeSelector": {"no": "such-node"}}
Launches = Callable[[], int]


@pytest.fixture
def launches(installed: Cluster, kubectl: Kubectl) -> Launches:
    """How many pods the operator has created in the namespace."""
    since = audit.mark(installed.audit_log)

    def count() -> int:
        own = [event for event in audit.requests(installed.audit_log, since) if event["verb"] == "create"]
        references = [event["objectRef"] for event in own if event["responseStatus"]["code"] < 300]
        return sum(one["resource"] == "pods" and one["namespace"] == kubectl.namespace for one in references)

    return count


@pytest.fixture
def closed_client(installed: Cluster, kubectl: Kubectl) -> Iterator[Callable[[], None]]:
    """A PipelineClient, named as the namespace, that starts nothing until the returned function is called."""
    platform, name = Kubectl(installed.paths.kubectl, "task-pipeline"), kubectl.namespace
    platform.create("PipelineClient", name, {"namespaces": ["*"], "maxRunningJobs": 0})

    def open_it() -> None:
        platform.ok(*platform.merge(f"pclient/{name}", {"spec": {"maxRunningJobs": 5}}))

    yield open_it
    platform.ok("delete", "pclient", name)


def after_a_marker(kubectl: Kubectl) -> None:
    """Return when the operator has surely worked on everything that had happened before the call."""
    create_all(kubectl, {"marker": {"stages": ["s"], "jobs": [shell("marker")]}})
    wait_for_status(kubectl, "tpl/marker", state="DONE")
    kubectl.ok("delete", "tpl", "marker")


def test_b007_labels_edited_while_it_starts_make_no_second_job(
    installed: Cluster, kubectl: Kubectl, launches: Launches
) -> None:
    names = [f"one-{number}" for number in range(ROUNDS)]
    path = f"/apis/taskpipeline.dev/v1alpha1/namespaces/{kubectl.namespace}/pipelines"
    for name in names:
        body = manifest("Pipeline", name, {"stages": ["s"], "jobs": [shell("only", seconds=0.5)]})
        installed.client.request("POST", path, body)
        for number in range(PATCHES):
            label = {"metadata": {"labels": {"round": str(number)}}}
            installed.client.request("PATCH", f"{path}/{name}", label)
    assert wait_all(kubectl) == dict.fromkeys(names, "DONE")
    jobs = jobs_of(kubectl)
    assert Counter(job["spec"]["pipeline"] for job in jobs) == dict.fromkeys(names, 1)
    assert {job["status"]["attempt"] for job in jobs} == {1}
    owners = Counter(pod["metadata"]["ownerReferences"][0]["uid"] for pod in pods_of(kubectl))
    assert owners == dict.fromkeys((job["metadata"]["uid"] for job in jobs), 1)
    assert launches() == ROUNDS


def labelled(script: str, labels: dict[str, str]) -> dict[str, Any]:
    """The Pipeline of B008."""
    job = {"name": "a", "stage": "s", "kind": "Shell", "version": "1.0.0"}
    params = {"image": "busybox:1.36", "script": script}
    body = manifest("Pipeline", "again", {"stages": ["s"], "jobs": [job | {"params": params}]})
    body["metadata"]["labels"] = labels
    return body


def test_b008_a_changed_manifest_after_the_end_is_refused_and_changes_nothing(
    kubectl: Kubectl, launches: Launches
) -> None:
    kubectl.ok("apply", "-f", "-", stdin=labelled("echo one", {"team": "blue"}))
    done = wait_for_status(kubectl, "tpl/again", state="DONE")
    told = kubectl.refused("apply", "-f", "-", stdin=labelled("echo two", {}))
    assert "spec.jobs cannot be changed after the start" in told
    for way_out in WAYS_OUT:
        assert way_out in told
    assert "unchanged" in kubectl.ok("apply", "-f", "-", stdin=labelled("echo one", {"team": "blue"}))
    kubectl.ok("apply", "-f", "-", stdin=labelled("echo one", {}))
    after_a_marker(kubectl)
    now = kubectl.get("tpl", "again")
    assert "labels" not in now["metadata"]
    assert now["metadata"]["generation"] == now["status"]["observedGeneration"] == 1
    assert now["status"] == done["status"]
    assert launches() == 2  # its own, and the marker's


def test_b008_an_edit_that_stays_allowed_is_observed(kubectl: Kubectl) -> None:
    kubectl.ok("apply", "-f", "-", stdin=labelled("echo one", {}))
    wait_for_status(kubectl, "tpl/again", state="DONE")
    kubectl.ok(*kubectl.merge("tpl/again", {"spec": {"priority": 3}}))
    now = wait_for_status(kubectl, "tpl/again", observedGeneration="2")
    assert now["metadata"]["generation"] == 2
    assert now["status"]["state"] == "DONE"
    kubectl.ok("wait", "tpl/again", "--for=condition=Finished", "--timeout=2s")
    assert {one["observedGeneration"] for one in now["status"]["conditions"]} == {2}


def live(a: dict[str, Any]) -> dict[str, Any]:
    """The Pipeline of B009 and B010."""
    return {"stages": ["s1", "s2"], "jobs": [a, shell("b", "s2")]}


def test_b009_edits_while_it_runs_are_refused_and_start_nothing(kubectl: Kubectl, launches: Launches) -> None:
    a, b, c = shell("a", "s1", seconds=3), shell("b", "s2"), shell("c", "s1")
    create_all(kubectl, {"live": live(a)})
    wait_for_status(kubectl, "tpl/live", state="IN PROGRESS")
    other_image = a | {"params": a["params"] | {"image": "busybox:1.37"}}
    for change in ({"jobs": [other_image, b]}, {"jobs": [a, b, c]}, {"jobs": [a]}, {"stages": ["s1", "s2", "s3"]}):
        told = kubectl.refused(*kubectl.merge("tpl/live", {"spec": change}))
        assert "cannot be changed after the start" in told
        for way_out in WAYS_OUT:
            assert way_out in told
    kubectl.ok("label", "tpl/live", "team=blue")
    now = wait_for_status(kubectl, "tpl/live", state="DONE")
    assert now["metadata"]["generation"] == now["status"]["observedGeneration"] == 1
    assert [job["spec"]["name"] for job in sorted(jobs_of(kubectl), key=lambda job: job["spec"]["stageIndex"])] == [
        "a",
        "b",
    ]
    assert launches() == 2


@pytest.mark.parametrize(
    ("names", "image"), [("ab", "busybox:1.37"), ("abc", "busybox:1.36"), ("a", "busybox:1.36"), ("ac", "busybox:1.36")]
)
def test_b009_an_edit_before_the_start_is_what_runs(
    kubectl: Kubectl, closed_client: Callable[[], None], launches: Launches, names: str, image: str
) -> None:
    created, edited = ([shell(name, "s1") for name in some] for some in ("ab", names))
    for job in edited:
        job["params"]["image"] = image
    create_all(kubectl, {"live": {"clientId": kubectl.namespace, "stages": ["s1"], "jobs": created}})
    wait_for(lambda: len(jobs_of(kubectl)) == len(created), "the division")
    kubectl.ok(*kubectl.merge("tpl/live", {"spec": {"jobs": edited}}))
    wait_for_status(kubectl, "tpl/live", observedGeneration="2")
    closed_client()
    assert wait_all(kubectl) == {"live": "DONE"}
    assert {job["spec"]["name"]: job["spec"]["params"]["image"] for job in jobs_of(kubectl)} == dict.fromkeys(
        names, image
    )
    assert launches() == len(names)


def test_b009_an_edit_before_the_start_is_judged_like_a_new_pipeline(
    kubectl: Kubectl, closed_client: Callable[[], None], launches: Launches
) -> None:
    create_all(kubectl, {"live": live(shell("a", "s1")) | {"clientId": kubectl.namespace}})
    wait_for(lambda: len(jobs_of(kubectl)) == 1, "the division")
    kubectl.ok(*kubectl.merge("tpl/live", {"spec": {"jobs": [shell("a", "s1", version="7.0.0"), shell("b", "s2")]}}))
    wait_for_status(kubectl, "tpl/live", state="ERROR", reason="InvalidSpec")
    assert jobs_of(kubectl) == []
    closed_client()
    kubectl.ok(*kubectl.merge("tpl/live", {"spec": live(shell("c", "s1"))}))
    wait_for_status(kubectl, "tpl/live", state="DONE")
    assert sorted(job["spec"]["name"] for job in jobs_of(kubectl)) == ["b", "c"]
    assert launches() == 2


def delete_job(kubectl: Kubectl, name: str) -> None:
    """Delete the PipelineJob as a person would."""
    kubectl.ok("delete", "pjob", job_named(kubectl, name)["metadata"]["name"])


def assert_ends_as_deleted(kubectl: Kubectl) -> dict[str, Any]:
    """The Pipeline ends ERROR and says why; returns it."""
    ended = wait_for_status(kubectl, "tpl/orphaned", state="ERROR", reason="JobDeleted")
    assert "deleted by hand" in ended["status"]["message"]
    assert condition(ended, "Finished") == "True"
    assert condition(ended, "Succeeded") == "False"
    return ended


@pytest.mark.parametrize("params", [{}, NOWHERE], ids=["its pod runs", "its pod is not up"])
def test_b010_a_job_deleted_while_it_runs_ends_the_pipeline(
    kubectl: Kubectl, launches: Launches, params: dict[str, Any]
) -> None:
    a = shell("a", "s1", seconds=60)
    create_all(kubectl, {"orphaned": live(a | {"params": a["params"] | params})})
    wait_for_status(kubectl, "tpl/orphaned", state="IN PROGRESS")
    delete_job(kubectl, "a")
    ended = assert_ends_as_deleted(kubectl)
    assert ended["status"]["stages"][0] == stage_counts("s1", "ERROR", failed=1)
    assert ended["status"]["stages"][1] == stage_counts("s2", "CANCELLED", cancelled=1)
    wait_for(lambda: not pods_of(kubectl), "the end of the pod", GARBAGE_SECONDS)
    after_a_marker(kubectl)
    assert jobs_of(kubectl) == []
    assert launches() == 2  # its own, and the marker's


def test_b010_a_job_deleted_while_it_waits_ends_the_pipeline(
    kubectl: Kubectl, launches: Launches, closed_client: Callable[[], None]
) -> None:
    create_all(kubectl, {"orphaned": live(shell("a", "s1")) | {"clientId": kubectl.namespace}})
    wait_for(lambda: jobs_of(kubectl), "the division")
    delete_job(kubectl, "a")
    assert_ends_as_deleted(kubectl)
    closed_client()
    after_a_marker(kubectl)
    assert jobs_of(kubectl) == []
    assert launches() == 1  # the marker's


def test_b010_a_done_job_deleted_while_others_run_is_not_run_again(kubectl: Kubectl, launches: Launches) -> None:
    """What is gone cannot be proved to be done, so it counts as failed; what runs already is let finish."""
    jobs = [shell("a", "s1"), shell("b", "s2", seconds=15), shell("c", "s3")]
    create_all(kubectl, {"orphaned": {"stages": ["s1", "s2", "s3"], "jobs": jobs}})
    wait_for_status(kubectl, "tpl/orphaned", state="IN PROGRESS", stage="s2")
    wait_for(lambda: job_named(kubectl, "b")["status"].get("state") == "IN PROGRESS", "b in progress")
    delete_job(kubectl, "a")
    ended = assert_ends_as_deleted(kubectl)
    assert [one["state"] for one in ended["status"]["stages"]] == ["ERROR", "DONE", "CANCELLED"]
    after_a_marker(kubectl)
    assert {job["spec"]["name"]: job["status"]["state"] for job in jobs_of(kubectl)} == {"b": "DONE"}
    assert launches() == 3  # a, b and the marker


def test_b010_a_job_deleted_after_the_end_changes_nothing(kubectl: Kubectl, launches: Launches) -> None:
    create_all(kubectl, {"orphaned": live(shell("a", "s1"))})
    done = wait_for_status(kubectl, "tpl/orphaned", state="DONE")
    delete_job(kubectl, "a")
    after_a_marker(kubectl)
    assert kubectl.get("tpl", "orphaned")["status"] == done["status"]
    assert [job["spec"]["name"] for job in jobs_of(kubectl)] == ["b"]
    assert launches() == 3  # a, b and the marker


def stage_counts(name: str, state: str, **counts: int) -> dict[str, Any]:
    """One entry of status.stages with a total of one job."""
    nothing = dict.fromkeys(("waiting", "running", "done", "failed", "cancelled"), 0)
    return {"name": name, "state": state, "total": 1} | nothing | counts
