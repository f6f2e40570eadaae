"""Whether there is room in the queue costs the API server nothing once the server knows the clients."""

import asyncio

from task_pipeline.api.resources import PIPELINE_CLIENTS
from tests.server.whole import Answer, Whole, whole
from tests.unit.server.auth.world import NAMESPACE

LIST = "/api/v1/namespaces/team-a/pipelines"


async def submit(site: Whole) -> Answer:
    job = {"name": "a", "stage": "s", "kind": "Worker", "version": "1.0.0", "params": {"queue": "q"}}
    return await site.one.ask("POST", LIST, site.callers["acme"], {"spec": {"stages": ["s"], "jobs": [job]}})


async def test_a_submit_lists_nothing() -> None:
    async with whole() as site:
        assert (await submit(site)).status == 201
        site.cluster.journal.clear()
        assert (await submit(site)).status == 201
        assert [request.verb for request in site.cluster.journal] == ["get", "create"]


async def test_a_queue_that_fills_is_noticed_by_watching() -> None:
    async with whole() as site:
        site.cluster.admin.status(PIPELINE_CLIENTS, "rival", NAMESPACE, queued=1000)
        for _ in range(500):
            answer = await submit(site)
            if answer.status != 201:
                break
            await asyncio.sleep(0.01)
        assert (answer.status, answer.reason) == (429, "QueueFull")
