"""Workers on a real API server: operator, REST server and workers are processes; some are killed."""

import asyncio
import os
import re
import secrets
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from click.testing import CliRunner

from task_pipeline.entrypoints import client_secret
from tests.cluster import Cluster
from tests.contract.kubectl import Kubectl, manifest
from tests.operators import ROOT, OperatorProcess
from tests.real.pipelines import job_named
from tests.servers import ServerProcess

pytestmark = pytest.mark.cluster

LEASE = 12.0
SETTINGS = {"TASK_PIPELINE_WORKER_LEASE": str(LEASE)}
User = tuple[str, str]


@pytest.fixture
def new_server(installed: Cluster, tmp_path: Path) -> Iterator[Callable[[], ServerProcess]]:
    """Starts servers; their logs must hold no fault of their own."""
    made: list[ServerProcess] = []

    def make() -> ServerProcess:
        log = tmp_path / f"server-{len(made)}.log"
        log.touch()
        server = ServerProcess(installed.kubeconfig, log, SETTINGS)
        made.append(server)
        server.start()
        return server

    yield make
    for server in made:
        server.kill()
        assert '"traceback"' not in server.log.read_text(), server.log.read_text()


@pytest.fixture
def server(new_server: Callable[[], ServerProcess]) -> ServerProcess:
    """One running server."""
    return new_server()


@pytest.fixture
def user(installed: Cluster, kubectl: Kubectl) -> Iterator[User]:
    """A client of the test's namespace and its secret."""
    own, name = Kubectl(installed.paths.kubectl, "task-pipeline"), f"workers-{secrets.token_hex(4)}"
    own.ok("create", "-f", "-", stdin=manifest("PipelineClient", name, {"namespaces": [kubectl.namespace]}))
    made = CliRunner().invoke(client_secret.main, ["--kubeconfig", str(installed.kubeconfig), name])
    assert made.exit_code == 0, made.output
    yield name, made.stdout.strip()
    own.ok("delete", "pclient", name, "--ignore-not-found")


