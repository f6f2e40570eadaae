"""Workers in a world: the jobs they do, and what the REST server writes for them, without its HTTP.

What is written is decided by core.remote, as in the product.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from task_pipeline.api.resources import PIPELINE_JOBS
from task_pipeline.api.times import format_time
from task_pipeline.cache.convert import job_record
from task_pipeline.core import remote
from task_pipeline.core.records import JobRecord, PipelineJobView, Report, status_patch
from task_pipeline.core.remote import Denied, Lease, Step
from tests.scenario.world import World

LEASE = Lease(60.0)


def work(name: str = "a", queue: str = "render", *, stage: str = "s", **fields: Any) -> dict[str, Any]:
    """A Worker job."""
    params = {"queue": queue, "payload": {"scene": "s1"}}
    return {"name": name, "stage": stage, "kind": "Worker", "version": "1.0.0", "params": params} | fields


class Server:
    """What the REST server writes for workers, without its HTTP."""

    def __init__(self, world: World, pipeline: str = "p") -> None:
        self._world = world
        self.pipeline = pipeline

    def record(self, name: str) -> JobRecord:
        found = next(job for job in self._world.jobs(self.pipeline) if job["spec"]["name"] == name)
        return job_record(msgspec.json.decode(msgspec.json.encode(found), type=PipelineJobView))

    def claim(self, name: str = "a", worker: str = "w1") -> Step | Denied:
        now = self._world.cluster.now()
        return self._take(name, lambda job: remote.claim(job, worker, None, LEASE, now))

    def beat(self, attempt: int, name: str = "a") -> Step | Denied:
        now = self._world.cluster.now()
        return self._take(name, lambda job: remote.heartbeat(job, attempt, LEASE, now))

    def progress(self, attempt: int, percent: int, name: str = "a") -> Step | Denied:
        now = self._world.cluster.now()
        return self._take(name, lambda job: remote.progress(job, attempt, (percent, None), LEASE, now))

    def report(self, attempt: int, outcome: str = "Succeeded", name: str = "a", **result: Any) -> Step | Denied:
        said = Report(attempt=attempt, outcome=outcome, time=format_time(self._world.cluster.now()))
        return self._take(name, lambda job: remote.report(job, said, result or None))

    def _take(self, name: str, decide: Callable[[JobRecord], Step | Denied]) -> Step | Denied:
        record = self.record(name)
        answer = decide(record)
        if isinstance(answer, Step) and answer.write:
            body = {"status": status_patch(record.status, answer.status)}
            self._world.cluster.admin.patch(PIPELINE_JOBS, record.name, body, record.namespace, subresource="status")
        return answer


def is_taken(answer: Step | Denied) -> bool:
    return isinstance(answer, Step)


async def offered(world: World, name: str = "a", pipeline: str = "p", *, seconds: float = 3600) -> dict[str, Any]:
    """Wait until the job is offered; its status."""

    def waits() -> bool:
        return world.states(pipeline).get(name) == "IN PROGRESS" and (
            world.job(pipeline, name)["reason"] == "AwaitingWorker"
        )

    await world.cluster.admin.wait_for(waits, seconds)
    return world.job(pipeline, name)


async def work_off(server: Server, world: World, name: str, *, seconds: float, worker: str = "w1") -> None:
    """Claim the job when it is offered, work for so long with a heartbeat every 20 s, and report success."""
    await offered(world, name, server.pipeline)
    assert is_taken(server.claim(name, worker))
    attempt = server.record(name).status.attempt or 0
    for step in range(int(seconds // 20)):
        await asyncio.sleep(20)
        assert is_taken(server.progress(attempt, min(100, step), name))
    assert is_taken(server.report(attempt, name=name))
