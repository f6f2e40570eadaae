"""What a page is told: only what changed, a few times a second, and nothing is missed by who comes back."""

import asyncio
import re

import pytest

from task_pipeline.api.resources import PIPELINES
from task_pipeline.server.shares import Shares
from task_pipeline.server.web import sending
from tests.server.web.crowd import PAGE, many, stream_of
from tests.server.web.site import Markup, visitor
from tests.server.web.streams import opened
from tests.server.whole import Whole, whole

JOBS = 100


async def test_a_change_is_one_pill_and_the_head(site: Whole) -> None:
    jobs = many(site, 3)
    browser = await visitor(site, "acme")
    async with opened(browser, await stream_of(browser, PAGE)) as stream:
        site.write(jobs[1], state="IN PROGRESS", reason="Running", attempt=1, startTime="2031-01-01T00:00:00.000000Z")
        parts = await stream.until('id="j1"', "running")
        assert [Markup.of(part).elements[0][1]["id"] for part in parts] == ["j1"]
        pipeline = site.cluster.admin.get(PIPELINES, "many", "team-a")
        site.write(pipeline, state="IN PROGRESS", reason="StageRunning", message="so it goes", run=1)
        parts = await stream.until('id="head"', "so it goes")
        assert {Markup.of(part).elements[0][1]["id"] for part in parts} == {"head", "s0"}


async def test_many_changes_are_few_events_and_every_change_arrives(site: Whole) -> None:
    jobs = many(site, JOBS)
    browser = await visitor(site, "acme")
    async with opened(browser, await stream_of(browser, PAGE)) as stream:
        loop = asyncio.get_running_loop()
        begin = loop.time()
        for job in jobs:  # 100 a second
            site.write(job, state="IN PROGRESS", reason="Running", attempt=1)
            await asyncio.sleep(0.01)
        found: set[str] = set()
        while len(found) < JOBS:
            found |= {re.findall(r'id="(j\d+)"', part)[0] for part in await stream.parts() if "running" in part}
        took = loop.time() - begin
        assert stream.events <= took / sending.TICK + 3


async def test_who_comes_back_to_another_replica_misses_nothing() -> None:
    async with whole(replicas=2) as site:
        jobs = many(site, 4)
        browser = await visitor(site, "acme", site.replicas[0])
        path = await stream_of(browser, PAGE)
        async with opened(browser, path) as stream:
            site.write(jobs[0], state="IN PROGRESS", reason="Running", attempt=1)
            await stream.until('id="j0"', "running")
            place = stream.place
        site.write(jobs[1], state="IN PROGRESS", reason="Running", attempt=1)
        site.write(jobs[2], state="CANCELLED", reason="UserCancelled")
        browser.replica = site.replicas[1]
        async with opened(browser, path, place) as stream:
            found: set[str] = set()
            while not found >= {"j1", "j2"}:
                found |= {str(Markup.of(part).elements[0][1]["id"]) for part in await stream.parts()}
            assert "j3" not in found


async def test_another_run_is_another_page(site: Whole) -> None:
    many(site, 2)
    browser = await visitor(site, "acme")
    async with opened(browser, await stream_of(browser, PAGE)) as stream:
        pipeline = site.cluster.admin.get(PIPELINES, "many", "team-a")
        site.write(pipeline, state="IN PROGRESS", run=1)
        site.write(pipeline, state="ERROR", run=1)
        site.write(pipeline, state="READY", run=2)
        while (await stream.next())[0] != "again":
            pass
        with pytest.raises(EOFError):
            await stream.next()


async def test_a_pipeline_that_is_deleted_ends_its_page(site: Whole) -> None:
    many(site, 1)
    browser = await visitor(site, "acme")
    async with opened(browser, await stream_of(browser, PAGE)) as stream:
        site.cluster.admin.delete(PIPELINES, "many", "team-a")
        while (await stream.next())[0] != "again":
            pass
    assert (await browser.get(PAGE)).status == 404


async def test_a_place_that_is_too_old_is_another_page(site: Whole) -> None:
    many(site, 1)
    browser = await visitor(site, "acme")
    site.cluster.compact()
    async with opened(browser, f"{PAGE}/stream", "1") as stream:
        while (await stream.next())[0] != "again":
            pass


async def test_a_list_is_told_of_new_rows_of_changes_and_of_what_is_gone(site: Whole) -> None:
    browser = await visitor(site, "rival")
    async with opened(browser, "/ui/stream") as stream:
        first = "".join(await stream.parts(2))
        assert "rivals" in first
        assert "release" not in first
        made = site.pipeline("newer", client="rival")
        assert 'id="rows"' in "".join(await stream.until("newer"))
        site.write(made, state="IN PROGRESS", reason="StageRunning", message="under way")
        parts = await stream.until("under way")
        assert not [part for part in parts if 'id="rows"' in part]
        site.pipeline("acmes")
        site.cluster.admin.delete(PIPELINES, "newer", "team-a")
        parts = await stream.until('id="rows"')
        assert "acmes" not in "".join(parts)
        assert "newer" not in parts[-1]


async def test_clients_and_queue_are_told_when_they_change(site: Whole) -> None:
    browser = await visitor(site, "acme")
    async with opened(browser, "/ui/clients-stream") as stream:
        first = "".join(await stream.until('id="order"', "release"))
        assert "rivals" not in first
        site.pipeline("another")
        parts = await stream.until("another")
        assert not [part for part in parts if 'id="slots"' in part]


async def test_a_caller_may_not_hold_more_streams_than_its_share(site: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "shares", Shares("pages", 10, 1))
    browser = await visitor(site, "acme")
    async with opened(browser, "/ui/stream") as stream:
        await stream.parts()
        answer = await browser.get("/ui/stream")
        assert (answer.status, answer.headers["Content-Type"]) == (429, "text/plain; charset=utf-8")
