"""An API server by itself, and what a write costs it: CPU time, memory allocated, and how long the answer takes.

A garbage collector on a busy machine makes CPU times of small batches jump by half; the bytes that the server
allocates for a write repeat within 5 %, and its CPU follows them. So both are measured, and forms of a write in turns.
"""

import asyncio
import os
import re
import signal
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from task_pipeline.kube.client import WATCH_SECONDS
from task_pipeline.kube.config import USER_AGENT, Connection, connect
from tests.cluster import Cluster, ClusterConfig, NodeMode

JSON = "application/json"
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
READY_SECONDS = 30.0
_BYSTANDERS = ("kube-controller-manager", "kube-scheduler", "kwok")
_ALLOCATED = re.compile(r"^go_memstats_alloc_bytes_total (\S+)", re.MULTILINE)

Write = Callable[[], Awaitable[object]]


@dataclass(frozen=True)
class Cost:
    """What one write of a batch cost on average: ms of the server's CPU, KiB allocated there; ms until its answer."""

    cpu: float
    allocated: float
    p50: float
    p99: float


def median(costs: Sequence[Cost]) -> Cost:
    """The median of each figure."""
    return Cost(*(statistics.median(getattr(cost, name) for cost in costs) for name in Cost.__dataclass_fields__))


class Refused(Exception):
    """The API server did not do what it was asked for."""


class ApiServer:
    """Requests of an administrator to a server whose process is `pid`. `connections` may be changed between batches."""

    def __init__(self, connection: Connection, pid: int) -> None:
        self._connection = connection
        self._pid = pid
        self.connections = 8
        self.keep_alive = True
        self._telling = 0.0  # bytes that the server allocates to tell what it has allocated
        self._session = aiohttp.ClientSession()

    async def calibrate(self) -> None:
        """Learn what measuring itself costs."""
        told = [await self._allocated() for _ in range(8)]
        self._telling = statistics.median(later - earlier for earlier, later in pairwise(told))

    async def renew(self) -> None:
        """Take over `connections` and `keep_alive`."""
        await self._session.close()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self.connections + 10, ssl=self._connection.ssl, force_close=not self.keep_alive
            ),
            timeout=aiohttp.ClientTimeout(total=WATCH_SECONDS),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def send(
        self, method: str, path: str, body: Any = None, *, content: str = JSON, accept: str = METADATA
    ) -> bytes:
        """The raw answer; raises Refused for anything but a success."""
        headers = {**await self._connection.authorization(), "Accept": accept, "User-Agent": USER_AGENT}
        if body is not None:
            headers["Content-Type"] = content
        url, data = self._connection.server + path, None if body is None else orjson.dumps(body)
        async with self._session.request(method, url, data=data, headers=headers) as response:
            raw = await response.read()
            if response.status >= 400:
                raise Refused(f"{method} {path}: {response.status} {raw[:500].decode(errors='replace')}")
            return raw

    async def cost(self, writes: Sequence[Write]) -> Cost:
        """Carry out all writes, as many at a time as there are connections."""
        seconds: list[float] = []
        rest = iter(writes)

        async def work() -> None:
            for write in rest:
                sent = time.perf_counter()
                await write()
                seconds.append(time.perf_counter() - sent)

        allocated, cpu = await self._allocated(), self._cpu()
        await asyncio.gather(*(work() for _ in range(self.connections)))
        cpu, allocated = self._cpu() - cpu, await self._allocated() - allocated - self._telling
        count = len(writes)
        seconds.sort()
        p50, p99 = seconds[count // 2], seconds[int(0.99 * (count - 1))]
        return Cost(1000 * cpu / count, allocated / count / 1024, 1000 * p50, 1000 * p99)

    @asynccontextmanager
    async def watching(self, path: str, accepts: Sequence[str]) -> AsyncIterator[None]:
        """Watch `path` from now on, once for each of `accepts`, while the block runs; events are read and dropped."""
        page = orjson.loads(await self.send("GET", f"{path}?limit=1", accept=JSON))
        query = f"watch=true&timeoutSeconds={WATCH_SECONDS}&resourceVersion={page['metadata']['resourceVersion']}"

        async def read(accept: str, open_: asyncio.Event) -> None:
            headers = {**await self._connection.authorization(), "Accept": accept}
            async with self._session.get(f"{self._connection.server}{path}?{query}", headers=headers) as response:
                open_.set()
                async for _ in response.content.iter_any():
                    pass

        opened = [asyncio.Event() for _ in accepts]
        tasks = [asyncio.create_task(read(*pair)) for pair in zip(accepts, opened, strict=True)]
        async with asyncio.timeout(READY_SECONDS):
            await asyncio.gather(*(one.wait() for one in opened))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _allocated(self) -> float:
        text = (await self.send("GET", "/metrics", accept="text/plain")).decode()
        match = _ALLOCATED.search(text)
        if match is None:
            raise Refused("/metrics of the API server does not tell go_memstats_alloc_bytes_total")
        return float(match[1])

    def _cpu(self) -> float:
        fields = Path(f"/proc/{self._pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def alone() -> AsyncIterator[ApiServer]:
    """etcd and an API server with nobody else who watches or writes; gone when the block ends."""
    with tempfile.TemporaryDirectory(prefix="task-pipeline-bench-") as folder:
        cluster = Cluster.up(ClusterConfig(dir=Path(folder) / "cluster", nodes=NodeMode.SIMULATED))
        try:
            pids = {process.name: process.pid for process in cluster.state.processes}
            for name in _BYSTANDERS:
                os.kill(pids[name], signal.SIGTERM)
            server = ApiServer(await connect(cluster.kubeconfig), pids["kube-apiserver"])
            await server.renew()
            try:
                yield server
            finally:
                await server.close()
        finally:
            cluster.down()


async def served(server: ApiServer, path: str) -> None:
    """Wait until the resource at `path` can be listed."""
    async with asyncio.timeout(READY_SECONDS):
        while True:
            try:
                await server.send("GET", path, accept=JSON)
            except Refused:
                await asyncio.sleep(0.05)
            else:
                return
