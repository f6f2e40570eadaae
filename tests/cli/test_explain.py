"""`explain` and `queue`: the true reason of every wait, its place among all, and what to do."""

import json
from typing import Any

import pytest

from task_pipeline.api.reasons import MEANING, Reason
from tests.cli.site import Site
from tests.scenario.world import shell


@pytest.fixture
def crowded(tmp_path: Any) -> Any:
    """A cluster that may run one job, and does."""
    with Site(tmp_path, max_running_jobs=2) as site:
        site.do(lambda world: world.client("acme", maxRunningJobs=1))
        site.submit("busy", shell("x", seconds=60), clientId="acme")
        site.until_state("busy", "IN PROGRESS")
        yield site


def waits(site: Site, name: str, reason: str) -> None:
    site.until(lambda world: any(job["status"].get("reason") == reason for job in world.jobs(name)))


def test_a_limit_of_the_client(crowded: Site) -> None:
    crowded.submit("p", shell("a"), shell("b"), shell("ship", "t"), clientId="acme")
    waits(crowded, "p", "ClientLimit")
    answer = crowded.tpctl("explain", "p")
    assert answer.exit_code == 0
    lines = answer.output.splitlines()
    assert lines[0].startswith("pipeline/p in team-a is READY")
    assert lines[2].split() == ["JOB", "STAGE", "STATE", "REASON", "POSITION", "WAITING"]
    rows = {line.split()[0]: line.split() for line in lines[3:6]}
    assert rows["a"][2:5] == ["READY", "ClientLimit", "1"]
    assert rows["b"][4] == "2"
    assert rows["ship"][2:5] == ["READY", "StageNotReached", "-"]
    assert "ClientLimit (a, b)\n  client acme 1/1 running\n" in answer.output
    assert f"What to do: {MEANING[Reason.CLIENT_LIMIT].remedy}" in answer.output
    plain = json.loads(crowded.tpctl("explain", "p", "-o", "json").output)
    assert [row["position"] for row in plain["jobs"]] == [1, 2, None]


def test_the_queue_is_in_the_operators_order(crowded: Site) -> None:
    crowded.submit("late", shell("a"), clientId="acme", priority=20)
    crowded.submit("soon", shell("a"), clientId="acme", priority=1)
    for name in ("late", "soon"):
        waits(crowded, name, "ClientLimit")
    answer = crowded.tpctl("queue")
    clients, order = answer.output.split("\n\n")
    assert clients.splitlines()[1].split()[:4] == ["acme", "10", "1", "1"]
    rows = [line.split() for line in order.splitlines()]
    assert rows[0] == ["POSITION", "NAMESPACE", "PIPELINE", "JOB", "CLIENT", "ORDER", "WAITING", "REASON"]
    assert [(row[0], row[2], row[5], row[7]) for row in rows[1:]] == [
        ("1", "soon", "10/1/0/10", "ClientLimit"),
        ("2", "late", "10/20/0/10", "ClientLimit"),
    ]
    assert "and 1 more; --limit 2 shows them" in crowded.tpctl("queue", "--limit", "1").output
    assert crowded.tpctl("queue", "none").exit_code == 5
    assert len(json.loads(crowded.tpctl("queue", "acme", "-o", "json").output)["items"]) == 2
    assert "client acme 1/1 running" in crowded.tpctl("queue", "-o", "wide").output


def test_a_failure_says_what_the_job_said(site: Site) -> None:
    site.submit("p", shell("good"), shell("bad", exit_code=3), shell("ship", "t"))
    site.until_state("p", "ERROR")
    answer = site.tpctl("explain", "p")
    assert ["bad", "s", "ERROR", "ExitCode", "-", "-"] in [line.split() for line in answer.output.splitlines()]
    assert "ExitCode (bad)\n  exit code 3" in answer.output
    assert "good" not in answer.output


def test_an_invalid_spec_is_told_fault_by_fault(site: Site) -> None:
    site.submit("p", shell("a", kind="Shel"), shell("b", params={}))
    site.until_state("p", "ERROR")
    answer = site.tpctl("explain", "p")
    assert answer.output.startswith("pipeline/p in team-a is ERROR, InvalidSpec")
    assert '\n  spec.jobs[0].kind: unknown kind "Shel"' in answer.output.replace(" (a)", "")
    assert "\n  spec.jobs[1]" in answer.output


def test_a_suspended_pipeline(site: Site) -> None:
    site.submit("p", shell("a"), suspend=True)
    site.until(lambda world: world.pipeline("p").get("reason") == "Suspended")
    answer = site.tpctl("explain", "p")
    assert "Suspended" in answer.output
    assert f"What to do: {MEANING[Reason.SUSPENDED].remedy}" in answer.output


def test_a_retry_says_when(tmp_path: Any) -> None:
    with Site(tmp_path, retry_backoff=300) as site:
        site.submit("p", shell("a", exit_code=1, retryAttempt=1))
        site.until(lambda world: any(job["status"].get("reason") == "RetryBackoff" for job in world.jobs("p")))
        answer = site.tpctl("explain", "p")
        assert "RetryBackoff (a)" in answer.output
        assert "next attempt at 20" in answer.output


def test_who_may_not_see_the_queue_is_told_so_and_no_wrong_number(crowded: Site) -> None:
    crowded.submit("p", shell("a"), clientId="acme")
    waits(crowded, "p", "ClientLimit")

    def forbid(request: Any) -> bool:
        return request.verb == "list" and request.namespace is None

    from task_pipeline.kube.errors import Forbidden

    error = Forbidden(403, "Forbidden", "pipelines is forbidden")
    crowded.do(lambda world: world.cluster.fault(forbid, before=error, times=None))
    answer = crowded.tpctl("explain", "p")
    assert answer.exit_code == 0
    assert "ClientLimit   -" in answer.output
    assert "positions are not known" in answer.output
    queue = crowded.tpctl("queue")
    assert queue.exit_code == 1
    assert "`explain NAME` says why your own jobs wait" in queue.output


def test_an_operator_that_does_not_run_is_suspected(quiet: Site) -> None:
    quiet.submit("p", shell("a"))
    quiet.do(lambda world: None)
    answer = quiet.tpctl("explain", "p")
    assert answer.exit_code == 0
    assert "has not seen it" not in answer.output
    old = {"metadata": {"name": "p", "namespace": "team-a", "creationTimestamp": "2026-01-31T12:00:00Z"}, "spec": {}}
    from task_pipeline.cli.explaining import explain

    assert "the operator has not seen it yet" in explain(old, [], None).head
