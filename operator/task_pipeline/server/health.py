"""GET /healthz and /readyz: whether the process lives, and whether it can do its work."""

import asyncio

from task_pipeline.api.resources import PIPELINES
from task_pipeline.kube.errors import KubeError
from task_pipeline.server.answers import Health
from task_pipeline.server.call import Call, Reply
from task_pipeline.server.problem import away, problem

READY_SECONDS = 2.0  # how long the API server may take, and how long its answer counts


class Readiness:
    """Asks the API server, at most once in READY_SECONDS however often it is asked itself."""

    def __init__(self) -> None:
        self._until = 0.0
        self._fault: KubeError | None = None
        self._asking = asyncio.Lock()

    async def healthz(self, call: Call) -> Reply:
        """GET /healthz: the process answers."""
        return Reply(body=Health())

    async def readyz(self, call: Call) -> Reply:
        """GET /readyz: 503 while the API server does not answer, and once the process is stopping."""
        if call.services.stopping.is_set():
            raise problem(503, "Stopping", "this replica is stopping", retry_after=1)
        async with self._asking:
            now = asyncio.get_running_loop().time()
            if now >= self._until:
                self._fault = await _ask(call)
                self._until = now + READY_SECONDS
        if self._fault is not None:
            raise away(self._fault)
        return Reply(body=Health())


async def _ask(call: Call) -> KubeError | None:
    namespace = next(iter(call.services.settings.namespaces), None)
    try:
        async with asyncio.timeout(READY_SECONDS):
            await call.services.cluster.list(PIPELINES, namespace, limit=1, metadata_only=True)
    except KubeError as error:
        return error
    except TimeoutError:
        return KubeError("no answer")
    return None
