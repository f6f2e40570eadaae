"""One operator on one in-memory cluster.

Pipelines and PipelineClients come through informers here; in the product kopf brings them to the same sinks. Everything
else is the product's own code.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from task_pipeline.api.resources import PIPELINE_CLIENTS, PIPELINE_JOBS, PIPELINES, PODS
from task_pipeline.cache.convert import PipelineClientView, PipelineView
from task_pipeline.controller.runtime import Runtime
from task_pipeline.kube.informer import Informer
from task_pipeline.settings import Settings
from tests.fakes import FakeCluster
from tests.scenario.spy import Spy

FINAL = ("DONE", "ERROR", "CANCELLED")
NAMESPACE = "default"
FAST = {"retry_backoff": 1.0, "retry_backoff_jitter": 0.0}


class World:
    """A cluster with the client `default`, and the operator while it runs."""

    def __init__(self, cluster: FakeCluster | None = None, **settings: Any) -> None:
        self.cluster = cluster or FakeCluster()
        self.spy = Spy(self.cluster.store)
        self.settings = Settings(**(FAST | settings))
        self.runtime: Runtime | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._namespace_of: dict[str, str] = {}  # of Pipelines; their names are unique in a scenario
        self.client("default", namespaces=["*"])

    async def start(self) -> None:
        """Start an operator: list, then work."""
        runtime = Runtime(self.cluster, self.settings, now=self.cluster.now)
        pipelines = Informer(self.cluster, PIPELINES, PipelineView, runtime.pipelines)
        clients = Informer(self.cluster, PIPELINE_CLIENTS, PipelineClientView, runtime.clients)
        self._tasks = [asyncio.create_task(informer.run()) for informer in (clients, pipelines)]
        await clients.synced.wait()
        await pipelines.synced.wait()
        await runtime.sync()
        runtime.start()
        self.runtime = runtime

    async def stop(self) -> None:
        """Stop it as SIGTERM does. Its count of slots must be right at that moment, as at any other."""
        assert self.runtime is not None
        assert self.runtime.scheduler.drift() == 0
        await self.runtime.stop()
        await self._end_watches()

    async def kill(self) -> None:
        """End it as SIGKILL does: nothing in flight is finished."""
        assert self.runtime is not None
        await self.runtime.kill()
        await self._end_watches()

    async def _end_watches(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.runtime = None

    @property
    def now(self) -> float:
        """The loop's time."""
        return asyncio.get_running_loop().time()

    def change_settings(self, **settings: Any) -> None:
        """Let the running operator go on with other settings."""
        assert self.runtime is not None
        self.settings = self.settings.model_copy(update=settings)
        self.runtime.settings_changed(self.settings)

    def client(self, name: str, **spec: Any) -> None:
        """Create or change a PipelineClient: what `spec` does not name is as in a new one."""
        body = {"metadata": {"name": name, "namespace": "task-pipeline"}, "spec": {"namespaces": ["*"]} | spec}
        self.cluster.admin.apply(PIPELINE_CLIENTS, body, "task-pipeline")

    def submit(self, name: str, *jobs: dict[str, Any], namespace: str = NAMESPACE, **spec: Any) -> None:
        """Create a Pipeline; its stages are those of its jobs in the order of appearance unless given."""
        stages = list(dict.fromkeys(job["stage"] for job in jobs))
        body = {"stages": stages, "jobs": list(jobs)} | spec
        self._namespace_of[name] = namespace
        self.cluster.admin.create(PIPELINES, {"metadata": {"name": name}, "spec": body}, namespace)

    def edit(self, name: str, **spec: Any) -> None:
        """Change a Pipeline's spec as a user."""
        self.cluster.admin.patch(PIPELINES, name, {"spec": spec}, self._namespace_of[name])

    def edit_job(self, pipeline: str, name: str, **spec: Any) -> None:
        """Change a PipelineJob's spec as a user."""
        found = next(job for job in self.jobs(pipeline) if job["spec"]["name"] == name)
        self.cluster.admin.patch(PIPELINE_JOBS, found["metadata"]["name"], {"spec": spec}, self._namespace_of[pipeline])

    def pipeline(self, name: str) -> dict[str, Any]:
        """The status of a Pipeline."""
        found = self.cluster.admin.get(PIPELINES, name, self._namespace_of[name])
        status: dict[str, Any] = found.get("status", {})
        return status

    def jobs(self, pipeline: str | None = None) -> list[dict[str, Any]]:
        """The PipelineJobs, of one Pipeline or of all, in the order of stages and places."""
        found = self.cluster.admin.list(PIPELINE_JOBS)
        wanted = [job for job in found if pipeline is None or job["spec"]["pipeline"] == pipeline]
        return sorted(wanted, key=lambda job: (job["spec"]["stageIndex"], job["spec"]["index"]))

    def job(self, pipeline: str, name: str) -> dict[str, Any]:
        """The status of one job."""
        found = next(job for job in self.jobs(pipeline) if job["spec"]["name"] == name)
        status: dict[str, Any] = found["status"]
        return status

    def states(self, pipeline: str) -> dict[str, str]:
        """The state of every job of a Pipeline that exists, by name."""
        return {job["spec"]["name"]: job["status"]["state"] for job in self.jobs(pipeline)}

    def pods(self) -> list[dict[str, Any]]:
        """Every pod of the namespace."""
        found: list[dict[str, Any]] = self.cluster.admin.list(PODS, NAMESPACE)
        return found

    async def until_final(self, *names: str, seconds: float = 600.0) -> dict[str, str]:
        """Wait until the Pipelines are final; returns their states."""
        wanted = names or tuple(p["metadata"]["name"] for p in self.cluster.admin.list(PIPELINES))

        def final() -> bool:
            return all(self.pipeline(name).get("state") in FINAL for name in wanted)

        await self.cluster.admin.wait_for(final, seconds, what=f"{wanted} to be final")
        return {name: self.pipeline(name)["state"] for name in wanted}

    def check(self) -> None:
        """What must hold at every moment: one pod for each attempt, no timers that failed."""
        self.cluster.timers.check()
        created = Counter(request.name for request in self.cluster.journal.of("create", PODS) if request.committed)
        assert not [name for name, number in created.items() if number > 1], created


def shell(name: str, stage: str = "s", *, seconds: float = 0, exit_code: int = 0, **fields: Any) -> dict[str, Any]:
    """A Shell job whose pod runs for `seconds` and ends with `exit_code`."""
    annotations = {"simulate.test/seconds": str(seconds), "simulate.test/exit-code": str(exit_code)}
    params = {"image": "busybox:1.36", "script": "true", "annotations": annotations}
    return {"name": name, "stage": stage, "kind": "Shell", "version": "1.0.0", "params": params} | fields


@asynccontextmanager
async def running(**settings: Any) -> AsyncIterator[World]:
    """A world whose operator has been started; at the end it is stopped and checked."""
    world = World(**settings)
    await world.start()
    try:
        yield world
        if world.runtime is not None:
            await world.stop()
        world.check()
    finally:
        if world.runtime is not None:
            await world.kill()
