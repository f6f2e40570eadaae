"""REST servers on an in-memory cluster, and the part of the operator played by the test: offers, retries, stops.

Time of day stands still unless the test lets it go on, so that leases cost no waiting; requests go through real
sockets.
"""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from task_pipeline.api.resources import PIPELINE_JOBS
from task_pipeline.api.times import format_time
from task_pipeline.server.app import build
from task_pipeline.server.auth.gate import Limits
from task_pipeline.server.auth.limits import Rate
from task_pipeline.server.auth.setup import AuthConfig, set_up
from task_pipeline.server.desk import Desk
from task_pipeline.server.services import Services
from task_pipeline.settings import Settings
from tests.fakes.reviews import Account
from tests.unit.server.auth.world import NAMESPACE, World

START = datetime(2031, 4, 17, 12, tzinfo=UTC)
FREE = Limits(address=Rate(10_000, 10_000), caller=Rate(10_000, 10_000))
Answer = tuple[int, Any]


class _Server(TestServer):
    """Leaves requests alone whose callers have gone, as the product's server does."""

    async def _make_runner(self, **options: Any) -> web.BaseRunner:
        return await super()._make_runner(**options | {"handler_cancellation": False})


class Replica:
    """One server process: its desk, and a client that speaks to it."""

    def __init__(self, desk: Desk, http: TestClient[Any, Any]) -> None:
        self.desk = desk
        self.url = str(http.make_url("/"))
        self._http = http

    async def ask(self, method: str, path: str, auth: str, body: Any = None, **headers: str) -> Answer:
        """Send a request; returns the status and the decoded body, None without one."""
        sent = {"Authorization": auth, **{name.replace("_", "-"): value for name, value in headers.items()}}
        async with self._http.request(method, path, json=body, headers=sent) as response:
            return response.status, await response.json(content_type=None) if await response.read() else None

    async def claim(
        self, auth: str, queue: str = "render", *, worker: str = "w1", wait: int = 0, key: str | None = None
    ) -> Answer:
        """Claim a job."""
        headers = {} if key is None else {"Idempotency_Key": key}
        body = {"worker": worker, "waitSeconds": wait}
        return await self.ask("POST", f"/api/v1/workers/{queue}:claim", auth, body, **headers)

    async def say(self, claimed: dict[str, Any], what: str, body: Any = None) -> Answer:
        """Say something of the attempt that was claimed: heartbeat, progress or result; `""` asks how it stands."""
        method = {"": "GET", "result": "PUT"}.get(what, "POST")
        path = claimed["path"] + (f"/{what}" if what else "")
        return await self.ask(method, path, f"Bearer {claimed['token']}", body)


class Site:
    """The cluster with the clients `acme` and `other`, whose Authorization headers are `acme` and `other`."""

    def __init__(self) -> None:
        self.world = World()
        self.cluster = self.world.cluster
        self._passed = timedelta()
        self._started: float | None = None
        self.acme = self.other = ""
        self.secrets: dict[str, str] = {}
        self._number = 0

    async def prepare(self) -> None:
        """Make the clients."""
        for name in ("acme", "other"):
            self.world.client(name, "default")
            secret = self.secrets[name] = await self.world.secret(name)
            setattr(self, name, "Basic " + b64encode(f"{name}:{secret}".encode()).decode())

    def account(self, user: str) -> str:
        """A token of a user of the cluster."""
        token = f"header.{user.replace(':', '-')}.signature"
        self.cluster.reviews.tokens[token] = Account(user, ("task-pipeline",))
        return token

    def pass_time(self, seconds: float) -> None:
        """Let the time of day go on."""
        self._passed += timedelta(seconds=seconds)

    def run_clock(self) -> None:
        """Let the time of day go on by itself from now on."""
        self._started = asyncio.get_running_loop().time()

    @property
    def now(self) -> datetime:
        """The time of day."""
        running = 0.0 if self._started is None else asyncio.get_running_loop().time() - self._started
        return START + self._passed + timedelta(seconds=running)

    @asynccontextmanager
    async def replica(self, **settings: Any) -> AsyncIterator[Replica]:
        """A server process, until the block ends."""
        clock = asyncio.get_running_loop().time
        config = AuthConfig(NAMESPACE, runner="task-pipeline/runner", limits=FREE)
        auth = set_up(self.cluster, config, now=lambda: self.now, clock=clock)
        services = Services(
            self.cluster, Settings(**settings), auth.authenticator, auth.authorizer, now=lambda: self.now
        )
        desk = Desk(self.cluster, auth.tokens)
        app = build(desk.routes, services)
        desk.serve(app)
        async with TestClient(_Server(app)) as http:
            await desk.synced()
            yield Replica(desk, http)

    def offer(
        self, name: str = "", *, client: str = "acme", queue: str = "render", attempt: int = 1, **spec: Any
    ) -> str:
        """A PipelineJob of the kind Worker whose attempt has been launched now; returns its name."""
        self._number += 1
        name = name or f"job-{self._number}"
        fields = {
            "pipeline": "p", "name": name, "stage": "s", "stageIndex": 0, "index": 0, "run": 1, "clientId": client,
            "kind": "Worker", "version": "1.0.0", "params": {"queue": queue, "payload": {"run_date": "2031-04-20"}},
        }  # fmt: skip
        labels = {"app.kubernetes.io/managed-by": "task-pipeline", "taskpipeline.dev/job-hash": name}
        body = {"metadata": {"name": name, "labels": labels}, "spec": fields | spec}
        self.cluster.admin.create(PIPELINE_JOBS, body)
        self.launch(name, attempt)
        return name

    def launch(self, name: str, attempt: int) -> None:
        """Write what the operator writes when it launches an attempt."""
        self.write(
            name, state="IN PROGRESS", reason="AwaitingWorker", attempt=attempt, startTime=format_time(self.now),
            claim=None, progress=None, report=None, result=None,
        )  # fmt: skip

    def write(self, name: str, **status: Any) -> None:
        """Write a status as the operator."""
        self.cluster.admin.status(PIPELINE_JOBS, name, **status)

    def job(self, name: str) -> dict[str, Any]:
        """The PipelineJob."""
        found: dict[str, Any] = self.cluster.admin.get(PIPELINE_JOBS, name)
        return found

    def status(self, name: str) -> dict[str, Any]:
        """Its status."""
        status: dict[str, Any] = self.job(name)["status"]
        return status

    def writes(self, name: str) -> int:
        """How many writes of its status the servers have carried out."""
        return sum(1 for request in self.cluster.journal.of("patch_status", PIPELINE_JOBS, name) if request.committed)


@asynccontextmanager
async def one_site() -> AsyncIterator[Site]:
    """A site, closed at the end of the block."""
    site = Site()
    await site.prepare()
    try:
        yield site
    finally:
        site.cluster.close()
