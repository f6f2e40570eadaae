"""The same verbs over REST: the words and the exit codes are those of the Kubernetes API."""

import json
from pathlib import Path

import pytest
import yaml

from task_pipeline.api.resources import PIPELINE_CLIENTS
from tests.cli.site import Site
from tests.cli.test_submit import manifest, text
from tests.scenario.world import shell


def test_a_life_over_rest(both: Site) -> None:
    body = text(manifest("p", shell("a", seconds=0.2), shell("b", "t")))
    made = both.tpctl("submit", "-f", "-", "--watch", stdin=body, rest=True)
    assert made.exit_code == 0, made.output
    assert "pipeline/p created" in made.output
    assert "t/b DONE Succeeded" in made.output
    both.wrote("p", "a", b"hello\n")
    assert both.tpctl("logs", "p", "--job", "a", rest=True).stdout == "hello\n"
    assert both.tpctl("get", "@latest", "-o", "name", rest=True).output == "pipeline.taskpipeline.dev/p\n"
    assert both.tpctl("get", "p", rest=True).output.splitlines()[0].startswith("✔ p  DONE  Succeeded  2/2")
    row = both.tpctl("list", "-o", "wide", rest=True).output.splitlines()[1].split()
    assert row[:3] == ["p", "DONE", "Succeeded"]
    assert "acme" in row
    assert json.loads(both.tpctl("list", "-o", "json", rest=True).output)["items"][0]["metadata"]["name"] == "p"
    assert both.tpctl("rerun", "p", "--all", "--wait", rest=True).exit_code == 0
    assert both.tpctl("delete", "p", rest=True).output == "pipeline/p deleted\n"
    assert both.tpctl("get", "p", rest=True).exit_code == 5


def test_actions_and_ends_over_rest(both: Site) -> None:
    both.submit("p", shell("a", seconds=60), clientId="acme")
    both.until_state("p", "IN PROGRESS")
    assert both.tpctl("suspend", "p", rest=True).output == "pipeline/p suspended\n"
    assert both.tpctl("resume", "p", rest=True).output == "pipeline/p resumed\n"
    assert both.tpctl("wait", "p", "--timeout", "1", rest=True).exit_code == 124
    assert both.tpctl("cancel", "p", "--job", "a", rest=True).exit_code == 0
    assert both.tpctl("cancel", "p", rest=True).exit_code == 0
    assert both.tpctl("wait", "p", rest=True).exit_code == 4


def test_explain_and_queue_over_rest(both: Site) -> None:
    closed = {"spec": {"maxRunningJobs": 0}}
    both.do(lambda world: world.cluster.admin.patch(PIPELINE_CLIENTS, "acme", closed, "task-pipeline"))
    both.submit("p", shell("a"), clientId="acme")
    both.submit("theirs", shell("a"), suspend=True)
    both.until(lambda world: world.pipeline("p").get("reason") == "ClientLimit")
    explained = both.tpctl("explain", "p", rest=True)
    assert explained.exit_code == 0
    assert "client acme 0/0 running" in explained.output
    queue = both.tpctl("queue", rest=True)
    assert queue.exit_code == 0, queue.output
    assert "ClientLimit" in queue.output
    assert "theirs" not in queue.output
    assert both.tpctl("queue", "acme", rest=True).exit_code == 0
    assert both.tpctl("queue", "default", rest=True).exit_code == 5
    assert both.tpctl("client", "list", rest=True).output.splitlines()[1].split()[:4] == ["acme", "10", "0", "0"]


def test_refusals_over_rest_name_the_place_in_the_file(both: Site, tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(text(manifest("p", shell("a", timeout=0, kind="Shel"))))
    for more in ((), ("--dry-run", "server")):
        answer = both.tpctl("submit", "-f", str(path), *more, rest=True)
        assert answer.exit_code == 1
        assert f"{path}:19:5: spec.jobs[0].timeout: must be 1 or more, got the number 0" in answer.output
        assert "spec.jobs[0].kind: unknown kind" in answer.output
    other = manifest("p", shell("a"))
    other["spec"]["clientId"] = "default"
    refused = both.tpctl("submit", "-f", "-", stdin=text(other), rest=True)
    assert refused.exit_code == 1
    assert "a client submits for itself only" in refused.output
    assert (
        both.tpctl(
            "submit", "-f", "-", "--dry-run", "server", stdin=text(manifest("p", shell("a"))), rest=True
        ).exit_code
        == 0
    )
    assert both.tpctl("submit", "-f", "-", stdin=text(manifest("p", shell("a"))), rest=True).exit_code == 0
    taken = both.tpctl("submit", "-f", "-", stdin=text(manifest("p", shell("a"))), rest=True)
    assert "exists already" in taken.output


def test_credentials_come_from_the_environment_or_files_and_stay_secret(both: Site, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(both.secret + "\n")
    for environ in (
        {"TPCTL_CLIENT": "acme", "TPCTL_CLIENT_SECRET_FILE": str(tmp_path / "secret")},
        {"TPCTL_CLIENT": "acme", "TPCTL_CLIENT_SECRET": both.secret},
    ):
        assert both.tpctl("--server", both.url, "-n", "team-a", "list", environ=environ).exit_code == 0
    for environ, words in (
        ({}, "does not accept the credential"),
        ({"TPCTL_TOKEN": "wrong-token"}, "does not accept the credential"),
        ({"TPCTL_CLIENT": "acme"}, "without TPCTL_CLIENT_SECRET"),
        ({"TPCTL_TOKEN_FILE": str(tmp_path / "none")}, "cannot be read"),
        ({"TPCTL_TOKEN": "a\nb"}, "characters that no header can carry"),
    ):
        answer = both.tpctl("--server", both.url, "-n", "team-a", "list", environ=environ)
        assert answer.exit_code == 1, environ
        assert words in answer.output
        assert "wrong-token" not in answer.output
        assert both.secret not in answer.output


def test_kinds_are_the_servers(both: Site) -> None:
    assert both.tpctl("kinds", "-o", "name", rest=True).output.split()[0] == "HTTP"


def test_what_rest_does_not_offer(both: Site) -> None:
    environ = {"TPCTL_CLIENT": "", "TPCTL_TOKEN": "x"}
    assert both.tpctl("client", "list", rest=True, environ=environ).exit_code == 2
    assert both.tpctl("client", "secret", "acme", rest=True).exit_code == 2


@pytest.mark.parametrize("server", ["nonsense", "ftp://x", "http://127.0.0.1:1"])
def test_a_wrong_address(quiet: Site, server: str) -> None:
    answer = quiet.tpctl("--server", server, "list")
    assert answer.exit_code == 1
    assert server in answer.output


def test_yaml_over_rest_reads_back(both: Site) -> None:
    both.submit("p", shell("a"), clientId="acme")
    assert yaml.safe_load(both.tpctl("get", "p", "-o", "yaml", rest=True).output)["spec"]["clientId"] == "acme"
