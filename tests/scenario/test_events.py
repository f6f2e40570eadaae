"""Kubernetes Events of whole runs: one for each failure and warning, none for anything else, and never in the way."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from task_pipeline.api.resources import EVENTS, PIPELINES, PODS
from task_pipeline.kube.errors import Unreachable
from tests.fakes import fates, on
from tests.scenario.world import World, running, shell

pytestmark = [pytest.mark.looptime]


def told(world: World) -> Counter[tuple[str, str, str]]:
    """What the Events say: (kind, reason, action) with how often."""
    found = world.cluster.admin.list(EVENTS)
    assert {one["type"] for one in found} <= {"Warning"}
    return Counter((one["regarding"]["kind"], one["reason"], one["action"]) for one in found)


def about(world: World, reason: str) -> dict[str, Any]:
    """The only Event with that reason."""
    (found,) = (one for one in world.cluster.admin.list(EVENTS) if one["reason"] == reason)
    event: dict[str, Any] = found
    return event


async def test_a_run_that_succeeds_costs_no_event() -> None:
    async with running(max_running_jobs=2) as world:
        world.submit("p", *(shell(f"j{number}", "one", seconds=20) for number in range(5)), shell("z", "two"))
        assert await world.until_final() == {"p": "DONE"}
        await asyncio.sleep(5)
        assert not told(world)


async def test_failures_and_retries_are_told_with_who_and_what() -> None:
    async with running() as world:
        world.submit("p", shell("bad", exit_code=3, retryAttempt=2), shell("fine", seconds=2))
        assert await world.until_final() == {"p": "ERROR"}
        await asyncio.sleep(5)
        wanted = {
            ("PipelineJob", "ExitCode", "Retry"): 1,
            ("PipelineJob", "ExitCode", "End"): 1,
            ("Pipeline", "JobFailed", "End"): 1,
        }
        assert told(world) == wanted
        event, pipeline = about(world, "JobFailed"), world.cluster.admin.get(PIPELINES, "p")
        assert event["regarding"]["uid"] == pipeline["metadata"]["uid"]
        assert event["note"] == "failed in stage s: bad" == pipeline["status"]["message"]


async def test_an_allowed_failure_an_invalid_spec_and_a_closed_client_are_told() -> None:
    async with running() as world:
        world.client("acme", namespaces=["elsewhere"])
        world.submit("warned", shell("bad", exit_code=1, allowFailure=True))
        world.submit("wrong", shell("a", kind="Nope"))
        world.submit("foreign", shell("a"), clientId="acme")
        await world.until_final()
        await asyncio.sleep(5)
        wanted = {
            ("PipelineJob", "ExitCode", "End"): 1,
            ("Pipeline", "SucceededWithWarnings", "End"): 1,
            ("Pipeline", "InvalidSpec", "End"): 1,
            ("Pipeline", "ClientNotAllowed", "End"): 1,
        }
        assert told(world) == wanted
        assert "Nope" in about(world, "InvalidSpec")["note"]


async def test_what_the_infrastructure_does_is_told() -> None:
    ends = {
        "lost": [fates.Fate(seconds=99, deleted_after=1), fates.succeeds()],
        "evicted": [fates.evicted(), fates.succeeds()],
        "late": [fates.hangs()],
        "unplaced": [fates.unschedulable("0/3 nodes are available: 3 Insufficient nvidia.com/gpu.")],
    }

    async with running() as world:
        world.cluster.kubelet.fate = lambda pod: ends[pod["spec"]["containers"][0]["image"]].pop(0)
        for name in ends:
            job = shell(name)
            world.submit(name, {**job, "params": {**job["params"], "image": name}, "timeout": 60, "startTimeout": 40})
        states = await world.until_final()
        assert states == {"lost": "DONE", "evicted": "DONE", "late": "ERROR", "unplaced": "ERROR"}
        await asyncio.sleep(5)
        wanted = {
            ("PipelineJob", "Lost", "Retry"): 1,
            ("PipelineJob", "Evicted", "Retry"): 1,
            ("PipelineJob", "Timeout", "End"): 1,
            ("PipelineJob", "Starting", "Start"): 1,
            ("PipelineJob", "StartTimeout", "End"): 1,
            ("Pipeline", "JobFailed", "End"): 2,
        }
        assert told(world) == wanted
        assert "nvidia.com/gpu" in about(world, "Starting")["note"]


async def test_a_cancel_by_the_user_is_no_warning() -> None:
    async with running(max_running_jobs=1) as world:
        world.submit("p", shell("runs", seconds=3600), shell("waits"), shell("later", "two"))
        await asyncio.sleep(20)
        world.edit("p", cancel="Now")
        assert await world.until_final() == {"p": "CANCELLED"}
        await asyncio.sleep(5)
        assert not told(world)


async def test_a_restart_tells_nothing_again() -> None:
    async with running() as world:
        world.submit("p", shell("bad", exit_code=1, retryAttempt=1))
        await world.until_final()
        await asyncio.sleep(5)
        before = told(world)
        await world.stop()
        world.cluster.journal.clear()
        await world.start()
        await asyncio.sleep(30)
        assert told(world) == before
        assert not world.cluster.journal.writes


@pytest.mark.parametrize("late", [True, False], ids=["no answer", "an error"])
async def test_events_that_cannot_be_written_delay_and_change_nothing(late: bool) -> None:
    async def run(broken: bool) -> tuple[dict[str, str], list[float]]:
        async with running() as world:
            began = world.now
            if broken and late:
                world.cluster.fault(on("create", EVENTS), delay=3600, times=None)
            elif broken:
                world.cluster.fault(on("create", EVENTS), before=Unreachable("cut"), times=None)
            world.submit("p", *(shell(f"j{number:02}", exit_code=1, retryAttempt=1) for number in range(30)))
            states = await world.until_final()
            launches = [one.time for one in world.cluster.journal.of("create", PODS)]
            return states, [round(time - began, 3) for time in (*launches, world.now)]

    assert await run(broken=True) == await run(broken=False)


async def test_thousands_of_failures_keep_within_the_budget_and_delay_no_launch() -> None:
    async with running(max_running_jobs=50, queue_size=3000) as world:
        world.submit("p", *(shell(f"j{number:04}", exit_code=1) for number in range(1500)))
        assert await world.until_final() == {"p": "ERROR"}
        assert world.runtime is not None
        assert world.now < 30
        assert world.runtime.events.dropped > 0
        sent = [one.time for one in world.cluster.journal.of("create", EVENTS)]
        assert len(sent) <= 20 + 5 * world.now + 1
