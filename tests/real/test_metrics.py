"""Scrapes of running programs on a real API server: every metric is there, with its type and labels, and is true."""

import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from task_pipeline.observability.catalog import Program, Sort, told_by
from tests.cluster import Cluster
from tests.cluster.polling import wait_for
from tests.cluster.ports import free
from tests.contract.kubectl import Kubectl
from tests.metric_names import parsed, queries, selectors, series
from tests.operators import Replica, Replicas
from tests.real.pipelines import PATIENCE, create_all, grid, shell
from tests.runners import RunnerProcess
from tests.scrape import Scrape
from tests.servers import ServerProcess

pytestmark = pytest.mark.cluster


def scrape(port: int) -> Scrape:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        return Scrape(answer.read().decode())


@pytest.fixture
def ports() -> tuple[int, ...]:
    """Of two operators, a server and a runner."""
    return tuple(free(4, secrets.randbelow(10_000)))


class Pair(Replicas):
    """Two operators, each with a port of its own."""

    def __init__(self, kubeconfig: Path, log: Path, ports: tuple[int, ...]) -> None:
        super().__init__(kubeconfig, log)
        self.each = tuple(
            Replica(kubeconfig, log, f"replica-{port}",
                    {"TASK_PIPELINE_HEALTH_PORT": str(port), "TASK_PIPELINE_RETRY_BACKOFF": "0.2"})
            for port in ports
        )  # fmt: skip


@pytest.fixture
def pair(installed: Cluster, tmp_path: Path, ports: tuple[int, ...]) -> Iterator[Pair]:
    log = tmp_path / "operators.log"
    log.touch()
    made = Pair(installed.kubeconfig, log, ports[:2])
    made.start()
    yield made
    made.stop()
    assert "a fault in the operator" not in log.read_text()


@pytest.fixture
def server(installed: Cluster, tmp_path: Path, ports: tuple[int, ...]) -> Iterator[ServerProcess]:
    log = tmp_path / "server.log"
    log.touch()
    made = ServerProcess(installed.kubeconfig, log, {"TASK_PIPELINE_METRICS_PORT": str(ports[2])})
    made.start()
    yield made
    made.kill()


@pytest.fixture
def runner(tmp_path: Path, ports: tuple[int, ...]) -> Iterator[RunnerProcess]:
    token = tmp_path / "token"
    token.write_text("none")
    log = tmp_path / "runner.log"
    log.touch()
    settings = {
        "TASK_PIPELINE_METRICS_PORT": str(ports[3]),
        "TASK_PIPELINE_HTTP_RUNNER_TOKEN_FILE": str(token),
        "TASK_PIPELINE_SERVER_URL": "http://127.0.0.1:1",
    }
    made = RunnerProcess(log, settings)
    made.start()
    yield made
    made.stop()


def missing(program: Program, found: Scrape) -> list[str]:
    """What a program should tell and does not, or tells with other labels or another type."""
    faults = []
    for metric in told_by(program):
        for name, labels in series([metric]).items():
            if name not in found.names:
                faults.append(f"{name} is not told")
            elif found.labels(name) != labels:
                faults.append(f"{name} has the labels {found.labels(name)}")
        family = metric.name.removesuffix("_total") if metric.sort is Sort.COUNTER else metric.name
        if found.types.get(family) != metric.sort:
            faults.append(f"{metric.name} is a {found.types.get(family)}")
    return faults


def test_every_metric_of_every_program_is_told_and_true(
    alone: None, kubectl: Kubectl, clients: Callable[..., None], pair: Pair, server: ServerProcess,
    runner: RunnerProcess, ports: tuple[int, ...],
) -> None:  # fmt: skip
    leader = pair.wait_for_leader()
    at = dict(zip(pair.each, ports, strict=False))
    clients(one={"maxRunningJobs": 1})
    wait_for(lambda: scrape(at[leader]).value("client_limit", client="one") == 1, "the limit", PATIENCE)
    create_all(kubectl, {
        "good": grid(2, 2),
        "bad": {"stages": ["s"], "jobs": [shell("a", exit_code=1, retryAttempt=1)]},
        "busy": {"stages": ["s"], "jobs": [shell(name, seconds=600) for name in "ab"], "clientId": "one"},
    })  # fmt: skip
    server.request("GET", "/readyz")
    server.request("OPTIONS", "/coffee")
    finished = "pipelines_finished_total"
    wait_for(lambda: sum(scrape(at[leader]).values(finished).values()) == 2, "two that are over", PATIENCE)
    wait_for(lambda: scrape(at[leader]).value("jobs_running", client="one") == 1, "one that runs", PATIENCE)
    found, standby = scrape(at[leader]), scrape(at[pair.standby])
    of_server, of_runner = scrape(ports[2]), scrape(ports[3])

    assert missing(Program.OPERATOR, found) == []
    assert missing(Program.SERVER, of_server) == []
    assert missing(Program.RUNNER, of_runner) == []
    everything = found.names | of_server.names | of_runner.names
    for place, expr in queries():
        for name, _ in selectors(parsed(expr)):
            assert name in everything, f"{place} reads {name}, which nobody tells"

    assert found.value("leader") == 1
    assert found.value("slots_drift") == 0
    assert found.values("job_attempts_total") == {("Shell", "Succeeded"): 4, ("Shell", "Failed"): 2}
    assert found.values("retries_total") == {("ExitCode",): 1}
    assert found.values("pipelines_finished_total") == {("default", "Succeeded"): 1, ("default", "Failed"): 1}
    assert found.values("jobs_waiting") == {("one", "ClientLimit"): 1}
    asked = found.values("api_requests_total")
    assert asked["201", "pipelinejobs", "create"] >= 7
    assert any(resource == "leases" for _, resource, _ in asked)
    assert all(age < 150 for age in found.values("stream_age_seconds").values())

    assert standby.value("leader") == 0
    assert not {metric.name for metric in told_by(Program.OPERATOR) if metric.leader} & standby.names
    unknown = [labels for labels in of_server.values("server_requests_total") if labels[1:] == ("_other", "none")]
    assert len(unknown) == 1
    assert server.request("GET", "/metrics").status == 404
    for page in (found, standby, of_server, of_runner):
        for private in (kubectl.namespace, "good", "busy", "coffee", "OPTIONS"):
            assert private not in page.text
    for line in pair.log.read_text().splitlines():
        assert re.match(r'\{"time": "[^"]+", "level": "[A-Z]+", "logger": "[^"]+", "message": ', line), line
