"""A cluster in which all is over costs nothing, however much that is."""

import asyncio

import pytest

from task_pipeline.api.resources import PIPELINES
from tests import history
from tests.scenario.world import NAMESPACE, running, shell

pytestmark = [pytest.mark.looptime]

FINISHED = 1_000
TEN_MINUTES = 600.0


async def test_a_thousand_finished_pipelines_cost_no_request_in_ten_minutes() -> None:
    async with running() as world:
        world.submit("model", shell("a", "s"), shell("b", "t"))
        await world.until_final()
        await asyncio.sleep(TEN_MINUTES)  # the client's counts are told, too
        model = await history.model(world.cluster, NAMESPACE, "model")
        await world.stop()
        await history.write(world.cluster, model, [f"old-{number:04}" for number in range(FINISHED)])
        world.cluster.journal.clear()
        await world.start()
        await asyncio.sleep(5)
        assert not world.cluster.journal.writes, world.cluster.journal.lines()
        world.cluster.journal.clear()
        await asyncio.sleep(TEN_MINUTES)
        asked = [request for request in world.cluster.journal if request.verb != "watch"]
        assert not asked, world.cluster.journal.lines()
        assert len(world.cluster.admin.list(PIPELINES)) == FINISHED + 1