@pytest.fixture
def new_worker(server: ServerProcess, user: User, tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts workers: examples/worker.py in processes of their own."""
    made: list[subprocess.Popen[bytes]] = []

    def make() -> subprocess.Popen[bytes]:
        environment = os.environ | {
            "TASK_PIPELINE_URL": f"http://127.0.0.1:{server.port}", "CLIENT_ID": user[0], "CLIENT_SECRET": user[1],
            "PYTHONPATH": str(ROOT / "operator"),
        }  # fmt: skip
        with (tmp_path / f"worker-{len(made)}.log").open("wb") as log:
            made.append(
                subprocess.Popen(
                    [sys.executable, "examples/worker.py"], cwd=ROOT, env=environment, stdout=log, stderr=log
                )
            )
        return made[-1]

    yield make
    for worker in made:
        worker.kill()
        worker.wait(10)


def submit(server: ServerProcess, user: User, namespace: str, *, frames: int = 5, **fields: Any) -> None:
    """Submit a Pipeline `film` with one job `a` for the queue `render`."""
    payload = {"scene": "s1", "frames": frames, "run_date": "2031-04-20"}
    params = {"queue": "render", "payload": payload}
    job = {"name": "a", "stage": "s", "kind": "Worker", "version": "1.0.0", "params": params} | fields
    body = {"metadata": {"name": "film"}, "spec": {"stages": ["s"], "jobs": [job]}}
    made = server.request("POST", f"/api/v1/namespaces/{namespace}/pipelines", body, user=user)
    assert made.status == 201, made.body


def claim(server: ServerProcess, user: User, worker: str = "by-hand") -> dict[str, Any]:
    """Claim a job; the answer."""
    body = {"worker": worker, "waitSeconds": 20}
    reply = server.request("POST", "/api/v1/workers/render:claim", body, user=user)
    assert reply.status == 200, reply.body
    answer: dict[str, Any] = reply.body
    return answer


def say(server: ServerProcess, claimed: dict[str, Any], what: str, body: Any) -> tuple[int, Any]:
    """Say something of an attempt."""
    method = "PUT" if what == "result" else "POST"
    headers = {"Authorization": f"Bearer {claimed['token']}"}
    reply = server.request(method, f"{claimed['path']}/{what}", body, headers=headers)
    return reply.status, reply.body


def status(kubectl: Kubectl) -> dict[str, Any]:
    """The status of the job `a`."""
    found: dict[str, Any] = job_named(kubectl, "a")["status"]
    return found


def wait(kubectl: Kubectl, wanted: Callable[[dict[str, Any]], Any], seconds: float = 60) -> dict[str, Any]:
    """Wait until the status of the job is as wanted; it is given back."""
    deadline = time.monotonic() + seconds
    while True:
        now = status(kubectl) if kubectl.run("get", "pjob", "-o", "name").out.strip() else {}
        if now and wanted(now):
            return now
        assert time.monotonic() < deadline, now
        time.sleep(0.1)


def test_b064_a_worker_killed_in_mid_job_loses_the_attempt_and_another_does_the_next(
    server: ServerProcess,
    operator: OperatorProcess,
    kubectl: Kubectl,
    user: User,
    new_worker: Callable[[], subprocess.Popen[bytes]],
) -> None:
    victim = new_worker()
    submit(server, user, kubectl.namespace, frames=200, retryAttempt=1)
    wait(kubectl, lambda now: now.get("progress", {}).get("percent"))
    victim.kill()
    killed = time.monotonic()
    lost = wait(kubectl, lambda now: now["attempts"][0]["outcome"] if now.get("attempts") else None)
    assert time.monotonic() - killed <= LEASE + 30
    assert (lost["attempts"][0]["outcome"], lost["attempts"][0]["reason"]) == ("Lost", "WorkerLost")
    new_worker()
    done = wait(kubectl, lambda now: now["state"] == "DONE")
    assert (done["attempt"], done["result"]) == (2, {"scene": "s1", "frames": 200})


def test_row_68_a_late_report_is_refused_and_changes_nothing(
    server: ServerProcess, operator: OperatorProcess, kubectl: Kubectl, user: User
) -> None:
    submit(server, user, kubectl.namespace, retryAttempt=1)
    first = claim(server, user)
    assert first["params"]["payload"] == {"scene": "s1", "frames": 5, "run_date": "2031-04-20"}
    second = claim(server, user) if wait(kubectl, lambda now: now.get("attempt") == 2) else {}
    assert (second["job"]["uid"], second["job"]["attempt"]) == (first["job"]["uid"], 2)
    wait(kubectl, lambda now: now["reason"] == "Running")
    before = job_named(kubectl, "a")
    for what, body in (("heartbeat", {}), ("progress", {"percent": 1}), ("result", {"outcome": "Succeeded"})):
        code, answer = say(server, first, what, body)
        assert (code, answer["reason"]) == (409, "AttemptSuperseded")
    assert job_named(kubectl, "a") == before
    assert say(server, second, "result", {"outcome": "Succeeded"})[0] == 200
    wait(kubectl, lambda now: now["state"] == "DONE")
    assert say(server, second, "result", {"outcome": "Succeeded"})[0] == 200
    assert say(server, second, "result", {"outcome": "Failed"})[0] == 410


def test_row_71_a_server_that_is_killed_takes_nothing_with_it(
    new_server: Callable[[], ServerProcess], operator: OperatorProcess, kubectl: Kubectl, user: User
) -> None:
    one = new_server()
    submit(one, user, kubectl.namespace)
    claimed = claim(one, user)
    assert say(one, claimed, "progress", {"percent": 50})[0] == 200
    one.kill()
    two = new_server()
    code, beat = say(two, claimed, "heartbeat", {})
    assert (code, beat["desiredState"]) == (200, "Running")
    first = say(two, claimed, "result", {"outcome": "Succeeded", "result": {"a": 1}})
    two.kill()
    assert say(new_server(), claimed, "result", {"outcome": "Succeeded", "result": {"a": 1}}) == first
    assert wait(kubectl, lambda now: now["state"] == "DONE")["result"] == {"a": 1}


def test_a_cancel_reaches_the_worker(
    server: ServerProcess, operator: OperatorProcess, kubectl: Kubectl, user: User,
    new_worker: Callable[[], subprocess.Popen[bytes]],
) -> None:  # fmt: skip
    new_worker()
    submit(server, user, kubectl.namespace, frames=10_000)
    wait(kubectl, lambda now: now.get("claim"))
    path = f"/api/v1/namespaces/{kubectl.namespace}/pipelines/film:cancel"
    assert server.request("POST", path, {"mode": "Now"}, user=user).status == 200
    ended = wait(kubectl, lambda now: now["state"] == "CANCELLED")
    assert ended["report"]["message"] == "the job was cancelled"


def test_a_thousand_reports_in_a_second_are_a_write_in_five_seconds(
    installed: Cluster, server: ServerProcess, operator: OperatorProcess, kubectl: Kubectl, user: User
) -> None:
    submit(server, user, kubectl.namespace)
    claimed = claim(server, user)
    wait(kubectl, lambda now: now["reason"] == "Running")
    history = Progress(installed.paths.kubectl, kubectl.namespace)
    began = time.monotonic()
    answers = asyncio.run(flood(server, claimed, 1000))
    took = time.monotonic() - began
    assert set(answers) <= {200, 429}, answers
    assert answers[200] >= 300
    seen = history.end()
    assert 1 <= len(seen) <= 1 + took // 5, seen
    assert status(kubectl)["progress"]["percent"] is not None


async def flood(server: ServerProcess, claimed: dict[str, Any], number: int) -> Counter[int]:
    """Report progress so many times, 50 at once; how often which status came back."""
    url = f"http://127.0.0.1:{server.port}{claimed['path']}/progress"
    headers = {"Authorization": f"Bearer {claimed['token']}"}
    answers: Counter[int] = Counter()
    connector = aiohttp.TCPConnector(limit=50)
    async with aiohttp.ClientSession(headers=headers, connector=connector) as session:

        async def one(step: int) -> None:
            async with session.post(url, json={"percent": 100 * step // number}) as response:
                answers[response.status] += 1

        await asyncio.gather(*map(one, range(number)))
    return answers


class Progress:
    """Notes every progress that a watch tells of the PipelineJobs of a namespace, from the making on."""

    def __init__(self, program: Path, namespace: str) -> None:
        form = 'jsonpath={.status.progress}{"\\n"}'
        command = [str(program), "-n", namespace, "get", "pjob", "--watch", "-o", form]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def end(self) -> set[str]:
        """All that was told, once what is under way has arrived."""
        time.sleep(1)
        self._process.terminate()
        return {line for line in self._process.communicate(timeout=10)[0].splitlines() if line}


def test_the_protocol_with_curl_as_the_page_shows_it(
    server: ServerProcess, operator: OperatorProcess, kubectl: Kubectl, user: User
) -> None:
    page = (ROOT / "docs/workers.md").read_text()
    (script,) = re.findall(r"^```bash\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    submit(server, user, kubectl.namespace)
    environment = os.environ | {
        "SERVER": f"http://127.0.0.1:{server.port}", "CLIENT_ID": user[0], "CLIENT_SECRET": user[1]
    }  # fmt: skip
    done = subprocess.run(
        ["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stderr
    ended = wait(kubectl, lambda now: now["state"] == "DONE")
    assert (ended["result"], ended["claim"]["worker"]) == ({"frames": 20}, "curl")


def test_the_operator_on_a_real_server_lets_only_what_is_a_claim_stand(
    server: ServerProcess, operator: OperatorProcess, kubectl: Kubectl, user: User
) -> None:
    """The rules of the CRD let the server write its fields while the state stays, and refuse a wrong form."""
    submit(server, user, kubectl.namespace)
    claim(server, user)
    name = job_named(kubectl, "a")["metadata"]["name"]
    for wrong in ('{"claim":{"attempt":0}}', '{"report":{"attempt":1,"outcome":"Done","time":"x"}}'):
        patch = ("patch", "pjob", name, "--subresource=status", "--type=merge", "-p", f'{{"status":{wrong}}}')
        assert kubectl.run(*patch).code != 0
