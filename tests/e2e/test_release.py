"""A release of the chart, from its installation to a rollback, under exactly the rights of its roles.

The tests build on each other, in this order; that on rights reads the audit log of all before it. Field case B083.
"""

import base64
import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.polling import wait_for
from tests.contract.kubectl import manifest
from tests.e2e.occasions import account_token, basic, rest, take_names, take_the_name_of_a_job
from tests.e2e.release import API, TEAM, Release, next_chart
from tests.install.helm import NAMESPACE, RELEASE
from tests.install.test_rights import Right
from tests.real.pipelines import FINAL, jobs_of, pods_of, states

pytestmark = pytest.mark.e2e

PROGRAMS = {"operator": 2, "server": 2, "http-runner": 2}
LONG = "#" + "x" * 140_000 + "\ntrue\n"


def job(name: str, kind: str = "Shell", *, stage: str = "s", params: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A job of any kind."""
    return {"name": name, "stage": stage, "kind": kind, "version": "1.0.0", "params": params, **fields}


def script(text: str) -> dict[str, Any]:
    """The params of a Shell job."""
    return {"image": "busybox:1.36", "script": text}


def sleepers(count: int, seconds: int) -> dict[str, Any]:
    """A Pipeline of jobs that take a while, side by side, and one after them."""
    jobs = [job(f"j{number}", params=script(f"sleep {seconds}")) for number in range(count)]
    return {"stages": ["s", "t"], "jobs": [*jobs, job("last", stage="t", params=script("true"))]}


def over(release: Release, name: str, seconds: float) -> str:
    """The state of the Pipeline once it is over."""
    wait_for(lambda: states(release.team, "tpl")[name] in FINAL, f"{name} is over", seconds)
    return states(release.team, "tpl")[name]


def jobs_in(release: Release, pipeline: str) -> list[dict[str, Any]]:
    """The PipelineJobs of a Pipeline."""
    return [one for one in jobs_of(release.team) if one["spec"]["pipeline"] == pipeline]


def all_run(release: Release, pipeline: str, count: int) -> None:
    """Wait until so many jobs of the Pipeline run."""

    def running() -> int:
        return sum(one["status"]["state"] == "IN PROGRESS" for one in jobs_in(release, pipeline))

    wait_for(lambda: running() == count, f"{count} jobs of {pipeline} run", 60)


def work_once(release: Release, secret: str) -> None:
    """Claim a job of the queue `render` and report that it is done."""
    claim = {"worker": "w", "waitSeconds": 20}
    proof = basic("acme", secret)
    claimed = wait_for(
        lambda: rest(release, proof, "POST", "/api/v1/workers/render:claim", claim), "a job to be done", 60
    )
    data = json.dumps({"outcome": "Succeeded", "result": {"frames": 20}}).encode()
    headers = {"Authorization": f"Bearer {claimed['token']}", "Content-Type": "application/json"}
    call = urllib.request.Request(f"{release.address()}{claimed['path']}/result", data, headers, method="PUT")
    with urllib.request.urlopen(call, timeout=60) as answer:
        assert answer.status == 200


def test_all_programs_run_in_a_restricted_namespace(release: Release) -> None:
    for program, count in PROGRAMS.items():
        release.settled(program, count)
        for pod in release.pods(program):
            (status,) = pod["status"]["containerStatuses"]
            assert (status["ready"], status["restartCount"]) == (True, 0), release.own.ok(
                "logs", pod["metadata"]["name"]
            )
    assert wait_for(release.leader, "a leader", 60) in {pod["metadata"]["name"] for pod in release.pods("operator")}
    labels = release.own.ok("get", "namespace", NAMESPACE, "-o", "jsonpath={.metadata.labels}")
    assert json.loads(labels)["pod-security.kubernetes.io/enforce"] == "restricted"


def test_helm_test_succeeds(release: Release) -> None:
    assert "Succeeded" in release.call("test", RELEASE, "--timeout", "180s").out


def test_the_chart_has_made_the_client_of_pipelines_that_name_none(release: Release) -> None:
    assert release.own.get("pclient", "default")["spec"]["namespaces"] == ["*"]
    assert release.own.run("get", "jobs", "-o", "name").out == "", "the hook is gone"


def test_a_pipeline_with_every_kind_is_done(release: Release) -> None:
    secret = release.client_secret("acme")
    jobs = [
        job("shell", params=script("echo hello")),
        job("long-script", params=script(LONG)),
        job("batch", "K8S/Job", params={"image": "busybox:1.36", "command": ["true"]}),
        job("web", "K8S/Deployment", params={
            "name": "web", "image": "busybox:1.36", "command": ["sleep", "3600"]},
            timeout=60),
        job("call", "HTTP", params={"method": "GET", "url": f"{API}/version", "expect": [200, 401]}),
        job("render", "Worker", params={"queue": "render", "payload": {}}),
    ]  # fmt: skip
    body = {"metadata": {"name": "every-kind"}, "spec": {"stages": ["s"], "jobs": jobs}}
    made = rest(release, basic("acme", secret), "POST", f"/api/v1/namespaces/{TEAM}/pipelines", body)
    assert made["spec"]["clientId"] == "acme"
    worker = threading.Thread(target=work_once, args=(release, secret))
    worker.start()
    try:
        assert over(release, "every-kind", 120) == "DONE", release.team.ok("get", "pjob", "-o", "yaml")
    finally:
        worker.join(timeout=60)
    log = f"/api/v1/namespaces/{TEAM}/pipelines/every-kind/jobs/shell/logs"
    token = base64.b64encode(f"acme:{secret}".encode()).decode()
    call = urllib.request.Request(f"{release.address()}{log}", headers={"Authorization": f"Basic {token}"})
    with urllib.request.urlopen(call, timeout=60) as answer:
        assert b"hello" in answer.read()


def test_cancel_retry_and_clean_up_reach_the_cluster(release: Release) -> None:
    """What the operator deletes and takes back: pods and Jobs of a cancelled Pipeline, a rollout that fails."""
    failing = {"name": "web", "image": "busybox:1.36", "command": ["/no/such/program"], "onFailure": "Rollback"}
    release.team.create(
        "Pipeline",
        "bad-rollout",
        {
            "stages": ["s"],
            "jobs": [
                job("web", "K8S/Deployment", params=failing, timeout=8),
                job("retried", params=script("false"), retryAttempt=1),
            ],
        },
    )
    release.team.create("Pipeline", "cancelled", {"stages": ["s"], "jobs": [
        job("shell", params=script("sleep 600")),
        job("batch", "K8S/Job", params={"image": "busybox:1.36", "command": ["sleep", "600"]})]})  # fmt: skip
    all_run(release, "cancelled", 2)
    release.team.ok(*release.team.merge("tpl/cancelled", {"spec": {"cancel": "Now"}}))
    spec = {"stages": ["s"], "ttlSecondsAfterFinished": 1, "jobs": [job("a", params=script("true"))]}
    release.team.create("Pipeline", "gone", spec | {"ttlPolicy": "Delete"})
    release.team.create("Pipeline", "slim", spec)
    wait_for(lambda: release.team.run("get", "tpl", "gone").code != 0, "it is removed when it is over", 60)
    assert over(release, "slim", 60) == "DONE"
    wait_for(lambda: not jobs_in(release, "slim"), "its PipelineJobs are removed", 60)
    assert over(release, "bad-rollout", 90) == "ERROR"
    (web,) = [one["status"] for one in jobs_in(release, "bad-rollout") if one["spec"]["name"] == "web"]
    assert (web["state"], "rolled back to the revision before" in web["message"]) == ("ERROR", True), web
    assert over(release, "cancelled", 90) == "CANCELLED"


def test_names_that_are_taken_are_told_and_nothing_of_others_is_touched(release: Release) -> None:
    """What the operator looks at when a create is refused because there is something of that name."""
    jobs = [
        job("pod", params=script("true")),
        job("map", params=script(LONG)),
        job("batch", "K8S/Job", params={"image": "busybox:1.36", "command": ["true"]}),
    ]
    take_names(release, "taken", jobs)
    assert over(release, "taken", 60) == "ERROR"
    mine = jobs_in(release, "taken")
    assert {one["status"]["reason"] for one in mine} == {"Conflict"}
    take_the_name_of_a_job(release, "adopted", job("a", params=script("true")))
    wait_for(lambda: "belongs to another owner" in release.team.ok("get", "tpl", "adopted", "-o", "yaml"), "word", 60)
    release.team.ok("delete", "tpl", "adopted")


def test_every_sort_of_caller_and_of_request_reaches_the_server(release: Release) -> None:
    proof, collection = basic("acme", release.client_secret("acme")), f"/api/v1/namespaces/{TEAM}/pipelines"
    body = {"metadata": {"name": "by-rest"}, "spec": {"suspend": True, **sleepers(1, 600)}}
    rest(release, proof, "POST", collection, body)
    one = f"{collection}/by-rest"
    rest(release, proof, "PATCH", one, {"spec": {"priority": 5}})
    rest(release, proof, "POST", f"{one}:resume")
    wait_for(lambda: rest(release, proof, "GET", f"{one}/jobs")["items"], "its job", 30)
    rest(release, proof, "PATCH", f"{one}/jobs/j0", {"spec": {"priority": 5}})
    assert rest(release, proof, "GET", f"{one}/jobs/j0")["spec"]["priority"] == 5
    rest(release, proof, "DELETE", one)
    everywhere = rest(release, account_token(release, "reader"), "GET", "/api/v1/namespaces/-/pipelines")
    assert {thing["metadata"]["namespace"] for thing in everywhere["items"]} == {TEAM}


def _once_each(release: Release, pipeline: str) -> None:
    """Every job of the Pipeline is done after one attempt and one pod."""
    mine = jobs_in(release, pipeline)
    assert {(one["status"]["state"], one["status"]["attempt"]) for one in mine} == {("DONE", 1)}
    uids = [one["metadata"]["uid"] for one in mine]
    owners = [owner["uid"] for pod in pods_of(release.team) for owner in pod["metadata"].get("ownerReferences", ())]
    assert sorted(owner for owner in owners if owner in uids) == sorted(uids)


def test_nothing_is_lost_or_repeated_when_the_leader_is_killed(release: Release) -> None:
    release.team.create("Pipeline", "handover", sleepers(4, 10))
    all_run(release, "handover", 4)
    old = release.leader()
    release.own.ok("delete", "pod", old, "--grace-period=0", "--force")
    began = time.monotonic()
    wait_for(lambda: release.leader() not in ("", old), "another leader", 60)
    assert time.monotonic() - began < 30
    assert over(release, "handover", 90) == "DONE"
    _once_each(release, "handover")
    release.settled("operator", 2)


def has_note(release: Release) -> bool:
    """Whether the CRD has the field that only the next version knows."""
    crd = release.own.get("crd", "pipelines.taskpipeline.dev")
    return "note" in crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]


def test_an_upgrade_and_a_rollback_in_mid_run_repeat_nothing(release: Release, tmp_path: Path) -> None:
    """From this version to one that has another CRD, and back: the operators are all replaced, twice."""
    release.own.ok(*release.own.merge("pclient/default", {"spec": {"maxRunningJobs": 50}}))
    before = {pod["metadata"]["uid"] for pod in release.pods("operator")}
    revision = json.loads(release.call("history", RELEASE, "-o", "json").out)[-1]["revision"]
    release.team.create("Pipeline", "upgraded", sleepers(4, 40))
    all_run(release, "upgraded", 4)
    newer = replace(release, values={**release.values}, chart=next_chart(tmp_path))
    newer.put("upgrade", settings={**release.values["settings"], "workers": 16})
    assert has_note(release)
    between = {pod["metadata"]["uid"] for pod in release.pods("operator")}
    assert not before & between
    release.call("rollback", RELEASE, str(revision), "--wait", "--timeout", "200s")
    assert not has_note(release)
    assert not between & {pod["metadata"]["uid"] for pod in release.pods("operator")}
    assert over(release, "upgraded", 120) == "DONE"
    _once_each(release, "upgraded")
    kept = release.own.get("pclient", "default")["spec"]
    assert (kept["maxRunningJobs"], kept["namespaces"]) == (50, ["*"]), "the client is the platform team's"


# Rights that this run has no sure occasion to use, each with the occasion and the test that makes it.
NOT_IN_THIS_RUN: dict[str, dict[Right, str]] = {
    "operator": {
        ("operator.taskpipeline.dev", "pipelines", "operate", ""): "the policies ask for it, nobody sends it",
        ("taskpipeline.dev", "pipelines", "get", ""): "an edit that a new leader has not seen, in tests/scenario",
    },
    "server": {
        ("", "secrets", "patch", "task-pipeline-server-keys"): "a new signing key after 30 days, in tests/server",
    },
}


@pytest.mark.parametrize("program", sorted(NOT_IN_THIS_RUN))
def test_no_right_is_missing_and_none_is_unused(release: Release, program: str) -> None:
    rights = release.granted(program)
    found, refused = release.used(rights, program)
    assert refused == {}
    unused = rights - found - NOT_IN_THIS_RUN[program].keys()
    print(f"{program}: {len(rights)} rights, {len(found)} used, {len(refused)} missing; not used {rights - found}")
    assert sorted(unused) == []


def test_b083_a_run_outlives_an_uninstall_and_the_next_install_takes_it_over(release: Release) -> None:
    release.team.create("Pipeline", "outlives", sleepers(4, 60))
    all_run(release, "outlives", 4)
    running = {pod["metadata"]["uid"] for pod in pods_of(release.team) if pod["status"]["phase"] == "Running"}
    release.call("uninstall", RELEASE, "--wait")
    assert release.own.run("get", "deployments", "-o", "name").out == ""
    assert states(release.team, "tpl").items() >= {"outlives": "IN PROGRESS", "every-kind": "DONE"}.items()
    assert release.own.get("pclient", "default")["spec"]["maxRunningJobs"] == 50
    assert running <= {pod["metadata"]["uid"] for pod in pods_of(release.team)}
    release.put("install")
    assert over(release, "outlives", 180) == "DONE"
    _once_each(release, "outlives")


def test_uninstalling_leaves_the_crds_and_the_pipelines(release: Release) -> None:
    release.call("uninstall", RELEASE, "--wait")
    assert "every-kind" in release.team.ok("get", "tpl", "-o", "name")
    assert release.own.run("get", "deployments", "-o", "name").out == ""


@pytest.fixture
def scoped(release: Release) -> Iterator[Release]:
    """Another release, for one namespace only, with Roles; the CRDs are there."""
    made = Release(
        release.cluster,
        release.helm,
        {
            "image": release.values["image"],
            "rbac": {"scope": "namespaced", "aggregate": False},
            "namespaces": ["team-b"],
            "crds": {"install": False},
            "httpRunner": {"enabled": False},
            "server": {"submitNamespaces": ["*"]},
        },
        name="scoped",
        namespace="scoped-system",
        team_namespace="team-b",
    )
    for place in (made.namespace, made.team_namespace):
        made.own.ok("create", "namespace", place)
    made.own.ok("label", "namespace", made.namespace, "pod-security.kubernetes.io/enforce=restricted")
    made.put("install")
    yield made
    made.call("uninstall", made.name, "--wait")


def test_an_installation_for_one_namespace_runs_pipelines_there_and_reads_nowhere_else(
    release: Release, scoped: Release
) -> None:
    release.team.create("Pipeline", "elsewhere", sleepers(1, 1))
    jobs = [
        job("shell", params=script("echo hello")),
        job("batch", "K8S/Job", params={"image": "busybox:1.36", "command": ["true"]}),
        job("web", "K8S/Deployment", params={"name": "web", "image": "busybox:1.36", "command": ["sleep", "3600"]}),
    ]
    scoped.team.create("Pipeline", "here", {"stages": ["s"], "jobs": jobs})
    assert over(scoped, "here", 120) == "DONE", scoped.team.ok("get", "pjob", "-o", "yaml")
    scoped.own.ok("apply", "-f", "-", stdin=manifest("PipelineClient", "acme", {"namespaces": ["team-b"]}))
    secret = scoped.client_secret("acme")
    body = {"metadata": {"name": "by-rest"}, "spec": {"stages": ["s"], "jobs": [job("a", params=script("true"))]}}
    rest(scoped, basic("acme", secret), "POST", "/api/v1/namespaces/team-b/pipelines", body)
    assert over(scoped, "by-rest", 60) == "DONE"
    seen = list(scoped.uses())
    assert {use.program for use in seen} >= {"operator", "server", "default-client"}
    assert [use for use in seen if use.status == 403] == []
    reviews = {"tokenreviews", "subjectaccessreviews"}
    outside = {use for use in seen if use.namespace not in ("scoped-system", "team-b") and use.right[1] not in reviews}
    assert outside == set()
    assert release.team.get("tpl", "elsewhere")["status"]["observedGeneration"] == -1
