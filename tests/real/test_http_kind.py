"""The whole way with real processes: submitted over REST, divided, sent to a service outside, reported, done."""

import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from task_pipeline.entrypoints import client_secret
from tests.cluster import Cluster
from tests.contract.kubectl import Kubectl, manifest
from tests.operators import OperatorProcess
from tests.real.pipelines import PATIENCE, shell
from tests.real.users import service_account
from tests.runners import RunnerProcess, ServiceProcess
from tests.servers import ServerProcess

pytestmark = pytest.mark.cluster

User = tuple[str, str]
Raw = dict[str, Any]


@pytest.fixture
def service() -> Iterator[ServiceProcess]:
    made = ServiceProcess()
    yield made
    made.stop()


@pytest.fixture
def server(installed: Cluster, kubectl: Kubectl, tmp_path: Path) -> Iterator[ServerProcess]:
    """A REST server that knows the runner of the test's namespace, with leases of 6 s."""
    log = tmp_path / "server.log"
    log.touch()
    account = f"{kubectl.namespace}/http-runner"
    settings = {"TASK_PIPELINE_HTTP_RUNNER_ACCOUNT": account, "TASK_PIPELINE_WORKER_LEASE": "6"}
    made = ServerProcess(installed.kubeconfig, log, settings)
    made.start()
    yield made
    made.kill()
    assert '"traceback"' not in log.read_text(), log.read_text()


@pytest.fixture
def new_runner(
    server: ServerProcess, service: ServiceProcess, kubectl: Kubectl, tmp_path: Path
) -> Iterator[Callable[[], RunnerProcess]]:
    """Makes running HTTP runners, which may send to the service only."""
    service_account(kubectl, "http-runner")
    token = tmp_path / "token"
    token.write_text(kubectl.ok("create", "token", "http-runner", "--audience=task-pipeline"))
    made: list[RunnerProcess] = []

    def make() -> RunnerProcess:
        log = tmp_path / f"runner-{len(made)}.log"
        log.touch()
        settings = {
            "TASK_PIPELINE_SERVER_URL": f"http://127.0.0.1:{server.port}",
            "TASK_PIPELINE_HTTP_RUNNER_TOKEN_FILE": str(token),
            "TASK_PIPELINE_HTTP_ALLOW": service.origin,
        }
        made.append(RunnerProcess(log, settings))
        made[-1].start()
        return made[-1]

    yield make
    for runner in made:
        runner.kill()
        assert '"traceback"' not in runner.log.read_text(), runner.log.read_text()


@pytest.fixture
def user(installed: Cluster, kubectl: Kubectl) -> Iterator[User]:
    """A client of the test's namespace and its secret."""
    own, name = Kubectl(installed.paths.kubectl, "task-pipeline"), f"http-{secrets.token_hex(4)}"
    own.ok("create", "-f", "-", stdin=manifest("PipelineClient", name, {"namespaces": [kubectl.namespace]}))
    made = CliRunner().invoke(client_secret.main, ["--kubeconfig", str(installed.kubeconfig), name])
    assert made.exit_code == 0, made.output
    yield name, made.stdout.strip()
    own.ok("delete", "pclient", name, "--ignore-not-found")


def http(name: str, stage: str, url: str, *, retry: int = 0, **params: Any) -> Raw:
    """An HTTP job."""
    job = {"name": name, "stage": stage, "kind": "HTTP", "version": "1.0.0", "params": {"url": url, **params}}
    return job | ({"retryAttempt": retry} if retry else {})


class Run:
    """A Pipeline that has been submitted over REST."""

    def __init__(self, server: ServerProcess, user: User, namespace: str, *jobs: Raw) -> None:
        self._server, self._user = server, user
        collection = f"/api/v1/namespaces/{namespace}/pipelines"
        stages = list(dict.fromkeys(job["stage"] for job in jobs))
        spec = {"stages": stages, "jobs": list(jobs)}
        made = server.request("POST", collection, {"metadata": {"name": "seed"}, "spec": spec}, user=user)
        assert made.status == 201, made
        self._path = made.headers["location"]

    def status(self) -> Raw:
        """The Pipeline's status."""
        status: Raw = self._server.request("GET", self._path, user=self._user).body["status"]
        return status

    def job(self, name: str) -> Raw:
        """The status of a job; {} as long as its stage has not been opened."""
        reply = self._server.request("GET", f"{self._path}/jobs/{name}", user=self._user)
        status: Raw = reply.body["status"] if reply.status == 200 else {}
        return status

    def follow(self, *states: str) -> Raw:
        """The Pipeline's status once it is in one of `states`."""
        return self.until(self.status, lambda status: status["state"] in states)

    def until(self, read: Callable[[], Raw], true: Callable[[Raw], bool]) -> Raw:
        """What is read, once it is so."""
        deadline = time.monotonic() + PATIENCE
        while not true(found := read()):
            assert time.monotonic() < deadline, found
            time.sleep(0.1)
        return found


