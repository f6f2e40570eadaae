"""In every history the gauges equal a recount of what the API server has, and counters what statuses list."""

import asyncio
import random
from collections import Counter
from typing import Any

import pytest

from task_pipeline.api.resources import PIPELINE_JOBS, PIPELINES, PODS
from tests.scenario.metered import Metered, metered
from tests.scenario.world import NAMESPACE, shell
from tests.scrape import Scrape

pytestmark = [pytest.mark.looptime]

REST = 12.0  # seconds after which the last write has come back
CLIENTS = ("default", "one", "none", "nobody")
STEPS = 25


def act(it: Metered, dice: random.Random, number: int) -> None:
    """Something that users or the cluster may do."""
    world = it.world
    names = [pipeline["metadata"]["name"] for pipeline in world.cluster.admin.list(PIPELINES)]
    match dice.choice(["submit", "submit", "submit", "edit", "kill", "delete", "forget", "client", "limit"]):
        case "submit":
            jobs = [
                shell(f"j{index}", f"s{index % 2}", seconds=dice.choice([0, 5, 40, 300]),
                      exit_code=int(dice.random() < 0.3), retryAttempt=dice.choice([0, 2]),
                      allowFailure=dice.random() < 0.3)
                for index in range(dice.randint(1, 5))
            ]  # fmt: skip
            suspend = dice.random() < 0.2
            world.submit(
                f"p{number}", *jobs, clientId=dice.choice(CLIENTS), priority=dice.randint(1, 9), suspend=suspend
            )
        case "edit" if names:
            wishes: list[dict[str, Any]] = [{"cancel": "Now"}, {"suspend": True}, {"suspend": False}]
            world.edit(dice.choice(names), **dice.choice(wishes))
        case "kill" if world.pods():
            world.cluster.admin.delete(PODS, dice.choice(world.pods())["metadata"]["name"], NAMESPACE)
        case "delete" if names:
            world.cluster.admin.delete(PIPELINES, dice.choice(names), NAMESPACE)
        case "forget" if world.jobs():
            world.cluster.admin.delete(PIPELINE_JOBS, dice.choice(world.jobs())["metadata"]["name"], NAMESPACE)
        case "client":
            world.client("one", maxRunningJobs=dice.choice([0, 1, 2, 5]), suspend=dice.random() < 0.2)
        case "limit":
            world.change_settings(max_running_jobs=dice.choice([1, 3, 10]), queue_size=dice.choice([0, 2, 50]))


def check(it: Metered, found: Scrape) -> None:
    """Compare with what the API server has; nothing is in flight."""
    pipelines, jobs = it.world.cluster.admin.list(PIPELINES), it.world.jobs()
    assert found.values("pipelines") == dict(Counter((thing["status"]["state"],) for thing in pipelines))
    states = Counter((job["status"]["state"],) for job in jobs)
    assert found.values("jobs") == dict(states)
    stopping = sum(job["status"]["reason"] == "Stopping" and job["status"]["state"] == "READY" for job in jobs)
    running = states["IN PROGRESS",] + stopping
    left = sum(found.values("jobs_running").values()) - running  # of jobs that were deleted while their pods end
    assert 0 <= left <= len(it.world.pods())
    reasons = Counter(
        (job["spec"]["clientId"], job["status"]["reason"])
        for job in jobs
        if job["status"]["state"] == "READY" and job["status"]["reason"] != "Stopping"
    )
    waiting = found.values("jobs_waiting")
    for (client, reason), number in reasons.items():
        if reason not in ("Queued", "GlobalLimit", "ClientLimit", "QueueFull", "ClientQueueFull"):
            assert waiting.get((client, reason), 0) >= number, (client, reason)
    for client in {client for client, _ in reasons}:  # which of the limits is told is written within a budget
        told = sum(number for (name, _), number in waiting.items() if name == client)
        assert told >= sum(number for (name, _), number in reasons.items() if name == client), client
    assert found.value("slots_drift") == 0


def attempts(it: Metered, known: dict[str, dict[str, int]]) -> Counter[tuple[str, ...]]:
    """The attempts that statuses list, also of jobs that have been deleted since, by kind and outcome."""
    for job in it.world.jobs():
        ended = [one["outcome"] for one in job["status"].get("attempts", ()) if "outcome" in one]
        known[job["metadata"]["uid"]] = dict(Counter(ended))
    total: Counter[tuple[str, ...]] = Counter()
    for outcomes in known.values():
        total.update({("Shell", outcome): number for outcome, number in outcomes.items()})
    return total


@pytest.mark.parametrize("seed", range(12))
async def test_gauges_equal_a_recount_and_counters_what_is_listed(seed: int) -> None:
    dice, known = random.Random(seed), dict[str, dict[str, int]]()
    async with metered(max_running_jobs=3, queue_size=50) as it:
        it.world.client("one", maxRunningJobs=1)
        it.world.client("none", maxRunningJobs=0)
        for number in range(STEPS):
            act(it, dice, number)
            await asyncio.sleep(dice.choice([0.0, 0.1, 1.0, 7.0]))
            attempts(it, known)
            if number % 5 == 4:
                await asyncio.sleep(REST)
                check(it, await it.scrape())
        await asyncio.sleep(REST)
        found = await it.scrape()
        check(it, found)
        listed = attempts(it, known)
        counted = found.values("job_attempts_total")
        assert set(counted) >= set(listed)
        assert all(counted[key] >= number for key, number in listed.items())  # jobs may have been deleted unseen
        ends = Counter(thing["status"]["state"] for thing in it.world.cluster.admin.list(PIPELINES))
        by_outcome: Counter[str] = Counter()
        for (_, outcome), count in found.values("pipelines_finished_total").items():
            by_outcome[outcome] += int(count)
        assert by_outcome["Succeeded"] >= ends["DONE"]
        assert by_outcome["Failed"] + by_outcome["Invalid"] >= ends["ERROR"]
        assert by_outcome["Cancelled"] >= ends["CANCELLED"]


async def test_a_scrape_in_the_middle_of_everything_finds_no_drift() -> None:
    async with metered(max_running_jobs=7) as it:
        it.world.cluster.latency = 0.02
        for number in range(30):
            it.world.submit(f"p{number}", shell("a", seconds=1), shell("b", seconds=2), shell("c", "t"))
        for _ in range(600):
            await asyncio.sleep(0.05)
            values = {value.metric.name: value.value for value in await it.sample()}
            assert values["task_pipeline_slots_drift"] == 0
        await it.world.until_final()
