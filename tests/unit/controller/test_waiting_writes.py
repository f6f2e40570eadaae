"""A Pipeline that waits is written once, when it is accepted, as long as the reason for its wait stays the same."""

import asyncio

import pytest

from task_pipeline.api.resources import PIPELINES
from tests.scenario.world import World, running, shell

pytestmark = [pytest.mark.looptime]


def version(world: World, name: str) -> str:
    return str(world.cluster.admin.get(PIPELINES, name, "default")["metadata"]["resourceVersion"])


@pytest.mark.parametrize("queue_size", [2, 100], ids=["outside the window", "divided"])
async def test_it_is_not_written_again_while_nothing_changes(queue_size: int) -> None:
    async with running(max_running_jobs=1, queue_size=queue_size) as world:
        world.submit("runs", shell("a", seconds=3600))
        world.submit("first", shell("a"), shell("b"))
        world.submit("waits", shell("a"), shell("b"))
        await world.cluster.admin.wait_for(
            lambda: "acceptedTime" in world.pipeline("waits"), 5, what="the acceptance of the Pipeline"
        )
        before = version(world, "waits")
        assert ("divided" in world.pipeline("waits")) is (queue_size > 2)
        await asyncio.sleep(60)
        assert version(world, "waits") == before
