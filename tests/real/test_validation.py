"""What is wrong with a Pipeline is told at once, all of it, and stops nobody else. Field cases B001, B003 to B006."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster import Cluster
from tests.cluster.polling import wait_for
from tests.contract.kubectl import Kubectl, manifest
from tests.operators import OperatorProcess
from tests.real.pipelines import condition, create_all, grid, jobs_of, pods_of, shell, states, wait_all, wait_for_status

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("shared_operator")]

IMAGE = "busybox:1.36"


def job(name: str, stage: str = "s", *, kind: str = "Shell", version: str = "1.0.0", **params: Any) -> dict[str, Any]:
    """A job with exactly these params."""
    return {"name": name, "stage": stage, "kind": kind, "version": version, "params": params}


def assert_refused_whole(kubectl: Kubectl, name: str, reason: str = "InvalidSpec") -> str:
    """The Pipeline is ERROR for `reason` and has made nothing; returns its message."""
    found = wait_for_status(kubectl, f"tpl/{name}", state="ERROR", reason=reason)
    for kind, status in {"Accepted": "False", "Succeeded": "False", "Finished": "True", "Stalled": "True"}.items():
        assert condition(found, kind) == status, (kind, found["status"])
    assert found["status"]["observedGeneration"] == found["metadata"]["generation"]
    assert "startTime" not in found["status"]
    mine = [one for one in jobs_of(kubectl) if one["spec"]["pipeline"] == name]
    assert mine == []
    message: str = found["status"]["message"]
    return message


def test_b001_both_faults_are_told_at_once_with_job_kind_version_and_param(kubectl: Kubectl) -> None:
    wrong = {
        "stages": ["s1", "s2"],
        "jobs": [job("a", "s1", image=IMAGE, scripts="echo hi"), job("b", "s2", script="echo hi")],
    }
    create_all(kubectl, {"badparams": wrong})
    message = assert_refused_whole(kubectl, "badparams")
    first, second = message.split("; spec.jobs[1]")
    for words in ("spec.jobs[0].params.scripts", "(a)", "Shell 1.0.0", "unknown", 'did you mean "script"'):
        assert words in first, message
    for words in (".params.image", "(b)", "Shell 1.0.0", "required"):
        assert words in second, message
    assert pods_of(kubectl) == []


def test_five_faults_are_told_at_once_with_their_paths(kubectl: Kubectl) -> None:
    wrong = {
        "stages": ["s"],
        "jobs": [
            job("kind", kind="Shel", image=IMAGE, script="true"),
            job("version", version="2.0.0", image=IMAGE, script="true"),
            job("both", image=IMAGE, script="true", command=["true"]),
            job("float", image=IMAGE, script="true", env={"RATE": 1.5}),
            job("typo", image=IMAGE, script="true", workinDir="/"),
        ],
    }
    create_all(kubectl, {"five": wrong})
    message = assert_refused_whole(kubectl, "five")
    for place in (
        "spec.jobs[0].kind (kind)",
        "spec.jobs[1].version (version)",
        "spec.jobs[2].params.script (both)",
        "spec.jobs[3].params.env.RATE (float)",
        "spec.jobs[4].params.workinDir (typo)",
    ):
        assert place in message
    assert pods_of(kubectl) == []


@pytest.mark.parametrize(
    ("fields", "places"),
    [
        pytest.param(
            {
                "stages": ["s", ""],
                "priority": "high",
                "jobs": [shell("a", timeout=0), shell("b", retryAttempt=-1), shell("c", kind=3)],
            },
            ["stages[1]", "priority", "jobs[0].timeout", "jobs[1].retryAttempt", "jobs[2].kind"],
            id="schema",
        ),
        pytest.param(
            {
                "stages": ["s", "s", " t"],
                "clientId": "team/a",
                "jobs": [shell("a", version="v1"), shell("deploy/eu"), shell("c", "u")],
            },
            ["stages", "clientId", "jobs[0].version", "jobs[1].name", "jobs"],
            id="rules",
        ),
    ],
)
def test_five_faults_of_form_are_told_at_once_by_the_api_server(
    kubectl: Kubectl, fields: Any, places: list[str]
) -> None:
    """The API server looks at its rules only when the schema has found nothing, so there are two rounds at most."""
    told = kubectl.refused("create", "--validate=ignore", "-f", "-", stdin=manifest("Pipeline", "five", fields))
    for place in places:
        assert f"spec.{place}:" in told


def test_b003_a_version_that_does_not_exist_is_refused_with_those_that_do(kubectl: Kubectl) -> None:
    create_all(kubectl, {"compat": {"stages": ["s"], "jobs": [shell("a", version="9.9.9")]}})
    message = assert_refused_whole(kubectl, "compat")
    assert 'kind Shell has no version "9.9.9"; known: 1.0.0' in message


@pytest.mark.parametrize("version", ["v1", "1.0"])
def test_b003_a_malformed_version_is_refused_with_those_that_exist(kubectl: Kubectl, version: str) -> None:
    spec = {"stages": ["s"], "jobs": [shell("a", version=version)]}
    told = kubectl.refused("create", "-f", "-", stdin=manifest("Pipeline", "compat", spec))
    assert "spec.jobs[0].version" in told
    assert "have 1.0.0" in told


def test_b003_a_missing_version_is_refused(kubectl: Kubectl) -> None:
    one = shell("a")
    del one["version"]
    told = kubectl.refused("create", "-f", "-", stdin=manifest("Pipeline", "compat", {"stages": ["s"], "jobs": [one]}))
    assert "spec.jobs[0].version: Required value" in told


def test_b004_an_empty_stage_is_passed_wherever_it_stands(kubectl: Kubectl) -> None:
    stages = ["build", "test", "deploy"]
    specs = {
        f"no-{empty}": {"stages": stages, "jobs": [shell(f"in-{one}", one) for one in stages if one != empty]}
        for empty in stages
    }
    create_all(kubectl, specs | {"only-last": {"stages": stages, "jobs": [shell("d", "deploy")]}})
    assert set(wait_all(kubectl).values()) == {"DONE"}
    for name in specs:
        found = kubectl.get("tpl", name)
        assert found["status"]["progress"] == "2/2"
        assert {one["name"]: one["state"] for one in found["status"]["stages"]} == dict.fromkeys(stages, "DONE")


@pytest.mark.parametrize(
    ("fields", "places"),
    [
        ({"stages": [], "jobs": [shell("a")]}, ["spec.stages"]),
        ({"stages": ["s"], "jobs": []}, ["spec.jobs"]),
        ({"stages": [], "jobs": []}, ["spec.stages", "spec.jobs"]),
        ({}, ["spec.stages", "spec.jobs"]),
    ],
)
def test_b004_no_stages_or_no_jobs_at_all_are_refused(kubectl: Kubectl, fields: Any, places: list[str]) -> None:
    told = kubectl.refused("create", "-f", "-", stdin=manifest("Pipeline", "hole", fields))
    for place in places:
        assert place in told


def test_b005_duplicates_are_refused_by_name(kubectl: Kubectl) -> None:
    twice = {"stages": ["s", "t", "t"], "jobs": [shell("a"), shell("b"), shell("a")]}
    told = kubectl.refused("create", "-f", "-", stdin=manifest("Pipeline", "dup", twice))
    assert "key a already exists" in told
    assert "key t already exists" in told


def test_b005_names_that_become_equal_when_cleaned_are_different_jobs(kubectl: Kubectl) -> None:
    names = ["unit", "Unit", "UNIT", "u.nit", "u-nit", "u_nit"]
    create_all(kubectl, {"dup": {"stages": ["s"], "jobs": [shell(name) for name in names]}})
    assert wait_all(kubectl) == {"dup": "DONE"}
    jobs = jobs_of(kubectl)
    assert sorted(one["spec"]["name"] for one in jobs) == sorted(names)
    owners = [pod["metadata"]["ownerReferences"][0]["uid"] for pod in pods_of(kubectl)]
    assert sorted(owners) == sorted(one["metadata"]["uid"] for one in jobs)


@pytest.mark.parametrize(
    ("field", "value", "found"),
    [
        ("timeout", 0, "1"),
        ("timeout", -1, "1"),
        ("timeout", 1.5, "integer"),
        ("retry_attempt", -1, "0"),
        ("retry_attempt", 1_000_000, "100"),
    ],
)
def test_b006_numbers_at_the_border_are_refused(kubectl: Kubectl, field: str, value: float, found: str) -> None:
    spec = {"stages": ["s"], "jobs": [shell("a") | {field: value}]}
    told = kubectl.refused("create", "-f", "-", stdin=manifest("Pipeline", "t0", spec))
    assert f"spec.jobs[0].{field}" in told
    assert found in told


def test_b006_an_absurd_timeout_is_a_far_deadline(kubectl: Kubectl) -> None:
    far = 10_000_000_000
    spec = {"stages": ["s"], "timeout": far, "jobs": [shell("a", seconds=0.5, timeout=far, startTimeout=far)]}
    create_all(kubectl, {"far": spec})
    assert wait_all(kubectl) == {"far": "DONE"}
    assert jobs_of(kubectl)[0]["status"]["attempt"] == 1


def test_an_invalid_pipeline_stops_nobody_and_runs_once_it_is_repaired(kubectl: Kubectl) -> None:
    wrong = {"stages": ["s"], "jobs": [shell("a", kind="Nope")]}
    create_all(kubectl, {"before": grid(2, 2), "wrong": wrong, "after": grid(2, 2)})
    assert wait_all(kubectl) == {"before": "DONE", "wrong": "ERROR", "after": "DONE"}
    assert "unknown kind" in assert_refused_whole(kubectl, "wrong")
    kubectl.ok(*kubectl.merge("tpl/wrong", {"spec": {"jobs": [shell("a", version="3.0.0")]}}))
    wait_for_status(kubectl, "tpl/wrong", observedGeneration="2")
    assert "3.0.0" in assert_refused_whole(kubectl, "wrong")
    kubectl.ok(*kubectl.merge("tpl/wrong", {"spec": {"jobs": [shell("a")]}}))
    found = wait_for_status(kubectl, "tpl/wrong", state="DONE")
    assert condition(found, "Accepted") == "True"
    assert condition(found, "Stalled") == "absent"
    assert found["status"]["observedGeneration"] == 3


@pytest.fixture
def client(installed: Cluster, kubectl: Kubectl) -> Iterator[str]:
    """A name for a PipelineClient, removed at the end if it exists."""
    name = kubectl.namespace
    yield name
    clients_of(installed).ok("delete", "pclient", name, "--ignore-not-found")


def clients_of(installed: Cluster) -> Kubectl:
    """kubectl in the namespace where PipelineClients count."""
    return Kubectl(installed.paths.kubectl, "task-pipeline")


def test_a_client_that_is_missing_is_refused_until_it_appears(
    installed: Cluster, kubectl: Kubectl, client: str
) -> None:
    create_all(kubectl, {"run": grid(1, 1) | {"clientId": client}})
    message = assert_refused_whole(kubectl, "run", reason="ClientNotAllowed")
    assert f"there is no PipelineClient {client}" in message
    kubectl.create("PipelineClient", client, {"namespaces": ["*"]})  # elsewhere, where it does not count
    wait_for(lambda: kubectl.run("get", "pclient", client).code == 0, "the client")
    assert states(kubectl, "tpl") == {"run": "ERROR"}
    clients_of(installed).create("PipelineClient", client, {"namespaces": [kubectl.namespace]})
    assert wait_for_status(kubectl, "tpl/run", state="DONE")["status"]["progress"] == "1/1"


def test_a_client_that_does_not_list_the_namespace_is_refused_until_it_does(
    installed: Cluster, kubectl: Kubectl, client: str
) -> None:
    platform = clients_of(installed)
    platform.create("PipelineClient", client, {"namespaces": ["elsewhere"]})
    create_all(kubectl, {"run": grid(1, 1) | {"clientId": client}})
    message = assert_refused_whole(kubectl, "run", reason="ClientNotAllowed")
    assert f"does not list the namespace {kubectl.namespace}" in message
    platform.ok(*platform.merge(f"pclient/{client}", {"spec": {"namespaces": ["elsewhere", kubectl.namespace]}}))
    found = wait_for_status(kubectl, "tpl/run", state="DONE")
    assert condition(found, "Accepted") == "True"
    assert condition(found, "Succeeded") == "True"


def test_the_seeds_own_form_works(kubectl: Kubectl, shared_operator: OperatorProcess) -> None:
    jobs = [
        shell("unit", "test", exit_code=3, retry_attempt=1, allow_failure=True),
        shell("lint", "test", retry_attempt=2, allow_failure=False),
        shell("image", "build"),
    ]
    create_all(kubectl, {"seed": {"stages": ["test", "build"], "jobs": jobs}})
    found = wait_for_status(kubectl, "tpl/seed", state="DONE", reason="SucceededWithWarnings")
    assert found["status"]["warnings"] == 1
    assert found["status"]["failedJobs"] == ["unit"]
    attempts = {one["spec"]["name"]: (one["status"]["state"], one["status"]["attempt"]) for one in jobs_of(kubectl)}
    assert attempts == {"unit": ("ERROR", 2), "lint": ("DONE", 1), "image": ("DONE", 1)}
