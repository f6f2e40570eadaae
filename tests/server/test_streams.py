"""Server-sent events: what is told, to whom, and that nobody who comes back misses anything."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from task_pipeline.api.resources import PIPELINE_JOBS, PIPELINES
from task_pipeline.kube.errors import Unreachable
from task_pipeline.server import streams
from tests.contract.worlds import JOB_SPEC, thing
from tests.server.site import Site

Event = tuple[str, str, dict[str, Any]]


class Stream:
    """An open stream."""

    def __init__(self, response: Any) -> None:
        self._content = response.content
        self.place = ""

    async def next(self) -> Event:
        """The next event: name, id, data; comments and bookmarks are passed over, but for their place."""
        while True:
            fields: dict[str, str] = {}
            async with asyncio.timeout(10):
                while (line := (await self._content.readline()).decode()) not in ("\n", ""):
                    name, _, value = line.partition(": ")
                    fields[name] = value.strip()
                if line == "":
                    raise EOFError
            self.place = fields.get("id", self.place)
            if fields.get("event") not in (None, "bookmark"):
                return fields["event"], fields.get("id", ""), json.loads(fields["data"])

    async def names(self, count: int) -> list[tuple[str, str]]:
        """Event and object name of the next `count` events."""
        found = [await self.next() for _ in range(count)]
        return [(event, data["metadata"]["name"]) for event, _, data in found]


@asynccontextmanager
async def opened(site: Site, query: str = "", *, by: str = "acme", place: str = "") -> AsyncIterator[Stream]:
    headers = {"Authorization": f"Bearer {by}"} | ({"Last-Event-ID": place} if place else {})
    async with site.client.get(f"/api/v1/watch{query}", headers=headers) as response:
        assert response.status == 200, await response.text()
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        yield Stream(response)


async def test_what_exists_comes_first_then_what_happens(site: Site) -> None:
    await site.create("p")
    async with opened(site) as stream:
        event, _, data = await stream.next()
        assert (event, data["kind"], data["metadata"]["name"]) == ("added", "Pipeline", "p")
        assert "jobs" not in data["spec"]
        assert "managedFields" not in data["metadata"]
        await asyncio.sleep(0.2)
        await site.status("p", state="IN PROGRESS")
        await site.create("q", "team-b")
        assert sorted(await stream.names(2)) == [("added", "q"), ("modified", "p")]
        await site.cluster.delete(PIPELINES, "team-a", "p")
        assert await stream.names(1) == [("deleted", "p")]


async def test_b060_a_client_hears_of_its_own_pipelines_only(site: Site) -> None:
    await site.create("theirs", client="rival")
    await site.create("mine")
    async with opened(site, "?namespace=team-a") as stream:
        assert await stream.names(1) == [("added", "mine")]
        await asyncio.sleep(0.2)
        await site.create("theirs2", client="rival")
        await site.create("mine2")
        assert await stream.names(1) == [("added", "mine2")]


async def test_one_pipeline_with_its_jobs(site: Site) -> None:
    await site.create("p")
    await site.create("q")
    for name in ("p", "q"):
        body = thing(PIPELINE_JOBS, f"{name}-a", spec=JOB_SPEC | {"pipeline": name, "clientId": "acme"})
        await site.cluster.create(PIPELINE_JOBS, "team-a", body)
    async with opened(site, "?namespace=team-a&pipeline=p") as stream:
        assert sorted(await stream.names(2)) == [("added", "p"), ("added", "p-a")]
        await asyncio.sleep(0.2)
        await site.cluster.patch_status(PIPELINE_JOBS, "team-a", "q-a", {"status": {"state": "IN PROGRESS"}})
        await site.cluster.patch_status(PIPELINE_JOBS, "team-a", "p-a", {"status": {"state": "IN PROGRESS"}})
        assert await stream.names(1) == [("modified", "p-a")]


async def test_who_comes_back_misses_nothing(site: Site) -> None:
    await site.create("p")
    async with opened(site, "?namespace=team-a") as stream:
        await stream.names(1)
        await asyncio.sleep(0.2)
        await site.create("q")
        assert await stream.names(1) == [("added", "q")]
        place = stream.place
    await site.status("p", state="IN PROGRESS")
    await site.create("r")
    async with opened(site, "?namespace=team-a", place=place) as stream:
        assert await stream.names(2) == [("modified", "p"), ("added", "r")]


async def test_of_two_watches_the_place_is_that_of_the_one_behind(site: Site) -> None:
    """Events of one namespace must not carry the place beyond what has been told of another."""
    async with opened(site) as stream:
        await asyncio.sleep(0.3)
        before = int(site.cluster.store.revision)
        await site.create("p")
        await stream.names(1)
        assert int(stream.place) <= before


async def test_a_place_that_is_too_old_begins_anew(site: Site) -> None:
    await site.create("p")
    for state in ("IN PROGRESS", "DONE"):
        await site.status("p", state=state)
    site.cluster.compact()
    async with opened(site, "?namespace=team-a", place="1") as stream:
        assert (await stream.next())[0] == "relist"
        with pytest.raises(EOFError):
            await stream.next()


async def test_a_client_that_does_not_read_is_told_to_begin_anew(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "BACKLOG", 5)
    feed = streams.Feed(site.cluster, [streams.Source(PIPELINES, "team-a", None)], "")
    await asyncio.sleep(0.2)
    for number in range(8):
        await site.create(f"p{number}")
    await asyncio.gather(*feed.tasks)
    assert feed.events.get_nowait() is streams.RELIST
    assert feed.events.empty()


async def test_a_watch_that_breaks_goes_on_where_it_was(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "PAUSE", 0.01)
    async with opened(site, "?namespace=team-a") as stream:
        await asyncio.sleep(0.2)
        site.cluster.break_watches(PIPELINES, Unreachable("reset"))
        await site.create("p")
        assert await stream.names(1) == [("added", "p")]


async def test_a_silent_stream_is_kept_alive(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT", 0.1)
    headers = {"Authorization": "Bearer acme"}
    async with site.client.get("/api/v1/watch?namespace=team-a", headers=headers) as response:
        lines = [(await response.content.readline()).decode() for _ in range(12)]
    assert lines.count(": alive\n") >= 2


async def test_a_stream_ends_when_the_server_stops(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT", 0.1)
    async with opened(site, "?namespace=team-a") as stream:
        site.services.stopping.set()
        with pytest.raises(EOFError):
            await stream.next()


async def test_what_is_refused(site: Site) -> None:
    assert (await site.call("GET", "/watch", by=None)).status == 401
    assert (await site.call("GET", "/watch?pipeline=p")).reason == "InvalidQuery"
    assert (await site.call("GET", "/watch?namespace=team-a", headers={"Last-Event-ID": "x"})).reason == "InvalidPlace"
    assert (await site.call("GET", "/watch?namespace=nowhere")).status in (403, 404)
