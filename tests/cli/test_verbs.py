"""Every verb on a Kubernetes API: what it does, what it prints, and how it ends."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from task_pipeline.api.resources import PIPELINES, SECRETS
from tests.cli.site import LiveWorld, Site
from tests.cli.test_submit import manifest
from tests.scenario.world import shell

STATES = ("READY", "IN PROGRESS", "DONE", "ERROR", "CANCELLED")


def spec_of(site: Site, name: str) -> dict[str, Any]:
    found: dict[str, Any] = site.do(lambda world: world.cluster.admin.get(PIPELINES, name, "team-a"))["spec"]
    return found


def test_b058_every_column_is_filled_in_every_state(quiet: Site) -> None:
    for state in STATES:
        name = state.lower().replace(" ", "-")
        quiet.submit(name, shell("a"), shell("b", "t"), priority=3)
        started = {"startTime": "2026-01-31T12:00:00Z"} if state != "READY" else {}
        if state != "READY":
            quiet.status(name, state="IN PROGRESS", observedGeneration=1, **started)
        fields = {"reason": "Queued", "progress": "1/2", "stage": "s"}
        quiet.status(name, state=state, observedGeneration=1, **fields, **started)
    answer = quiet.tpctl("list", "-o", "wide")
    head, *rows = answer.output.splitlines()
    assert head.split() == ["NAME", "STATE", "REASON", "STAGE", "PROGRESS", "AGE", "CLIENT", "PRIORITY", "STARTED"]
    assert len(rows) == len(STATES)
    for row in rows:
        cells = [cell.strip() for cell in row.split("   ") if cell.strip()]
        assert cells[1] in STATES
        assert cells[2:5] == ["Queued", "s", "1/2"]
        assert cells[5].strip("0123456789") in ("s", "m")
        assert cells[6:8] == ["default", "3"]
        assert "T" not in cells[8]
        assert "{" not in row
    wide = quiet.tpctl("get", "done", "-o", "wide").output.splitlines()
    assert wide[0].split() == ["STAGE", "JOB", "KIND", "STATE", "REASON", "ATTEMPT", "TIME", "NODE", "MESSAGE"]


@pytest.mark.parametrize(
    ("job", "more", "code"),
    [
        (shell("a", seconds=0.3), {}, 0),
        (shell("a", seconds=0.3, exit_code=1), {}, 1),
        (shell("a", seconds=0.3, exit_code=1, allowFailure=True), {}, 0),
        (shell("a"), {"cancel": "Now"}, 4),
        (shell("a", kind="Nope"), {}, 1),
    ],
)
def test_b057_one_wait_returns_in_every_outcome(site: Site, job: Any, more: dict[str, str], code: int) -> None:
    site.submit("x", job, **more)
    assert site.tpctl("wait", "x", "--timeout", "20s").exit_code == code
    assert site.tpctl("wait", "x", "--timeout", "20s").exit_code == code


def test_list_is_narrowed_by_the_server(quiet: Site) -> None:
    for number in range(5):
        quiet.submit(f"p-{number}", shell("a"), clientId="default" if number else "other")
    quiet.status("p-3", state="CANCELLED")
    quiet.do(lambda world: world.cluster.admin.patch(PIPELINES, "p-1", {"metadata": {"labels": {"a": "b"}}}, "team-a"))

    def names(*more: str) -> list[str]:
        answer = quiet.tpctl("list", "-o", "name", *more)
        assert answer.exit_code == 0
        return [line.rpartition("/")[2] for line in answer.output.splitlines()]

    assert names("--state", "cancelled") == ["p-3"]
    assert names("--client", "other") == ["p-0"]
    assert names("-l", "a=b") == ["p-1"]
    assert names("--limit", "2") == ["p-0", "p-1"]
    assert len(names("-A")) == 5
    assert quiet.tpctl("list", "--no-headers").output.splitlines()[0].startswith("p-0 ")
    assert len(json.loads(quiet.tpctl("list", "-o", "json").output)["items"]) == 5
    assert yaml.safe_load(quiet.tpctl("list", "-o", "yaml", "--limit", "1").output)["kind"] == "List"
    assert quiet.tpctl("list", "-n", "team-b").output == "no Pipelines in team-b\n"
    assert "no Pipelines that match" in quiet.tpctl("list", "--state", "done").output


def test_pages_are_printed_as_they_come(quiet: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("task_pipeline.cli.kube_backend.FIRST_PAGE", 2)
    monkeypatch.setattr("task_pipeline.cli.kube_backend.PAGE", 3)
    for number in range(9):
        quiet.submit(f"p-{number}", shell("a"))
    answer = quiet.tpctl("list")
    assert [line.split()[0] for line in answer.output.splitlines()] == ["NAME", *(f"p-{number}" for number in range(9))]
    assert sum("pipelines" in request for request in quiet.server.requests) == 4


def test_get_shows_the_tree(site: Site) -> None:
    site.submit("p", shell("unit"), shell("lint", exit_code=3, allowFailure=True), shell("ship", "t"), suspend=False)
    site.until_state("p", "DONE")
    lines = site.tpctl("get", "tpl/p").output.splitlines()
    assert lines[0].startswith("✔ p  DONE  SucceededWithWarnings  3/3")
    assert lines[1].strip() == "✔ s  2/2"
    assert lines[3].split()[:4] == ["✖", "lint", "ERROR", "ExitCode"]
    assert lines[5].split()[:3] == ["✔", "ship", "DONE"]


def test_what_is_not_there_is_5(quiet: Site) -> None:
    for verb in ("get", "wait", "watch", "logs", "explain", "cancel", "suspend", "resume", "rerun", "delete"):
        answer = quiet.tpctl(verb, "none")
        assert (answer.exit_code, answer.output) == (5, "tpctl: there is no Pipeline none in the namespace team-a\n"), (
            verb
        )
    assert quiet.tpctl("get", "@latest").exit_code == 5
    assert quiet.tpctl("delete", "none", "--ignore-not-found").exit_code == 0


def test_suspend_resume_cancel(quiet: Site) -> None:
    quiet.submit("p", shell("a"))
    assert quiet.tpctl("suspend", "p").output == "pipeline/p suspended\n"
    assert spec_of(quiet, "p")["suspend"] is True
    assert quiet.tpctl("resume", "p").output == "pipeline/p resumed\n"
    assert spec_of(quiet, "p")["suspend"] is False
    assert quiet.tpctl("cancel", "p", "--drain").output == "pipeline/p drains\n"
    assert spec_of(quiet, "p")["cancel"] == "Drain"
    assert quiet.tpctl("cancel", "p").exit_code == 0
    assert quiet.tpctl("cancel", "p", "--drain").exit_code == 0
    assert spec_of(quiet, "p")["cancel"] == "Now"
    quiet.status("p", state="CANCELLED")
    assert quiet.tpctl("cancel", "p").output == "pipeline/p is CANCELLED already\n"


def test_one_job_is_cancelled(site: Site) -> None:
    site.submit("p", shell("a", seconds=60), shell("b", seconds=0.1))
    site.until_state("p", "IN PROGRESS")
    assert site.tpctl("cancel", "p", "--job", "a").exit_code == 0
    assert site.tpctl("wait", "p").exit_code in (1, 4)
    assert site.job("p", "a")["status"]["state"] == "CANCELLED"
    assert site.tpctl("cancel", "p", "--job", "none").exit_code == 5


def test_rerun(site: Site) -> None:
    site.submit("p", shell("good"), shell("bad", exit_code=1))
    early = site.tpctl("rerun", "p")
    assert early.exit_code in (0, 1)
    site.until_state("p", "ERROR")
    again = site.tpctl("rerun", "p", "--wait")
    assert again.exit_code == 1
    assert "pipeline/p runs again (failed)" in again.output
    runs = {job["spec"]["name"]: job["spec"]["run"] for job in site.do(lambda world: world.jobs("p"))}
    assert runs["good"] == 1
    everything = site.tpctl("rerun", "p", "--all", "--watch")
    assert everything.exit_code == 1
    assert "s/good DONE Succeeded" in everything.output


def test_a_rerun_takes_back_a_cancel(quiet: Site) -> None:
    quiet.submit("p", shell("a"), cancel="Now")
    quiet.status("p", state="CANCELLED")
    assert quiet.tpctl("rerun", "p", "--all").exit_code == 0
    spec = spec_of(quiet, "p")
    assert "cancel" not in spec
    assert spec["rerun"]["scope"] == "All"


def test_a_rerun_that_is_refused_says_why(site: Site) -> None:
    site.submit("p", shell("a"))
    site.until_state("p", "DONE")
    answer = site.tpctl("rerun", "p", "--wait")
    assert answer.exit_code == 1
    assert "every job is DONE already; use scope All" in answer.output


def test_a_rerun_of_what_runs_is_refused(quiet: Site) -> None:
    quiet.submit("p", shell("a"))
    answer = quiet.tpctl("rerun", "p")
    assert answer.exit_code == 1
    assert "the Pipeline is READY: wait for its end, or cancel it" in answer.output


def test_delete(site: Site) -> None:
    for name in ("p", "q"):
        site.submit(name, shell("a"))
    answer = site.tpctl("delete", "p", "none", "pipeline/q")
    assert answer.exit_code == 5
    assert "pipeline/p deleted\npipeline/q deleted\n" in answer.output
    assert site.do(lambda world: world.cluster.admin.list(PIPELINES)) == []


def test_what_is_deleted_while_it_is_watched_is_5(site: Site) -> None:
    import threading

    site.submit("p", shell("a", seconds=60))
    site.until_state("p", "IN PROGRESS")
    timer = threading.Timer(0.5, lambda: site.do(lambda world: world.cluster.admin.delete(PIPELINES, "p", "team-a")))
    timer.start()
    answer = site.tpctl("wait", "p", "--timeout", "20s")
    timer.join()
    assert (answer.exit_code, answer.output) == (5, "tpctl: the Pipeline p was deleted meanwhile\n")


def test_clients(quiet: Site) -> None:
    quiet.do(lambda world: world.client("acme", priority=5, maxRunningJobs=0, suspend=True, namespaces=["team-a"]))
    lines = quiet.tpctl("client", "list", "-o", "wide").output.splitlines()
    assert lines[1].split()[:7] == ["acme", "5", "0", "0", "0", "unlimited", "yes"]
    assert lines[1].split()[-1] == "team-a"
    assert quiet.tpctl("client", "list", "-o", "name").output.split()[0] == "pipelineclient.taskpipeline.dev/acme"
    assert json.loads(quiet.tpctl("client", "list", "-o", "json").output)["items"][0]["name"] == "acme"
    none = quiet.tpctl("client", "list", "--operator-namespace", "default")
    assert none.output == "no clients in default\n"


def test_a_secret_is_printed_once_and_only_its_hash_is_kept(quiet: Site) -> None:
    answer = quiet.tpctl("client", "secret", "default")
    assert answer.exit_code == 0, answer.output
    secret = answer.stdout.strip()
    assert len(secret) >= 40
    stored = quiet.do(lambda world: world.cluster.admin.list(SECRETS, "task-pipeline"))
    assert secret not in json.dumps(stored)
    assert quiet.tpctl("client", "secret", "none").exit_code == 5
    assert quiet.tpctl("client", "secret", "default", "--old-for", "24h", "--no-reference").exit_code == 2
    assert "add to spec.credentials" in quiet.tpctl("client", "secret", "default", "--no-reference").stderr


def test_kinds() -> None:
    from click.testing import CliRunner

    from task_pipeline.cli.program import program

    def kinds(*arguments: str) -> str:
        answer = CliRunner().invoke(program, ["kinds", *arguments])
        assert answer.exit_code == 0
        return answer.output

    assert [line.split()[0] for line in kinds().splitlines()[1:]] == [
        "HTTP",
        "K8S/Deployment",
        "K8S/Job",
        "Shell",
        "Worker",
    ]
    assert kinds("-o", "name").split() == ["HTTP", "K8S/Deployment", "K8S/Job", "Shell", "Worker"]
    assert "script " in kinds("shell")
    assert json.loads(kinds("Worker", "-o", "json"))["items"][0]["versions"][0]["params"]["required"] == ["queue"]
    wrong = CliRunner().invoke(program, ["kinds", "Shel"])
    assert wrong.exit_code == 5


@pytest.mark.parametrize("verb", ["get", "wait", "logs", "delete", "cancel", "queue"])
@pytest.mark.parametrize("name", ["", "..", "pipeline/"])
def test_what_can_be_no_name_is_wrong_usage(quiet: Site, verb: str, name: str) -> None:
    answer = quiet.tpctl(verb, name)
    assert answer.exit_code == 2, answer.output
    assert "is no name of an object" in answer.output
    assert quiet.server.requests == []


@pytest.mark.parametrize("option", ["-n", "--operator-namespace"])
@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "a" * 64, "-a", "a\n"])
def test_what_can_be_no_namespace_is_wrong_usage(quiet: Site, option: str, name: str) -> None:
    answer = quiet.tpctl("list", option, name)
    assert answer.exit_code == 2, answer.output
    assert "is no name of a namespace" in answer.output
    assert quiet.server.requests == []


@pytest.mark.parametrize("rest", [False, True])
@pytest.mark.parametrize("verb", ["delete", "cancel", "suspend", "resume", "rerun"])
def test_what_changes_something_takes_no_latest_of_two(both: Site, verb: str, rest: bool) -> None:
    def twice(world: LiveWorld) -> None:
        now, ever = datetime.now(UTC), world.cluster.registry.now
        world.cluster.registry.now = lambda: now
        world.submit("p", shell("a"), namespace="team-a", clientId="acme", suspend=True)
        world.submit("q", shell("a"), namespace="team-a", clientId="acme", suspend=True)
        world.cluster.registry.now = ever

    both.do(twice)
    answer = both.tpctl(verb, "@latest", rest=rest)
    assert answer.exit_code == 1
    assert "@latest may be any of p, q, made in one second" in answer.output
    assert both.tpctl("get", "@latest", "-o", "name", rest=rest).exit_code == 0
    both.tpctl("delete", "p", rest=rest)
    both.until(lambda world: world.cluster.admin.find(PIPELINES, "p", "team-a") is None)
    assert both.tpctl("suspend", "@latest", rest=rest).output == "pipeline/q suspended\n"


def test_a_namespace_that_makes_no_path_is_wrong_usage_wherever_it_comes_from(quiet: Site, tmp_path: Path) -> None:
    file = tmp_path / "p.json"
    file.write_text(json.dumps(manifest("p", shell("a")) | {"metadata": {"name": "p", "namespace": ".."}}))
    answer = quiet.tpctl("submit", "-f", str(file))
    assert answer.exit_code == 2, answer.output
    assert "'..' is no name of an object" in answer.output
    assert quiet.server.requests == []
