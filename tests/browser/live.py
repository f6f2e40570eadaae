"""An operator and the whole server on one in-memory cluster, in the time of the clock: what a browser meets.

Rule: nothing of the product is replaced. The server can be taken away and come back behind the same port, as another
replica that knows nothing of the first.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from task_pipeline.api.resources import PIPELINE_CLIENTS, PIPELINE_JOBS, PIPELINES, PODS
from task_pipeline.api.times import format_time
from task_pipeline.entrypoints.server import application
from task_pipeline.server.listening import Runner
from task_pipeline.settings import Settings
from tests.fakes import FakeCluster
from tests.fakes.reviews import Account
from tests.scenario.world import World
from tests.server.web.crowd import bodies
from tests.server.whole import WIDE, Raw
from tests.unit.server.auth.world import World as Credentials

TOKEN = "viewer.kubernetes.token"


class Live:
    """The cluster with its operator, and one server."""

    def __init__(self, **settings: Any) -> None:
        self.cluster = FakeCluster(now=lambda: datetime.now(UTC), namespaces=("default", "task-pipeline", "team-a"))
        self.world = World(self.cluster, **settings)
        self.settings = Settings(**settings)
        self.secret = ""
        self.url = ""
        self._port = 0
        self._runner: Runner | None = None
        self._stopping = asyncio.Event()

    async def prepare(self) -> None:
        """Clients with a secret, and a user who may look and not touch."""
        credentials = Credentials(self.cluster)
        credentials.client("acme", "team-a")
        self.secret = await credentials.secret("acme")
        user = "system:serviceaccount:team-a:viewer"
        self.cluster.reviews.tokens[TOKEN] = Account(user, ("task-pipeline",))
        for verb, resource in (("get", "pipelines"), ("list", "pipelines"), ("get", "pods/log")):
            self.cluster.reviews.rules.add((user, verb, resource, "*"))
        await self.world.start()

    def limit(self, **spec: Any) -> None:
        """Change the client acme."""
        self.cluster.admin.patch(PIPELINE_CLIENTS, "acme", {"spec": spec}, "task-pipeline")

    def submit(self, name: str, *jobs: dict[str, Any], **spec: Any) -> None:
        """A Pipeline of acme."""
        self.world.submit(name, *jobs, namespace="team-a", clientId="acme", **spec)

    def print(self, text: str) -> None:
        """Let every running pod print."""
        for pod in self.cluster.admin.list(PODS, "team-a"):
            if pod.get("status", {}).get("phase") == "Running":
                self.cluster.logs.written[pod["metadata"]["uid"]] += text.encode()

    def make_jobs(self, name: str) -> list[Raw]:
        """The PipelineJobs of a Pipeline, for a world whose operator does not run."""
        pipeline = self.cluster.admin.get(PIPELINES, name, "team-a")
        return [self.cluster.admin.create(PIPELINE_JOBS, body, "team-a") for body in bodies(pipeline)]

    def launch(self, job: Raw) -> None:
        """Write what the operator writes when a job begins to run."""
        now, name = format_time(datetime.now(UTC)), job["metadata"]["name"]
        status = {"state": "IN PROGRESS", "reason": "Running", "attempt": 1, "startTime": now}
        self.cluster.admin.status(PIPELINE_JOBS, name, "team-a", **status)

    async def up(self) -> None:
        """Let a server listen, behind the same port as before."""
        self._stopping = asyncio.Event()
        app = application(self.cluster, self.settings, self._stopping, WIDE)
        self._runner = Runner(app, 0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True).start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self._port}"

    async def down(self) -> None:
        """Take the server away, with all its connections."""
        if self._runner is not None:
            self._stopping.set()
            await self._runner.cleanup()
            self._runner = None


@asynccontextmanager
async def live(**settings: Any) -> AsyncIterator[Live]:
    """A running world until the block ends."""
    made = Live(**settings)
    try:
        await made.prepare()
        await made.up()
        yield made
    finally:
        await made.down()
        if made.world.runtime is not None:
            await made.world.kill()
        made.cluster.close()
