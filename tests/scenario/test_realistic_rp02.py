"""RP02, the training of a model: what the field cases ask of it, and their faults.

The manifest has Shell stand-ins for `fetch-labels` and `register`; test_realistic_workers.py has the real ones. So
progress that a worker reports, and a restart of the API server of workers, are not asked for here. A worker that dies
costs an attempt like a pod that fails; that is.
"""

import asyncio

import pytest

from task_pipeline.api.resources import PODS
from task_pipeline.api.times import parse_time
from tests.fakes.fates import Fate, evicted, fails, hangs, oom_killed, succeeds
from tests.realistic import load
from tests.scenario.realistic import counts, launches, outcomes, ran_in_order, script, spans, submit
from tests.scenario.world import World, running

pytestmark = [pytest.mark.looptime]

MANIFEST = load("rp02")
NAME = MANIFEST["metadata"]["name"]
SHARDS = [f"prep-{number}" for number in range(4)]
HOUR = 3600.0
NO_GPU = "0/10 nodes are available: 10 Insufficient nvidia.com/gpu."


async def test_rp02_runs_to_its_end_and_trains_after_all_shards() -> None:
    async with running() as world:
        slow = {name: [succeeds(600 + 60 * number)] for number, name in enumerate(SHARDS)}
        script(world, slow | {"train-base": [succeeds(6 * HOUR)], "train-small": [succeeds(2 * HOUR)]})
        submit(world, MANIFEST)
        await asyncio.sleep(6 * HOUR)
        assert await world.until_final(seconds=HOUR) == {NAME: "DONE"}
        assert ran_in_order(world, MANIFEST)
        ran = spans(world, NAME)
        assert all(ran[one].overlaps(ran[other]) for one in SHARDS for other in SHARDS)
        assert ran["train-base"].start >= max(ran[one].end for one in SHARDS)


async def test_rp02_a_gate_that_ends_with_3_stops_what_follows_and_is_not_retried() -> None:
    async with running() as world:
        script(world, {"gate": [fails(3, 5, "0.907 is not better than 0.905 by 0.005")]})
        submit(world, MANIFEST)
        assert await world.until_final(seconds=HOUR) == {NAME: "ERROR"}
        gate = world.job(NAME, "gate")
        assert (gate["state"], gate["reason"], gate["attempt"]) == ("ERROR", "ExitCode", 1)
        assert "exit code 3" in gate["message"]
        assert "0.907 is not better" in gate["message"]
        assert world.pipeline(NAME)["failedJobs"] == ["gate"]
        assert {name: counts(world, NAME, "cancelled")[name] for name in ("export", "deploy", "verify")} == {
            "export": 1,
            "deploy": 1,
            "verify": 1,
        }


async def test_rp02_a_shard_that_runs_out_of_memory_is_retried_twice_at_most() -> None:
    async with running() as world:
        script(world, {"prep-2": [oom_killed(30)] * 9})
        submit(world, MANIFEST)
        assert await world.until_final(seconds=HOUR) == {NAME: "ERROR"}
        assert outcomes(world, NAME, "prep-2") == [("Failed", "OOMKilled", 137)] * 3
        assert world.states(NAME) == {
            "fetch-labels": "DONE", "schema-check": "DONE",
            "prep-0": "DONE", "prep-1": "DONE", "prep-2": "ERROR", "prep-3": "DONE",
        }  # fmt: skip


async def test_rp02_a_worker_that_dies_costs_one_attempt() -> None:
    async with running() as world:
        script(world, {"fetch-labels": [fails(1, 30), succeeds(30)]})
        submit(world, MANIFEST)
        assert await world.until_final(seconds=HOUR) == {NAME: "DONE"}
        assert world.job(NAME, "fetch-labels")["failures"] == 1


def training(world: World) -> dict[str, str | None]:
    """Reason and message of the job that waits for a node."""
    status = world.job(NAME, "train-base")
    return {field: status.get(field) for field in ("reason", "message")}


async def test_rp02_an_hour_without_a_node_shows_the_scheduler_and_counts_for_the_timeout_only() -> None:
    """The clock is the documented one: `timeout` (8 h) counts from the launch, `startTimeout` is a limit of its own."""
    gpu = Fate(unschedulable=NO_GPU, placed_after=HOUR, seconds=6 * HOUR)
    async with running(start_timeout=2 * HOUR) as world:
        script(world, {"train-base": [gpu]})
        submit(world, MANIFEST)
        await world.cluster.admin.wait_for(lambda: "train-base" in world.states(NAME), HOUR)
        await asyncio.sleep(600)
        assert training(world) == {"reason": "Starting", "message": f"Unschedulable: {NO_GPU}"}
        await asyncio.sleep(7 * HOUR)
        assert await world.until_final(seconds=HOUR) == {NAME: "DONE"}
        assert outcomes(world, NAME, "train-base") == [("Succeeded", None, 0)]
        attempt = world.job(NAME, "train-base")["attempts"][0]
        ran = parse_time(attempt["completionTime"]) - parse_time(attempt["startTime"])
        assert 7 * HOUR - 1 <= ran.total_seconds() <= 7 * HOUR + 60  # the cluster tells whole seconds


async def test_rp02_without_that_patience_the_start_timeout_says_why() -> None:
    gpu = Fate(unschedulable=NO_GPU)
    async with running() as world:
        script(world, {"train-base": [gpu, succeeds(60)]})
        submit(world, MANIFEST)
        assert await world.until_final(seconds=HOUR) == {NAME: "DONE"}
        first, second = world.job(NAME, "train-base")["attempts"]
        assert (first["outcome"], first["reason"], first["charged"]) == ("Timeout", "StartTimeout", True)
        assert NO_GPU in first["message"]
        assert second["outcome"] == "Succeeded"


async def test_rp02_training_that_is_evicted_after_two_hours_gets_its_attempt_back() -> None:
    async with running() as world:
        script(world, {"train-base": [evicted(2 * HOUR), evicted(2 * HOUR), succeeds(6 * HOUR)]})
        submit(world, MANIFEST)
        await asyncio.sleep(10 * HOUR)
        assert await world.until_final(seconds=HOUR) == {NAME: "DONE"}
        status = world.job(NAME, "train-base")
        assert [one["outcome"] for one in status["attempts"]] == ["Evicted", "Evicted", "Succeeded"]
        assert "failures" not in status


async def test_rp02_a_cancel_while_it_trains_ends_both_pods_before_it_is_told() -> None:
    async with running() as world:
        script(world, {"train-base": [hangs(stop_seconds=20)], "train-small": [hangs(stop_seconds=5)]})
        submit(world, MANIFEST)
        await world.cluster.admin.wait_for(lambda: launches(world, NAME)[-2:] == ["train-base", "train-small"], HOUR)
        await asyncio.sleep(HOUR)
        world.edit(NAME, cancel="Now")
        stopping = await world.cluster.admin.wait_for(
            lambda: [one for one in world.pods() if "deletionTimestamp" in one["metadata"]], 10
        )
        assert len(stopping) == 2
        assert world.pipeline(NAME)["state"] == "IN PROGRESS"
        assert await world.until_final(seconds=120) == {NAME: "CANCELLED"}
        assert {world.states(NAME)[name] for name in ("train-base", "train-small")} == {"CANCELLED"}
        assert not [one for one in world.cluster.admin.list(PODS) if one["status"]["phase"] in ("Pending", "Running")]
