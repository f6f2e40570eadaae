"""Following a run: a Pipeline that is gone is told of, and a credential that is refused twice ends the command."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from task_pipeline.api.resources import PIPELINE_JOBS, PIPELINES
from task_pipeline.cli import kube_watch, rest_events
from task_pipeline.cli.rest_http import Http, credential
from task_pipeline.kube.errors import KubeError, ServerError, Unauthorized
from tests.cli.site import Site
from tests.fakes import FakeCluster
from tests.scenario.world import shell

REFUSED = Unauthorized(401, "Unauthorized", "expired")


class Scripted:
    """In place of `Http`: each stream is the next of `answers`, bytes or an error; `places` are those asked from."""

    def __init__(self, *answers: bytes | KubeError) -> None:
        self.answers = list(answers)
        self.places: list[str | None] = []

    @contextlib.asynccontextmanager
    async def stream(self, _path: str, _query: Any, headers: Any, _: float) -> AsyncIterator[AsyncIterator[bytes]]:
        self.places.append(headers.get("Last-Event-ID"))
        answer = self.answers.pop(0)
        if isinstance(answer, KubeError):
            raise answer

        async def pieces() -> AsyncIterator[bytes]:
            yield answer

        yield pieces()


async def told(*answers: bytes | KubeError) -> list[str]:
    """What following says until an error ends it."""
    http: Any = Scripted(*answers)
    found: list[str] = []

    async def listen() -> None:
        async for event in rest_events.follow(http, PIPELINE):
            found.append(event.what)

    with pytest.raises(Unauthorized):
        await listen()
    assert http.answers == []
    return found


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest_events, "PAUSE", 0.0)
    monkeypatch.setattr(kube_watch, "PAUSE", 0.0)


PIPELINE = {"metadata": {"namespace": "team-a", "name": "p", "uid": "u1"}}
BOOKMARK = b"event: bookmark\nid: 7\ndata: {}\n\n"


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(
    ("answers", "events"),
    [([REFUSED, REFUSED], ["trouble"]), ([REFUSED, BOOKMARK, REFUSED, REFUSED], ["trouble", "trouble"])],
)
async def test_over_rest_the_second_refusal_ends_it(answers: Sequence[Any], events: list[str]) -> None:
    assert [what for what in await told(*answers) if what == "trouble"] == events


def test_over_kubernetes_the_second_refusal_of_a_list_ends_it(site: Site) -> None:
    site.submit("p", shell("a", seconds=60))
    site.until_state("p", "IN PROGRESS")

    def refuse(world: Any) -> None:
        world.cluster.fault(lambda request: request.verb == "list", before=REFUSED, times=20)

    site.do(refuse)
    answer = site.tpctl("wait", "p", "--timeout", "20s")
    assert answer.exit_code == 1, answer.output
    assert "does not accept the credential" in answer.output


@pytest.mark.usefixtures("at_once")
async def test_over_kubernetes_the_second_refusal_of_a_watch_ends_it() -> None:
    cluster = FakeCluster()
    spec = {"stages": ["s"], "jobs": [shell("a")]}
    made = cluster.admin.create(PIPELINES, {"metadata": {"name": "p"}, "spec": spec}, "default")
    cluster.fault(lambda request: request.verb == "watch", before=REFUSED, times=20)
    api: Any = cluster

    async def listen() -> None:
        async with asyncio.timeout(10):
            async for _ in kube_watch.events(api, made):
                pass

    with pytest.raises(Unauthorized):
        await listen()


async def test_a_credential_of_a_file_is_read_again_when_it_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("old")
    seen = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.headers["Authorization"])
        path.write_text("new")
        return web.json_response({}, status=401 if seen[-1] == "Bearer old" else 200)

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    http = Http(f"http://127.0.0.1:{runner.addresses[0][1]}", credential({"TPCTL_TOKEN_FILE": str(path)}), 5.0)
    try:
        with pytest.raises(Unauthorized):
            await http.json("GET", "/")
        assert await http.json("GET", "/") == {}
    finally:
        http.close()
        await runner.cleanup()
    assert seen == ["Bearer old", "Bearer new"]


def event(what: str, uid: str, place: str = "", **labels: str) -> bytes:
    kind = "PipelineJob" if labels else "Pipeline"
    at = f"id: {place}\n" if place else ""
    data = json.dumps({"kind": kind, "metadata": {"uid": uid, "labels": labels}})
    return f"event: {what}\n{at}data: {data}\n\n".encode()


UID, LISTED = "taskpipeline.dev/pipeline-uid", b"event: bookmark\ndata: {}\n\n" + BOOKMARK
RELIST = b"event: relist\ndata: {}\n\n"


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(
    ("streams", "events"),
    [
        ([event("added", "u1") + LISTED + RELIST, event("added", "u1") + LISTED], ["pipeline", "synced", "pipeline"]),
        ([event("added", "u1") + LISTED + RELIST, LISTED], ["pipeline", "synced", "gone"]),
        ([event("added", "u1") + LISTED + RELIST, event("added", "u2") + LISTED], ["pipeline", "synced", "gone"]),
        ([event("added", "u1") + LISTED, event("modified", "u2", "9")], ["pipeline", "synced"]),
        ([event("added", "u1") + LISTED, event("deleted", "u2", "9")], ["pipeline", "synced"]),
        ([event("added", "u1") + LISTED, event("deleted", "u1", "9")], ["pipeline", "synced", "gone"]),
        ([event("added", "u1"), event("added", "u1") + LISTED], ["pipeline", "pipeline", "synced"]),
        ([event("added", "u1"), LISTED], ["pipeline", "gone", "synced"]),
        (
            [event("added", "u1") + event("added", "j", **{UID: "u1"}) + event("added", "k", **{UID: "u2"}) + LISTED],
            ["pipeline", "job", "synced"],
        ),
    ],
)
async def test_over_rest_only_that_very_pipeline_is_followed(streams: Sequence[Any], events: list[str]) -> None:
    assert [what for what in await told(*streams, REFUSED, REFUSED) if what != "trouble"] == events


@pytest.mark.parametrize("times", [1, 99])
def test_jobs_that_cannot_be_listed_at_the_end_do_not_change_the_outcome(site: Site, times: int) -> None:
    site.submit("p", shell("a"))
    site.until_state("p", "DONE")
    lists = itertools.count()

    def last(request: Any) -> bool:
        return bool(request.verb == "list" and request.resource == PIPELINE_JOBS and next(lists) > 0)

    site.do(lambda world: world.cluster.fault(last, before=ServerError(500, "", "broken"), times=times))
    answer = site.tpctl("watch", "p")
    assert answer.exit_code == 0, answer.output
    assert "s/a DONE" in answer.output
    assert next(lists) > 1
