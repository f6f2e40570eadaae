"""What the REST server makes of the API server's speed: submits and claims, beside raw writes of the same objects.

Rule: in turns in one run, by the same number of connections; the ratio of the medians counts, since all of them share
the machine. Latency is then taken at half of the server's rate, each request from the moment when it was due.
"""

import asyncio
import itertools
import os
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import click

from task_pipeline.api.group import LABEL_MANAGED_BY, MANAGED_BY
from task_pipeline.api.times import format_time
from task_pipeline.kube.config import connect
from task_pipeline.server.auth.registration import add_secret
from tests.bench import samples
from tests.bench.apiserver import ApiServer
from tests.bench.manifests import NAMESPACE
from tests.bench.objects import MERGE
from tests.bench.site import Site, connected
from tests.servers import ServerProcess

CONNECTIONS = 16
GROUP = f"/apis/taskpipeline.dev/v1alpha1/namespaces/{NAMESPACE}"
SUBMIT = f"/api/v1/namespaces/{NAMESPACE}/pipelines"
LATENCY_SECONDS = 10.0
QUEUE = "bench"

Act = Callable[[int], Awaitable[None]]


@dataclass(frozen=True)
class Rates:
    """Requests per second, raw and through the server; ms of CPU per request of the server and, in both cases, of the
    API server; latencies in ms at half of the server's rate.
    """

    raw: float
    ours: float
    server_cpu: float
    api_cpu: float
    api_cpu_raw: float
    p50: float
    p99: float

    @property
    def ratio(self) -> float:
        """Of the server's rate to the raw one."""
        return self.ours / self.raw


class Caller:
    """A client of the REST server, with a token."""

    def __init__(self, server: ServerProcess, http: aiohttp.ClientSession, secret: str) -> None:
        self._url = f"http://127.0.0.1:{server.port}"
        self._http = http
        self._secret = secret
        self._headers: dict[str, str] = {}

    async def login(self) -> None:
        """Get a token."""
        form, auth = {"grant_type": "client_credentials"}, aiohttp.BasicAuth("default", self._secret)
        async with self._http.post(f"{self._url}/oauth2/token", data=form, auth=auth) as response:
            self._headers = {"Authorization": f"Bearer {(await response.json())['access_token']}"}

    async def post(self, path: str, body: Any, status: int, key: str) -> None:
        """One request that has to be answered with `status`."""
        headers = {**self._headers, "Idempotency-Key": key}
        async with self._http.post(self._url + path, json=body, headers=headers) as response:
            text = await response.text()
            assert response.status == status, f"{path}: {response.status} {text[:500]}"


class Stand:
    """The contenders, on one API server."""

    def __init__(self, api: ApiServer, caller: Caller, pids: dict[str, int]) -> None:
        self._api = api
        self._caller = caller
        self._pids = pids
        self._numbers = itertools.count()
        self._bodies: dict[int, Any] = {}  # made beforehand: the time of whoever asks is not measured

    async def submits(self, rounds: int, count: int) -> Rates:
        """Pipelines of 20 jobs."""
        return await self._compare(self._raw_submit, self._submit, rounds, count)

    async def claims(self, rounds: int, count: int) -> Rates:
        """Claims of jobs that wait, against raw patches of the same statuses."""
        return await self._compare(self._raw_claim, self._claim, rounds, count, self._offer)

    async def _compare(
        self, raw: Act, ours: Act, rounds: int, count: int, prepare: Callable[[int], Awaitable[range]] | None = None
    ) -> Rates:
        prepare = prepare or self._fresh
        results: dict[str, list[tuple[float, float, float]]] = {"raw": [], "ours": []}
        for number in range(rounds + 1):  # the first one only warms up
            for name, act in (("raw", raw), ("ours", ours)):
                numbers = await prepare(count)
                before = [_cpu(pid) for pid in (self._pids["api"], self._pids["server"])]
                rate = await _as_fast_as_possible(act, numbers)
                api, server = (_cpu(pid) - cpu for pid, cpu in zip(self._pids.values(), before, strict=True))
                if number:
                    results[name].append((rate, 1000 * api / count, 1000 * server / count))
        (raw_rate, raw_api, _), (rate, api, server) = (
            [statistics.median(column) for column in zip(*results[name], strict=True)] for name in ("raw", "ours")
        )
        p50, p99 = await _at(rate / 2, ours, await prepare(int(rate / 2 * LATENCY_SECONDS)))
        return Rates(raw_rate, rate, server, api, raw_api, p50, p99)

    def _next(self, count: int) -> range:
        first = next(self._numbers)
        self._numbers = itertools.count(first + count)
        return range(first, first + count)

    async def _fresh(self, count: int) -> range:
        """Pipelines to be submitted."""
        numbers = self._next(count)
        for number in numbers:
            body = samples.a_pipeline(number)
            body["metadata"]["annotations"] = {"example.org/submission": f"{number:032x}"}
            body["spec"]["clientId"] = "default"
            self._bodies[number] = body
        return numbers

    async def _raw_submit(self, number: int) -> None:
        await self._api.send("POST", f"{GROUP}/pipelines", self._bodies.pop(number))

    async def _submit(self, number: int) -> None:
        body = self._bodies.pop(number)
        await self._caller.post(SUBMIT, {"metadata": body["metadata"], "spec": body["spec"]}, 201, f"submit-{number}")

    async def _offer(self, count: int) -> range:
        """Jobs that wait for a worker; every round takes all of its own."""
        numbers = self._next(count)
        await _as_fast_as_possible(self._offer_one, numbers)
        await asyncio.sleep(1.0)  # until the server has heard of all of them
        return numbers

    async def _offer_one(self, number: int) -> None:
        body = samples.a_job(number)
        body["metadata"]["labels"] |= {LABEL_MANAGED_BY: MANAGED_BY}
        body["metadata"].pop("ownerReferences", None)
        body["spec"] |= {"kind": "Worker", "clientId": "default", "params": {"queue": QUEUE}}
        await self._api.send("POST", f"{GROUP}/pipelinejobs", body)
        self._bodies[number] = f"{GROUP}/pipelinejobs/{body['metadata']['name']}/status"
        now = format_time(datetime.now(UTC))
        status = {"state": "IN PROGRESS", "reason": "AwaitingWorker", "attempt": 1, "startTime": now}
        await self._patch(number, {"status": status})

    async def _raw_claim(self, number: int) -> None:
        now = format_time(datetime.now(UTC))
        claim = {"attempt": 1, "worker": "bench", "claimTime": now, "leaseUntil": now, "id": f"claim-{number}"}
        await self._patch(number, {"status": {"claim": claim}})

    async def _patch(self, number: int, body: Any) -> None:
        await self._api.send("PATCH", self._bodies[number], body, content=MERGE)

    async def _claim(self, number: int) -> None:
        await self._caller.post(
            f"/api/v1/workers/{QUEUE}:claim", {"worker": "bench", "waitSeconds": 10}, 200, f"claim-{number}"
        )


