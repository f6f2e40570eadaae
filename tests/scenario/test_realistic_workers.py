"""RP02 and RP04 with real Worker jobs in the places of their Shell stand-ins, and the faults of the field cases."""

import asyncio
from typing import Any

import msgspec
import pytest

from tests.realistic import Manifest, changed, load
from tests.scenario.realistic import ran_in_order, script, submit
from tests.scenario.worker_server import Server, is_taken, offered, work_off
from tests.scenario.world import World, running

pytestmark = [pytest.mark.looptime]

HOUR = 3600.0


def with_worker(manifest: Manifest, name: str, queue: str, **payload: Any) -> Manifest:
    """The manifest with a Worker job instead of the stand-in `name`."""
    return changed(manifest, name, kind="Worker", params={"queue": queue, "payload": payload})


RP04 = with_worker(load("rp04"), "refresh-dashboards", "bi", dashboards=["sales", "stock"], run_date="2031-04-20")
RP02 = with_worker(
    with_worker(load("rp02"), "fetch-labels", "labelling", dataset="imgcls", since="2031-04-20"),
    "register", "registry", model="imgcls", stage="candidate",
)  # fmt: skip


def server_of(world: World, manifest: Manifest) -> Server:
    return Server(world, submit(world, manifest))


async def test_rp04_the_worker_gets_the_date_as_it_was_written() -> None:
    async with running() as world:
        script(world)
        server = server_of(world, RP04)
        await offered(world, "refresh-dashboards", server.pipeline)
        raw = bytes(server.record("refresh-dashboards").spec.params)
        assert b'"run_date":"2031-04-20"' in raw.replace(b" ", b"")
        assert msgspec.json.decode(raw)["payload"] == {"dashboards": ["sales", "stock"], "run_date": "2031-04-20"}
        await work_off(server, world, "refresh-dashboards", seconds=600)
        assert await world.until_final(seconds=HOUR) == {server.pipeline: "DONE"}
        assert ran_in_order(world, RP04)


async def test_rp04_an_operator_that_is_away_for_three_hours_finds_what_the_worker_has_done() -> None:
    async with running() as world:
        script(world)
        server = server_of(world, RP04)
        await offered(world, "refresh-dashboards", server.pipeline)
        await world.kill()
        await work_off(server, world, "refresh-dashboards", seconds=1200)
        await asyncio.sleep(3 * HOUR)
        await world.start()
        assert await world.until_final(seconds=HOUR) == {server.pipeline: "DONE"}
        assert world.job(server.pipeline, "refresh-dashboards")["attempt"] == 1


async def test_rp02_a_worker_that_dies_in_fetch_labels_costs_one_attempt_and_progress_is_shown() -> None:
    async with running() as world:
        script(world)
        server = server_of(world, RP02)
        await offered(world, "fetch-labels", server.pipeline)
        assert is_taken(server.claim("fetch-labels", "dies"))
        await asyncio.sleep(10)
        assert is_taken(server.progress(1, 30, "fetch-labels"))
        assert world.job(server.pipeline, "fetch-labels")["progress"]["percent"] == 30
        await world.cluster.admin.wait_for(lambda: world.job(server.pipeline, "fetch-labels").get("attempt") == 2, 200)
        await work_off(server, world, "fetch-labels", seconds=3 * HOUR / 2, worker="w2")
        await work_off(server, world, "register", seconds=60)
        assert await world.until_final(seconds=HOUR) == {server.pipeline: "DONE"}
        labels = world.job(server.pipeline, "fetch-labels")
        assert [one["outcome"] for one in labels["attempts"]] == ["Lost", "Succeeded"]
        assert (labels["failures"], labels["claim"]["worker"]) == (1, "w2")
        assert ran_in_order(world, RP02)
