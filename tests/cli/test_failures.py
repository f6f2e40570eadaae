"""What goes wrong on the way to the cluster: one line that names the place and the way out, and a bounded time."""

import time
from typing import Any

import pytest

from task_pipeline.kube.errors import ServerError, Unreachable
from tests.cli.apiserver import TOKEN
from tests.cli.site import Site
from tests.scenario.world import shell


def one_line(answer: Any, code: int = 1) -> str:
    assert answer.exit_code == code, answer.output
    (line,) = answer.output.splitlines()
    assert line.startswith("tpctl: ")
    assert TOKEN not in line
    assert "Traceback" not in line
    return str(line)


def test_no_cluster_at_the_address(quiet: Site) -> None:
    text = quiet.kubeconfig.read_text()
    quiet.kubeconfig.write_text(text.replace("http://127.0.0.1:", "http://127.0.0.1:1/x"))
    line = one_line(quiet.tpctl("list"))
    assert "context fake" in line
    assert "cannot be reached" in line


def test_a_credential_that_is_refused(quiet: Site) -> None:
    quiet.kubeconfig.write_text(quiet.kubeconfig.read_text().replace(TOKEN, "stale"))
    line = one_line(quiet.tpctl("list"))
    assert "does not accept the credential: log in again" in line
    assert "stale" not in line


def test_a_right_that_is_missing(quiet: Site) -> None:
    quiet.server.refuse = [(403, "Forbidden", 'pipelines is forbidden: User "x" cannot list\nresource')]
    line = one_line(quiet.tpctl("list"))
    assert 'User "x" cannot list resource; ask for the right' in line


@pytest.mark.parametrize("status", [429, 500, 503])
def test_trouble_that_passes_is_not_seen(quiet: Site, status: int) -> None:
    quiet.submit("p", shell("a"))
    quiet.server.refuse = [(status, "", "not now"), (status, "", "not now")]
    assert quiet.tpctl("get", "p", "-o", "name").exit_code == 0


def test_trouble_that_stays_is_told(quiet: Site) -> None:
    quiet.server.refuse = [(503, "ServiceUnavailable", "not now")] * 9
    assert "is not well (503 ServiceUnavailable): not now; try again" in one_line(quiet.tpctl("list"))


def test_an_answer_that_does_not_come(quiet: Site) -> None:
    quiet.server.delay = 30
    began = time.monotonic()
    line = one_line(quiet.tpctl("--request-timeout", "1s", "submit", "-f", "-", stdin=SUBMITTED))
    assert time.monotonic() - began < 20
    assert "no answer within 1 s" in line
    assert "it may have been created all the same: see `list`" in line


SUBMITTED = """
apiVersion: taskpipeline.dev/v1alpha1
kind: Pipeline
metadata: {name: p}
spec: {stages: [s], jobs: [{name: a, stage: s, kind: Shell, version: 1.0.0, params: {image: b, script: x}}]}
"""


def test_a_cluster_without_the_crds(quiet: Site) -> None:
    quiet.server.refuse = [(404, "NotFound", "the server could not find the requested resource")]
    assert "install the CRDs" in one_line(quiet.tpctl("get", "p"), 5)


def test_a_message_of_the_server_is_harmless(quiet: Site) -> None:
    quiet.server.refuse = [(409, "Conflict", "\x1b[2Jgone\x07")] * 9
    line = one_line(quiet.tpctl("list"))
    assert "\x1b" not in line
    assert "\\u001b[2Jgone\\u0007" in line


def test_a_watch_that_breaks_goes_on(site: Site) -> None:
    site.submit("p", shell("a", seconds=1.5))
    site.until_state("p", "IN PROGRESS")

    def broken(request: Any) -> bool:
        return bool(request.verb == "watch")

    site.do(lambda world: world.cluster.fault(broken, before=ServerError(500, "", "broken"), times=2))
    answer = site.tpctl("wait", "p", "--timeout", "20s")
    assert answer.exit_code == 0, answer.output
    assert "no news of the cluster, trying again" in answer.stderr


def test_a_place_that_is_too_old_begins_anew(site: Site) -> None:
    site.submit("p", shell("a", seconds=1))
    site.until_state("p", "IN PROGRESS")

    def watches(request: Any) -> bool:
        return bool(request.verb == "watch")

    site.do(lambda world: world.cluster.fault(watches, before=Unreachable("lost"), times=1))
    site.do(lambda world: world.cluster.compact())
    assert site.tpctl("wait", "p", "--timeout", "20s").exit_code == 0


@pytest.mark.parametrize(
    "arguments",
    [("list", "--limit", "0"), ("wait", "p", "--timeout", "soon"), ("submit",), ("nonsense",), ("list", "-o", "x")],
)
def test_wrong_usage_is_2(quiet: Site, arguments: tuple[str, ...]) -> None:
    answer = quiet.tpctl(*arguments)
    assert answer.exit_code == 2
    assert "Usage:" in answer.output
    assert quiet.server.requests == []


def test_options_may_stand_before_and_behind_the_verb(quiet: Site) -> None:
    quiet.submit("p", shell("a"), namespace="team-b")
    assert quiet.tpctl("-n", "team-b", "get", "p", "-o", "name").exit_code == 0
    assert quiet.tpctl("get", "p", "-o", "name", "-n", "team-b").exit_code == 0
    assert quiet.tpctl("-n", "default", "get", "p", "-o", "name", "-n", "team-b").exit_code == 0
