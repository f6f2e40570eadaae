"""A cluster in memory with an operator, an API server and a REST server, in a thread of its own.

The command line under test runs in the test's thread, or as a process, and reaches the two servers over sockets.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import web
from click.testing import CliRunner, Result

from task_pipeline.api.resources import PIPELINE_JOBS, PIPELINES, PODS
from task_pipeline.cli.program import program
from task_pipeline.cli.screen import Screen
from task_pipeline.cli.session import Session
from task_pipeline.entrypoints.server import application
from task_pipeline.server.listening import Runner
from task_pipeline.settings import Settings
from tests.cli.apiserver import ApiServer, kubeconfig
from tests.fakes import FakeCluster
from tests.scenario.world import FAST, World
from tests.server.whole import WIDE
from tests.unit.server.auth.world import World as AuthWorld

SECONDS = 30.0
NAMESPACES = ("default", "task-pipeline", "team-a", "team-b")
Raw = dict[str, Any]
T = TypeVar("T")


class LiveWorld(World):
    """A world in real time, with two teams."""

    def __init__(self, **settings: Any) -> None:
        self.cluster = FakeCluster(now=lambda: datetime.now(UTC), namespaces=NAMESPACES)
        self.settings = Settings(**(FAST | {"retry_backoff": 0.05} | settings))
        self.runtime = None
        self._tasks = []
        self._namespace_of = {}
        self.client("default", namespaces=["*"])


class Site:
    """Everything that the command line can reach."""

    def __init__(self, folder: Path, *, operator: bool = True, rest: bool = False, **settings: Any) -> None:
        self._folder, self._operator, self._rest, self._settings = folder, operator, rest, settings
        self._ready = threading.Event()
        self._end: asyncio.Event
        self._loop: asyncio.AbstractEventLoop
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._main, daemon=True)
        self.world: LiveWorld
        self.server: ApiServer
        self.kubeconfig = folder / "kubeconfig"
        self.url = ""
        self.secret = ""

    def __enter__(self) -> "Site":
        self._thread.start()
        assert self._ready.wait(SECONDS)
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()
        if self._failure is not None:
            raise self._failure

    def _main(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._failure = error
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self.world = LiveWorld(**self._settings)
        self.server = ApiServer(self.world.cluster)
        runner = web.AppRunner(self.server.application(), shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.kubeconfig.write_text(kubeconfig(runner.addresses[0][1]))
        rest = await self._rest_server() if self._rest else None
        if self._operator:
            await self.world.start()
        self._ready.set()
        await self._end.wait()
        if self.world.runtime is not None:
            await self.world.kill()
        self.world.cluster.close()
        if rest is not None:
            await rest()
        await runner.cleanup()

    async def _rest_server(self) -> Callable[[], Awaitable[None]]:
        auth = AuthWorld(self.world.cluster)
        auth.client("acme", "team-a", "team-b")
        self.secret = await auth.secret("acme")
        settings = Settings(operator_namespace="task-pipeline")
        stopping = asyncio.Event()
        runner = Runner(application(self.world.cluster, settings, stopping, WIDE), 0.2)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"

        async def stop() -> None:
            stopping.set()
            await runner.cleanup()

        return stop

    def do(self, act: Callable[[LiveWorld], T]) -> T:
        """The result of `act`, which runs in the cluster's own thread."""

        async def run() -> T:
            return act(self.world)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(SECONDS)

    def submit(self, name: str, *jobs: Raw, namespace: str = "team-a", **spec: Any) -> None:
        """Create a Pipeline as somebody else would."""
        self.do(lambda world: world.submit(name, *jobs, namespace=namespace, **spec))

    def status(self, name: str, namespace: str = "team-a", **fields: Any) -> None:
        """Write a Pipeline's status, where no operator does."""
        self.do(lambda world: world.cluster.admin.status(PIPELINES, name, namespace, **fields))

    def until(self, check: Callable[[LiveWorld], bool]) -> None:
        """Wait until `check` holds."""

        async def wait() -> None:
            end = self._loop.time() + SECONDS
            while not check(self.world):
                assert self._loop.time() < end, "it does not come to that"
                await asyncio.sleep(0.02)

        asyncio.run_coroutine_threadsafe(wait(), self._loop).result(SECONDS + 5)

    def until_state(self, name: str, *states: str, namespace: str = "team-a") -> Raw:
        """Wait until a Pipeline is in one of the states; the Pipeline."""

        def found(world: LiveWorld) -> Raw:
            thing: Raw = world.cluster.admin.find(PIPELINES, name, namespace) or {}
            return thing

        self.until(lambda world: found(world).get("status", {}).get("state") in states)
        return self.do(found)

    def job(self, pipeline: str, name: str) -> Raw:
        """The PipelineJob of a job."""
        return self.do(lambda world: next(one for one in world.jobs(pipeline) if one["spec"]["name"] == name))

    def wrote(self, pipeline: str, name: str, printed: bytes) -> None:
        """Let the newest pod of a job have printed that."""
        label = "taskpipeline.dev/job-hash"
        wanted = self.job(pipeline, name)["metadata"]["labels"][label]

        def write(world: LiveWorld) -> None:
            pods = [pod for pod in world.cluster.admin.list(PODS) if pod["metadata"]["labels"].get(label) == wanted]
            world.cluster.logs.written[pods[-1]["metadata"]["uid"]] = printed

        self.do(write)

    def tpctl(
        self,
        *arguments: str,
        stdin: str | bytes | None = None,
        terminal: bool = False,
        rest: bool = False,
        environ: Mapping[str, str] | None = None,
    ) -> Result:
        """Run the command line in this process. `terminal`: as if somebody looked at its output."""
        session = Session(screen=Screen(terminal=terminal))
        session.environ = {"KUBECONFIG": str(self.kubeconfig), **(environ or {})}
        if rest:
            session.environ = {"TPCTL_CLIENT": "acme", "TPCTL_CLIENT_SECRET": self.secret, **(environ or {})}
            arguments = ("--server", self.url, "-n", "team-a", *arguments)
        return CliRunner().invoke(program, arguments, input=stdin, obj=session, prog_name="tpctl")


__all__ = ["PIPELINES", "PIPELINE_JOBS", "PODS", "Site"]
