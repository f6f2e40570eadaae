"""RP04, the nightly load of a data warehouse: what the field cases ask of it, and their faults.

The manifest has a Shell stand-in for `refresh-dashboards`, with its date as a variable; test_realistic_workers.py has
the real one.
"""

import asyncio
from typing import Any

import pytest

from task_pipeline.api.group import LABEL_JOB_HASH
from task_pipeline.api.resources import PIPELINES, PODS
from task_pipeline.kube.errors import AlreadyExists
from tests.fakes.fates import fails, succeeds
from tests.realistic import Manifest, job, load
from tests.scenario.realistic import counts, launches, outcomes, ran_in_order, script, submit
from tests.scenario.world import World, running
from tests.unit.kinds.test_escaping import expand

pytestmark = [pytest.mark.looptime]

MANIFEST = load("rp04")
NAME = MANIFEST["metadata"]["name"]
EXTRACTS = [one["name"] for one in MANIFEST["spec"]["jobs"] if one["stage"] == "extract"]
HOUR = 3600.0


async def test_rp04_with_four_slots_the_extracts_run_as_listed_four_at_a_time() -> None:
    async with running(max_running_jobs=4) as world:
        script(world, {name: [succeeds(60 + number)] for number, name in enumerate(EXTRACTS)})
        submit(world, MANIFEST)
        assert await world.until_final(seconds=HOUR) == {NAME: "DONE"}
        assert ran_in_order(world, MANIFEST)
        assert world.spy.running.most == 4
        assert [name for name in launches(world, NAME) if name in EXTRACTS] == EXTRACTS
        first, late = (world.spy.launched_at[f"{NAME}/{name}"] for name in (EXTRACTS[3], EXTRACTS[4]))
        assert late - first >= 60


async def test_rp04_a_source_that_stays_busy_ends_the_night_after_four_retries() -> None:
    async with running() as world:
        script(world, {"window-guard": [fails(75, 2, "source is busy")] * 9})
        submit(world, MANIFEST)
        assert await world.until_final(seconds=HOUR) == {NAME: "ERROR"}
        assert outcomes(world, NAME, "window-guard") == [("Failed", "ExitCode", 75)] * 5
        guard = world.job(NAME, "window-guard")
        assert "exit code 75" in guard["message"]
        assert "source is busy" in guard["message"]
        assert sum(counts(world, NAME, "cancelled").values()) == 18
        assert set(world.states(NAME)) == {"window-guard"}


async def test_rp04_an_extract_that_fails_three_times_and_then_works_is_all_right() -> None:
    async with running() as world:
        script(world, {"extract-payments": [fails(1, 5)] * 3 + [succeeds(5)]})
        submit(world, MANIFEST)
        assert await world.until_final(seconds=HOUR) == {NAME: "DONE"}
        status = world.job(NAME, "extract-payments")
        assert (status["state"], status["attempt"], status["failures"]) == ("DONE", 4, 3)
        assert world.pipeline(NAME)["reason"] == "Succeeded"


def container_of(world: World, name: str) -> Manifest:
    """The container that a job ran in."""
    (found,) = (one for one in world.jobs(NAME) if one["spec"]["name"] == name)
    (pod,) = world.cluster.admin.list(
        PODS, "default", f"{LABEL_JOB_HASH}={found['metadata']['labels'][LABEL_JOB_HASH]}"
    )
    container: Manifest = pod["spec"]["containers"][0]
    return container


async def test_rp04_quotes_an_emoji_and_a_date_arrive_as_they_are_written() -> None:
    async with running() as world:
        script(world)
        submit(world, MANIFEST)
        assert await world.until_final(seconds=HOUR) == {NAME: "DONE"}
        parts = {
            "dbt-run": '\'{"run_date": "2031-04-20"}\'',
            "dbt-test": "\"{'run_date': '2031-04-20'}\"",
            "notify": "✅",
        }
        for name, part in parts.items():
            written = job(MANIFEST, name)["params"]["script"]
            assert part in written
            assert expand(container_of(world, name)["command"][-1], {}) == written
        assert {"name": "RUN_DATE", "value": "2031-04-20"} in container_of(world, "refresh-dashboards")["env"]
        assert {"name": "DAY", "value": "2031-04-20"} in container_of(world, "extract-orders")["env"]


async def test_rp04_two_that_start_the_same_night_start_it_once() -> None:
    async with running() as world:
        script(world)
        submit(world, MANIFEST)
        await asyncio.sleep(0.5)
        with pytest.raises(AlreadyExists):
            submit(world, MANIFEST)
        assert await world.until_final(seconds=HOUR) == {NAME: "DONE"}
        assert sorted(launches(world, NAME)) == sorted(one["name"] for one in MANIFEST["spec"]["jobs"])


async def test_rp04_three_hours_without_an_operator_lose_nothing_and_repeat_nothing() -> None:
    async with running() as world:
        script(world, {name: [succeeds(HOUR)] for name in EXTRACTS})
        submit(world, MANIFEST)
        await world.cluster.admin.wait_for(lambda: len(launches(world, NAME)) == 7, 600)
        await asyncio.sleep(600)
        await world.kill()
        await asyncio.sleep(3 * HOUR)
        await world.start()
        assert await world.until_final(seconds=HOUR) == {NAME: "DONE"}
        assert sorted(launches(world, NAME)) == sorted(one["name"] for one in MANIFEST["spec"]["jobs"])
        assert ran_in_order(world, MANIFEST)


def past_night(number: int, status: dict[str, Any]) -> tuple[Manifest, dict[str, Any]]:
    """A night of the past, as it is once its time to live is over: the Pipeline and its status."""
    return {"metadata": {"name": f"etl-past-{number:03}"}, "spec": MANIFEST["spec"]}, status


async def tonight(nights: int) -> tuple[list[str], float]:
    """What one night costs with so many behind it: the operator's writes, and how long it takes."""
    async with running() as world:
        script(world)
        submit(world, MANIFEST)
        await world.until_final(seconds=HOUR)
        done = world.pipeline(NAME)
        world.cluster.admin.delete(PIPELINES, NAME)
        await asyncio.sleep(120)
        await world.stop()
        for number in range(nights):
            body, status = past_night(number, done)
            world.cluster.admin.create(PIPELINES, body)
            for step in ({"state": "IN PROGRESS", "startTime": status["startTime"]}, status):
                world.cluster.admin.status(PIPELINES, body["metadata"]["name"], **step)
        world.cluster.journal.clear()
        await world.start()
        await asyncio.sleep(60)
        assert not world.cluster.journal.writes
        began = world.now
        submit(world, MANIFEST)
        await world.until_final(NAME, seconds=HOUR)
        took = world.now - began
        await asyncio.sleep(60)
        writes = [f"{one.verb} {one.resource.plural}" for one in world.cluster.journal.writes]
        return sorted(writes), round(took, 1)


async def test_rp04_a_year_of_finished_nights_costs_tonight_nothing() -> None:
    """A restart among them writes nothing, and tonight takes as many writes and as long as without them."""
    assert await tonight(365) == await tonight(0)
