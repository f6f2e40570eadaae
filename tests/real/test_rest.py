"""The REST server as a process on a real API server: submit, follow, change, cancel, delete, and a clean stop."""

import secrets
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from task_pipeline.entrypoints import client_secret
from tests.cluster import Cluster
from tests.contract.kubectl import Kubectl, manifest
from tests.operators import OperatorProcess
from tests.real.pipelines import PATIENCE, shell
from tests.servers import Reply, ServerProcess

pytestmark = pytest.mark.cluster

User = tuple[str, str]


@pytest.fixture
def server(installed: Cluster, tmp_path: Path) -> Iterator[ServerProcess]:
    """A running server; its log must hold no fault of its own."""
    log = tmp_path / "server.log"
    log.touch()
    made = ServerProcess(installed.kubeconfig, log)
    made.start()
    yield made
    made.kill()
    assert '"traceback"' not in log.read_text(), log.read_text()


@pytest.fixture
def user(installed: Cluster, kubectl: Kubectl) -> Iterator[User]:
    """A client of the test's namespace and its secret."""
    own, name = Kubectl(installed.paths.kubectl, "task-pipeline"), f"rest-{secrets.token_hex(4)}"
    own.ok("create", "-f", "-", stdin=manifest("PipelineClient", name, {"namespaces": [kubectl.namespace]}))
    made = CliRunner().invoke(client_secret.main, ["--kubeconfig", str(installed.kubeconfig), name])
    assert made.exit_code == 0, made.output
    yield name, made.stdout.strip()
    own.ok("delete", "pclient", name, "--ignore-not-found")


def body(name: str | None, *jobs: dict[str, Any], **fields: Any) -> dict[str, Any]:
    stages = list(dict.fromkeys(job["stage"] for job in jobs))
    return {"metadata": {"name": name} if name else {}, "spec": {"stages": stages, "jobs": list(jobs)} | fields}


def follow(server: ServerProcess, user: User, path: str, *states: str) -> Reply:
    """Read a Pipeline again and again until it is in one of `states`."""
    deadline = time.monotonic() + PATIENCE
    while True:
        reply = server.request("GET", path, user=user)
        if reply.body["status"]["state"] in states:
            return reply
        assert time.monotonic() < deadline, reply.body["status"]
        time.sleep(0.1)


def test_a_pipeline_is_submitted_followed_and_deleted(
    server: ServerProcess, operator: OperatorProcess, kubectl: Kubectl, user: User
) -> None:
    collection = f"/api/v1/namespaces/{kubectl.namespace}/pipelines"
    key = {"Idempotency-Key": secrets.token_hex(8)}
    wanted = body(None, shell("a"), shell("b", "t"))
    made = server.request("POST", collection, wanted, user=user, headers=key)
    again = server.request("POST", collection, wanted, user=user, headers=key)
    other = server.request("POST", collection, body(None, shell("c")), user=user, headers=key)
    assert (made.status, again.status, other.status) == (201, 200, 422), (made, other)
    assert again.body["metadata"]["uid"] == made.body["metadata"]["uid"]
    path = made.headers["location"]
    done = follow(server, user, path, "DONE", "ERROR")
    assert done.body["status"]["progress"] == "2/2"
    assert done.body["spec"] == made.body["spec"]
    assert server.request("GET", path, user=user, headers={"If-None-Match": done.headers["etag"]}).status == 304

    def listed(query: str) -> list[str]:
        page = server.request("GET", f"{collection}?{query}", user=user)
        return [item["metadata"]["name"] for item in page.body["items"]]

    name = done.body["metadata"]["name"]
    assert (listed("state=DONE"), listed("state=IN%20PROGRESS")) == ([name], [])
    jobs = server.request("GET", f"{path}/jobs?state=DONE&stage=t", user=user).body["items"]
    assert [job["spec"]["name"] for job in jobs] == ["b"]
    assert server.request("GET", f"{path}/jobs/a", user=user).body["status"]["state"] == "DONE"
    assert server.request("DELETE", path, user=user, headers={"If-Match": '"1"'}).status == 412
    assert server.request("DELETE", path, user=user).status == 204
    assert server.request("GET", path, user=user).status == 404


