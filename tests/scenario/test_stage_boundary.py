"""The boundary between two stages: whoever is better keeps its turn, however its next PipelineJobs come into being.

One slot, a better Pipeline of two stages, a worse one that waits. When the first stage ends, the second does not exist.
"""

import asyncio
from collections.abc import Callable

import pytest

from task_pipeline.api.resources import PIPELINE_JOBS, PIPELINES, PODS
from task_pipeline.kube.errors import Unreachable
from tests.fakes import FakeCluster, on
from tests.fakes.refusals import forbidden, server_error, stale, too_many
from tests.scenario.world import World, running, shell

pytestmark = [pytest.mark.looptime]

Trouble = Callable[[FakeCluster], object]
OF_JOBS = on("create", PIPELINE_JOBS)
TROUBLES: dict[str, Trouble] = {
    "none": lambda cluster: None,
    "slow network": lambda cluster: setattr(cluster, "latency", 0.5),
    "slow creation": lambda cluster: cluster.fault(OF_JOBS, delay=10, times=None),
    "two failures": lambda cluster: cluster.fault(OF_JOBS, before=server_error(), times=4),
    "overload": lambda cluster: cluster.fault(OF_JOBS, before=too_many(1), times=4),
    "no answer": lambda cluster: cluster.fault(OF_JOBS, before=Unreachable("refused"), times=4),
    "lost answers": lambda cluster: cluster.fault(OF_JOBS, after=Unreachable("no answer")),
    "late commit": lambda cluster: cluster.fault(OF_JOBS, commit_after=0.5),
    "slow statuses": lambda cluster: cluster.fault(on("patch_status", PIPELINES), delay=5, times=None),
    "stale statuses": lambda cluster: cluster.fault(
        on("patch_status", PIPELINES), before=lambda: stale(PIPELINES, "p"), times=3
    ),
    "silent watch": lambda cluster: cluster.freeze_watches(PIPELINE_JOBS, True),
}


def submit(world: World) -> None:
    """The better Pipeline has what a stage boundary may have: several jobs, one that ends early, an empty stage."""
    jobs = (shell("a", "one", seconds=5), shell("b", "one"), shell("c", "two"), shell("d", "two", priority=1))
    world.submit("better", *jobs, stages=["one", "empty", "two"], priority=1)
    world.submit("worse", *(shell(name, seconds=5) for name in "abcdef"))


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_the_slot_goes_to_the_second_stage_of_the_better(trouble: str) -> None:
    async with running(max_running_jobs=1) as world:
        submit(world)
        await asyncio.sleep(1)
        assert world.spy.launches == ["better/a"]
        TROUBLES[trouble](world.cluster)
        await world.until_final()
        assert world.spy.launches[:4] == ["better/a", "better/b", "better/d", "better/c"]
        assert world.spy.running.most == 1


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_nothing_of_the_stage_is_left_behind_when_slots_are_many(trouble: str) -> None:
    async with running(max_running_jobs=3) as world:
        submit(world)
        await asyncio.sleep(1)
        TROUBLES[trouble](world.cluster)
        assert await world.until_final() == {"better": "DONE", "worse": "DONE"}
        assert sorted(world.spy.launches) == sorted(
            [*(f"better/{x}" for x in "abcd"), *(f"worse/{x}" for x in "abcdef")]
        )
        assert world.spy.running.most == 3


async def test_a_restart_in_between_changes_nothing() -> None:
    async with running(max_running_jobs=1) as world:
        submit(world)
        await asyncio.sleep(1)
        world.cluster.fault(OF_JOBS, before=server_error(), times=None)
        await world.cluster.admin.wait_for(lambda: world.states("better") == {"a": "DONE", "b": "DONE"}, 20)
        await world.kill()
        world.cluster.faults.clear()
        await world.start()
        await world.until_final()
        assert world.spy.launches[:4] == ["better/a", "better/b", "better/d", "better/c"]


async def test_a_stage_that_never_comes_keeps_the_slot_only_for_a_while() -> None:
    """Creation that goes on failing is an outage of one Pipeline, not of the queue."""
    async with running(max_running_jobs=1) as world:
        submit(world)
        await asyncio.sleep(1)
        refused = on("create", PIPELINE_JOBS)
        world.cluster.fault(refused, before=server_error(), times=None)
        await world.cluster.admin.wait_for(lambda: world.states("better") == {"a": "DONE", "b": "DONE"}, 20)
        await world.cluster.admin.wait_for(lambda: "worse/a" in world.spy.launches, 15)
        world.cluster.faults.clear()
        assert await world.until_final() == {"better": "DONE", "worse": "DONE"}
        assert world.spy.launches.index("better/d") < world.spy.launches.index("worse/f")


async def test_a_stage_that_is_refused_keeps_no_slot() -> None:
    async with running(max_running_jobs=1) as world:
        submit(world)
        await asyncio.sleep(1)
        why = "unable to create new content in namespace default because it is being terminated"
        world.cluster.fault(OF_JOBS, before=lambda: forbidden(PIPELINE_JOBS, "x", why), times=None)
        await world.cluster.admin.wait_for(lambda: world.states("better") == {"a": "DONE", "b": "DONE"}, 20)
        await asyncio.sleep(1)
        assert world.spy.launches[2:] == ["worse/a"]
        world.cluster.faults.clear()
        assert await world.until_final() == {"better": "DONE", "worse": "DONE"}


async def test_a_pipeline_that_is_cancelled_or_suspended_at_the_boundary_gives_the_slot_back() -> None:
    for edit in ({"cancel": "Now"}, {"suspend": True}):
        async with running(max_running_jobs=1) as world:
            submit(world)
            await asyncio.sleep(1)
            world.cluster.fault(OF_JOBS, delay=3, times=None)
            await world.cluster.admin.wait_for(lambda: world.states("better") == {"a": "DONE", "b": "DONE"}, 20)
            await asyncio.sleep(1)
            world.edit("better", **edit)
            await world.cluster.admin.wait_for(lambda: world.pipeline("worse").get("state") == "DONE", 100)
            assert not [pod for pod in world.spy.launches if pod in ("better/c", "better/d")]


async def test_a_pipeline_that_is_deleted_while_its_stage_is_created_gives_the_slot_back() -> None:
    async with running(max_running_jobs=1) as world:
        submit(world)
        await asyncio.sleep(1)
        world.cluster.fault(OF_JOBS, delay=3, times=None)
        await world.cluster.admin.wait_for(lambda: world.states("better") == {"a": "DONE", "b": "DONE"}, 20)
        await asyncio.sleep(1)
        world.cluster.admin.delete(PIPELINES, "better")
        assert await world.until_final("worse") == {"worse": "DONE"}
        await asyncio.sleep(60)
        assert not world.jobs("better")
        assert not [pod for pod in world.cluster.admin.list(PODS) if pod["status"].get("phase") == "Running"]
