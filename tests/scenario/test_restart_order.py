"""After a restart that which may free a slot is looked at first, however much waits."""

import asyncio

import pytest

from task_pipeline.api.resources import PODS
from tests.scenario.world import NAMESPACE, World, running, shell

pytestmark = [pytest.mark.looptime]

SOON, LONG = 60.0, 36_000.0
MANY = 300
FEW = 10


async def killed_while_many_wait(world: World, *jobs: dict[str, object]) -> None:
    """These run and very many wait, which are listed first, when the operator is killed."""
    world.submit("runs", *jobs)
    await asyncio.sleep(5)
    world.submit("late", *(shell(f"j{number:03}", seconds=LONG) for number in range(MANY)))
    await asyncio.sleep(SOON / 2)
    await world.kill()


async def looks_before(world: World, name: str) -> int:
    """Start the operator; how many objects it looks at before it sends a request about that job of `runs`."""
    journal, looks = world.cluster.journal, 0
    journal.clear()
    await world.start()
    assert world.runtime is not None

    def is_sent() -> bool:
        return any(str(request.name).startswith(f"runs-{name}-") for request in journal)

    def looked(kind: str, seconds: float) -> None:
        nonlocal looks
        looks += not is_sent()

    world.runtime.looked = looked
    await world.cluster.admin.wait_for(is_sent, 60, what=f"a request about {name}")
    return looks


async def test_b072_a_job_that_ended_meanwhile_comes_before_all_that_waits() -> None:
    async with running(max_running_jobs=2) as world:
        await killed_while_many_wait(world, shell("ends", seconds=SOON), shell("stays", seconds=LONG))
        await asyncio.sleep(SOON)
        assert await looks_before(world, "ends") < FEW


async def test_b072_so_does_one_whose_pod_was_deleted_meanwhile() -> None:
    async with running(max_running_jobs=1) as world:
        await killed_while_many_wait(world, shell("gone", seconds=LONG))
        for pod in world.pods():
            world.cluster.admin.delete(PODS, pod["metadata"]["name"], NAMESPACE)
        await asyncio.sleep(SOON)
        assert await looks_before(world, "gone") < FEW


async def test_b072_one_that_ends_soon_after_the_start_takes_turns_with_all_that_waits() -> None:
    async with running(max_running_jobs=1) as world:
        await killed_while_many_wait(world, shell("ends", seconds=LONG))
        (pod,) = world.pods()
        journal, looks = world.cluster.journal, 0
        journal.clear()
        await world.start()
        assert world.runtime is not None

        def is_told() -> bool:
            return any(str(request.name).startswith("runs-ends-") for request in journal)

        def looked(kind: str, seconds: float) -> None:
            nonlocal looks
            looks += not is_told()
            if looks == FEW:
                world.cluster.kubelet.finish(pod["metadata"]["uid"])

        world.runtime.looked = looked
        await world.cluster.admin.wait_for(is_told, 60, what="the end of the job")
        assert FEW < looks < MANY / 2