def test_a_running_pipeline_is_changed_cancelled_and_run_again(
    server: ServerProcess, operator: OperatorProcess, kubectl: Kubectl, user: User
) -> None:
    collection = f"/api/v1/namespaces/{kubectl.namespace}/pipelines"
    path = f"{collection}/long"
    assert server.request("POST", collection, body("long", shell("a", seconds=300)), user=user).status == 201
    follow(server, user, path, "IN PROGRESS")
    assert server.request("POST", f"{path}:rerun", user=user).body["reason"] == "NotFinished"
    for action, suspended in (("suspend", True), ("resume", False)):
        assert server.request("POST", f"{path}:{action}", user=user).body["spec"]["suspend"] is suspended
    patched = server.request("PATCH", path, {"spec": {"priority": 3, "failFast": True}}, user=user)
    assert (patched.status, patched.body["spec"]["priority"]) == (200, 3)
    assert server.request("PATCH", f"{path}/jobs/a", {"spec": {"priority": 1}}, user=user).status == 200
    assert server.request("POST", f"{path}:cancel", {"mode": "Now"}, user=user).status == 200
    follow(server, user, path, "CANCELLED")
    assert server.request("POST", f"{path}:rerun", {"id": "2", "scope": "All"}, user=user).status == 200
    assert follow(server, user, path, "IN PROGRESS").body["status"]["run"] == 2
    assert server.request("POST", f"{path}/jobs/a:cancel", user=user).status == 200
    assert follow(server, user, path, "CANCELLED", "ERROR").body["status"]["run"] == 2


def test_what_the_api_server_says_is_understood(server: ServerProcess, kubectl: Kubectl, user: User) -> None:
    collection = f"/api/v1/namespaces/{kubectl.namespace}/pipelines"
    for name in ("a", "b", "c"):
        assert server.request("POST", collection, body(name, shell("a"), suspend=True), user=user).status == 201
    assert server.request("POST", collection, body("a", shell("a")), user=user).body["reason"] == "AlreadyExists"
    wrong = server.request("GET", f"{collection}?labelSelector=%3D%3D", user=user)
    assert (wrong.status, wrong.body["errors"][0]["path"]) == (400, "query.labelSelector")
    page = server.request("GET", f"{collection}?limit=2", user=user)
    rest = server.request("GET", f"{collection}?limit=2&continue={page.body['metadata']['continue']}", user=user)
    assert [item["metadata"]["name"] for item in page.body["items"] + rest.body["items"]] == ["a", "b", "c"]
    assert "continue" not in rest.body["metadata"]
    forged = server.request("GET", f"{collection}?continue=WyJwaXBlbGluZXMiLCJ4IiwibmljaHRzIl0", user=user)
    assert (forged.status, forged.body.get("items")) == (200, []), forged.body
    own = f'["pipelines","{kubectl.namespace}","nothing"]'
    broken = server.request("GET", f"{collection}?continue={urlsafe_b64encode(own.encode()).decode()}", user=user)
    assert (broken.status, broken.body["errors"][0]["path"]) == (400, "query.continue")
    long = body("labelled", shell("a"))
    long["metadata"]["labels"] = {"a": "not a label value!"}
    assert server.request("POST", collection, long, user=user).body["reason"] == "Invalid"
    mine = server.request("GET", "/api/v1/namespaces/-/pipelines", user=user).body["items"]
    assert [item["metadata"]["name"] for item in mine] == ["a", "b", "c"]


def test_many_writers_of_one_pipeline_all_succeed(server: ServerProcess, kubectl: Kubectl, user: User) -> None:
    collection = f"/api/v1/namespaces/{kubectl.namespace}/pipelines"
    assert server.request("POST", collection, body("busy", shell("a"), suspend=True), user=user).status == 201
    statuses: list[int] = []

    def write(number: int) -> None:
        reply = server.request("PATCH", f"{collection}/busy", {"spec": {"priority": number}}, user=user)
        statuses.append(reply.status)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 8


def test_the_server_stops_within_its_bound_and_leaves_with_0(server: ServerProcess) -> None:
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 11
    assert "stopped" in server.log.read_text()
