"""RP05, a C library with a matrix of twelve variants: what the field cases ask of it, and their faults."""

import asyncio
import json
import re

import pytest

from task_pipeline.api.resources import PIPELINES, PODS
from tests.fakes.fates import Fate, fails, succeeds
from tests.fakes.store import Object
from tests.realistic import load
from tests.scenario.realistic import counts, launches, outcomes, ran_in_order, script, spans, submit
from tests.scenario.world import World, running

pytestmark = [pytest.mark.looptime]

MANIFEST = load("rp05")
NAME = MANIFEST["metadata"]["name"]
MATRIX = [one["name"] for one in MANIFEST["spec"]["jobs"] if one["stage"] == "build"]
HOUR = 3600.0


def matrix(seconds: float = 600.0) -> dict[str, list[Fate]]:
    """Each variant takes a little longer than the one before it."""
    return {name: [succeeds(seconds + number)] for number, name in enumerate(MATRIX)}


async def test_rp05_with_a_limit_of_six_the_matrix_runs_six_at_a_time_and_big_endian_last() -> None:
    async with running() as world:
        world.client("default", maxRunningJobs=6)
        script(world, matrix())
        submit(world, MANIFEST)
        assert await world.until_final(seconds=2 * HOUR) == {NAME: "DONE"}
        assert ran_in_order(world, MANIFEST)
        assert world.spy.running.most == world.spy.pods.most == 6
        built = [name for name in launches(world, NAME) if name in MATRIX]
        assert built == MATRIX
        assert built[-1] == "big-endian-qemu"
        ran = spans(world, NAME)
        assert ran["coverage"].start >= max(ran[name].end for name in MATRIX)


async def test_rp05_one_red_variant_stops_what_follows_and_the_others_finish() -> None:
    async with running() as world:
        script(world, matrix() | {"clang": [fails(1, 30)] * 2})
        submit(world, MANIFEST)
        assert await world.until_final(seconds=2 * HOUR) == {NAME: "ERROR"}
        assert outcomes(world, NAME, "clang") == [("Failed", "ExitCode", 1)] * 2
        built = {name: world.states(NAME)[name] for name in MATRIX}
        assert built == dict.fromkeys(MATRIX, "DONE") | {"clang": "ERROR"}
        cancelled = {stage: number for stage, number in counts(world, NAME, "cancelled").items() if number}
        assert cancelled == {"coverage": 1, "analysis": 3, "deploy": 1}
        assert "coverage" not in launches(world, NAME)


async def test_rp05_a_red_valgrind_beside_a_green_scan_is_done() -> None:
    async with running() as world:
        script(world, {"valgrind": [fails(1, 30)]})
        submit(world, MANIFEST)
        assert await world.until_final(seconds=2 * HOUR) == {NAME: "DONE"}
        status = world.pipeline(NAME)
        assert (status["reason"], status["warnings"], status["failedJobs"]) == (
            "SucceededWithWarnings", 1, ["valgrind"],
        )  # fmt: skip


async def test_rp05_a_big_endian_that_stays_red_is_a_warning() -> None:
    async with running() as world:
        script(world, {"big-endian-qemu": [fails(1, 30)] * 2})
        submit(world, MANIFEST)
        assert await world.until_final(seconds=2 * HOUR) == {NAME: "DONE"}
        assert world.pipeline(NAME)["failedJobs"] == ["big-endian-qemu"]


async def test_rp05_child_names_are_valid_and_tell_whose_they_are_and_the_status_stays_short() -> None:
    async with running() as world:
        script(world)
        submit(world, MANIFEST)
        assert await world.until_final(seconds=2 * HOUR) == {NAME: "DONE"}
        names = {job["spec"]["name"]: job["metadata"]["name"] for job in world.jobs(NAME)}
        assert len(set(names.values())) == 18
        for name, child in names.items():
            assert re.fullmatch(r"[a-z]([-a-z0-9]{0,50}[a-z0-9])?", child)
            assert name[:10] in child
        assert len(json.dumps(world.pipeline(NAME))) < 4096
        assert [stage["total"] for stage in world.pipeline(NAME)["stages"]] == [1, 12, 1, 3, 1]


async def test_rp05_a_newer_push_cancels_and_starts_again_under_the_same_name_at_once() -> None:
    async with running() as world:
        world.client("default", maxRunningJobs=6)
        script(world, {name: [Fate(seconds=9000, stop_seconds=20), succeeds(60)] for name in MATRIX[:6]})
        submit(world, MANIFEST)
        await world.cluster.admin.wait_for(lambda: len(launches(world, NAME)) == 7, 600)
        old = {job["metadata"]["uid"] for job in world.jobs(NAME)}
        world.edit(NAME, cancel="Now")
        await asyncio.sleep(0.2)
        world.cluster.admin.delete(PIPELINES, NAME)
        submit(world, MANIFEST)
        assert await world.until_final(seconds=2 * HOUR) == {NAME: "DONE"}
        assert world.pipeline(NAME)["run"] == 1
        await world.cluster.admin.wait_for(lambda: len(world.jobs()) == 18, 120)
        assert not old & {job["metadata"]["uid"] for job in world.jobs(NAME)}
        assert len(launches(world, NAME)) == 7 + 18
        assert {job["status"]["attempt"] for job in world.jobs(NAME)} == {1}


def drain(world: World, *nodes: str) -> list[Object]:
    """Take the pods off some nodes, as `kubectl drain` does; returns them."""
    found = [
        one for one in world.pods() if one["spec"].get("nodeName") in nodes and one["status"]["phase"] == "Running"
    ]
    for pod in found:
        world.cluster.admin.delete(PODS, pod["metadata"]["name"])
    return found


async def test_rp05_two_drained_nodes_in_the_middle_of_the_matrix_cost_no_retry() -> None:
    async with running() as world:
        script(world, usual=succeeds(900))
        submit(world, MANIFEST)
        await world.cluster.admin.wait_for(lambda: len(launches(world, NAME)) == 13, HOUR)
        await asyncio.sleep(300)
        drained = drain(world, "node-1", "node-2")
        assert len(drained) >= 2
        await asyncio.sleep(HOUR)
        assert await world.until_final(seconds=2 * HOUR) == {NAME: "DONE"}
        lost = {
            job["spec"]["name"]: job["status"]
            for job in world.jobs(NAME)
            if any(one["outcome"] in ("Lost", "Evicted") for one in job["status"]["attempts"])
        }
        assert len(lost) == len(drained)
        assert all("failures" not in status and status["attempt"] == 2 for status in lost.values())
        assert len(launches(world, NAME)) == 18 + len(drained)