async def _as_fast_as_possible(act: Act, numbers: Sequence[int]) -> float:
    """Requests per second."""
    rest = iter(numbers)

    async def work() -> None:
        for number in rest:
            await act(number)

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
    return len(numbers) / (time.perf_counter() - began)


async def _at(rate: float, act: Act, numbers: Sequence[int]) -> tuple[float, float]:
    """p50 and p99 in ms of requests that begin at a steady rate, whether those before have ended or not."""
    began = time.perf_counter()

    async def one(index: int, number: int) -> float:
        due = began + index / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        await act(number)
        return 1000 * (time.perf_counter() - due)

    taken = sorted(await asyncio.gather(*(one(*pair) for pair in enumerate(numbers))))
    return taken[len(taken) // 2], taken[int(0.99 * (len(taken) - 1))]


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(place: Site, rounds: int, count: int) -> dict[str, Any]:
    """Prints a line for submits and one for claims; returns the figures."""
    async with connected(place.kubeconfig) as cluster:
        made = await add_secret(cluster, "task-pipeline", "default", datetime.now(UTC))
    with _server(place) as server:
        api = ApiServer(await connect(place.kubeconfig), pid := _pid(place))
        api.connections = CONNECTIONS
        await api.renew()
        try:
            async with _session() as http:
                caller = Caller(server, http, made.secret)
                await caller.login()
                stand = Stand(api, caller, {"api": pid, "server": server.pid})
                found = {"submits": await stand.submits(rounds, count), "claims": await stand.claims(rounds, count)}
        finally:
            await api.close()
    for name, rates in found.items():
        click.echo(
            f"{name:8} {rates.ours:6.1f}/s; raw {rates.raw:6.1f}/s; ratio {rates.ratio:.2f}; CPU per request: server "
            f"{rates.server_cpu:.2f} ms, API server {rates.api_cpu:.2f} ms (raw {rates.api_cpu_raw:.2f}); at half of "
            f"the rate p50 {rates.p50:.1f} ms, p99 {rates.p99:.1f} ms"
        )
    return {name: asdict(rates) for name, rates in found.items()}


def _pid(place: Site) -> int:
    return next(process.pid for process in place.cluster.state.processes if process.name == "kube-apiserver")


@contextmanager
def _server(place: Site) -> Iterator[ServerProcess]:
    settings = {"TASK_PIPELINE_QUEUE_SIZE": "100000"}
    log = place.settings.with_name("server.log")
    server = ServerProcess(place.kubeconfig, log, settings, module="tests.bench.wide_server")
    server.start()
    try:
        yield server
    finally:
        server.stop()


@asynccontextmanager
async def _session() -> Any:
    connector = aiohttp.TCPConnector(limit=4 * CONNECTIONS)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=60)) as http:
        yield http