def test_the_seeds_sequence(
    server: ServerProcess,
    service: ServiceProcess,
    operator: OperatorProcess,
    new_runner: Callable[[], RunnerProcess],
    kubectl: Kubectl,
    user: User,
) -> None:
    """Submit, divide by stages, execute in a pod and at a service outside, progress, result, DONE."""
    runner = new_runner()
    run = Run(
        server,
        user,
        kubectl.namespace,
        shell("compile", "build"),
        http("sum", "call", f"{service.origin}/tasks", body={"numbers": [1, 2, 3]}, expect=[201]),
        http("render", "call", f"{service.origin}/callback", body={}, mode="Callback"),
        http("flaky", "call", f"{service.origin}/flaky", retry=2),
        shell("publish", "after"),
    )
    told = run.until(lambda: run.job("render"), lambda status: "progress" in status)["progress"]
    assert told["message"].endswith("of 4")
    done = run.follow("DONE", "ERROR", "CANCELLED")
    assert (done["state"], done["progress"]) == ("DONE", "5/5")
    assert [stage["name"] for stage in done["stages"]] == ["build", "call", "after"]
    answered = run.job("sum")["result"]
    assert (answered["status"], answered["body"]) == (201, '{"sum": 6}')
    assert answered["headers"]["Location"] == "/tasks/1"
    assert run.job("render")["result"] == {"steps": 4}
    flaky = run.job("flaky")
    assert (flaky["attempt"], flaky["result"]["body"]) == (3, "third time lucky")
    messages = [attempt.get("message", "") for attempt in flaky["attempts"]]
    assert "answered 503 Service Unavailable: busy,\\nask again" in messages[0]
    assert "without an answer" in messages[1]
    seen = service.seen()
    assert sorted(seen["keys"].values()) == [1, 1, 1, 1, 1], "every attempt is sent once"
    assert {status for _, status in seen["callbacks"]} == {200}
    assert runner.stop() == 0


def test_a_target_that_is_not_allowed_and_a_service_that_says_no(
    server: ServerProcess,
    service: ServiceProcess,
    operator: OperatorProcess,
    new_runner: Callable[[], RunnerProcess],
    kubectl: Kubectl,
    user: User,
) -> None:
    new_runner()
    run = Run(
        server,
        user,
        kubectl.namespace,
        http("metadata", "s", "http://169.254.169.254/latest/"),
        http("refused", "s", f"{service.origin}/nowhere"),
        http("late", "s", f"{service.origin}/slow") | {"timeout": 2},
        http("reported", "s", f"{service.origin}/callback", body={"outcome": "Failed"}, mode="Callback"),
    )
    assert run.follow("ERROR", "DONE")["state"] == "ERROR"
    assert "not in the operator's list of allowed targets" in run.job("metadata")["message"]
    assert "answered 404 Not Found" in run.job("refused")["message"]
    assert [run.job(name)["attempts"][0]["reason"] for name in ("metadata", "refused")] == ["RequestFailed"] * 2
    assert (run.job("late")["reason"], run.job("late")["message"]) == ("Timeout", "ran longer than 2 s")
    assert "as asked" in run.job("reported")["message"]


def test_a_runner_that_dies_is_noticed_and_another_goes_on(
    server: ServerProcess,
    service: ServiceProcess,
    operator: OperatorProcess,
    new_runner: Callable[[], RunnerProcess],
    kubectl: Kubectl,
    user: User,
) -> None:
    """A request is open when its runner dies: the attempt ends with the lease, and the next is another's."""
    first = new_runner()
    run = Run(server, user, kubectl.namespace, http("slow", "s", f"{service.origin}/slow", retry=1))
    run.until(lambda: run.job("slow"), lambda status: "claim" in status and service.seen()["keys"] != {})
    first.kill()
    new_runner()
    assert run.follow("DONE", "ERROR")["state"] == "DONE"
    job = run.job("slow")
    assert (job["attempt"], job["attempts"][0]["reason"]) == (2, "WorkerLost")
    assert sorted(service.seen()["keys"].values()) == [1, 1]
