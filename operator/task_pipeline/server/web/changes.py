"""The stream of a Pipeline's page: from REST's feed of events to the parts of the page that look different."""

import asyncio
from typing import Annotated

import msgspec
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from task_pipeline.server.auth.callers import Verb
from task_pipeline.server.call import Call, Reply
from task_pipeline.server.objects import owned
from task_pipeline.server.streams import RELIST, Event, Feed, WatchQuery, sources_of
from task_pipeline.server.web import render, sending
from task_pipeline.server.web.board import Board, decode_job, decode_pipeline
from task_pipeline.server.web.panel import may
from task_pipeline.server.web.pipeline import url_of
from task_pipeline.server.web.session import SESSION

JOB_KIND = "PipelineJob"
LOOK = 1.0  # seconds without events after which the stream looks whether it may go on


class StreamQuery(BaseModel):
    """Where to begin: at the place of the page, or of the last event, which the browser sends by itself."""

    model_config = ConfigDict(frozen=True)

    place: Annotated[str, Field(pattern=r"^[0-9]{0,19}$")] = ""


class _Kind(msgspec.Struct):
    kind: str


async def stream(call: Call) -> Reply:
    """GET what changes. `again` at the end: the page is another, or its place too old, and has to be read anew."""
    last = call.headers.get("Last-Event-ID", "")
    place = last if last.isdecimal() and len(last) < 20 else call.query.place
    namespace, name = call.path["namespace"], call.path["name"]
    watch = Call(
        call.services, call.caller, call.path, None, WatchQuery(namespace=namespace, pipeline=name), {},
        call.request_id, call.request,
    )  # fmt: skip
    sources = await sources_of(watch)
    board = Board(await owned(call, Verb.GET))
    page = _Page(call, board, await may(call))
    with sending.shares.take(call.caller):
        return Reply(body=await _serve(call, page, Feed(call.services.cluster, sources, place)))


async def _serve(call: Call, page: "_Page", feed: Feed) -> web.StreamResponse:
    async def judge() -> None:
        for verb in (Verb.GET, Verb.LIST):
            await call.services.authorizer.authorize(call.caller, verb, call.path["namespace"])

    out = sending.Stream(call, judge)
    try:
        await out.open()
        while out.is_on:
            events = await _batch(feed)
            fits = all([page.learn(event) for event in events])
            place = next((event.id for event in reversed(events) if event.id), "")
            if not fits:
                await out.send("again", {})
                break
            parts = page.changed()
            if parts or place:
                await out.send("parts", parts, place)
            await out.beat()
    finally:
        for task in feed.tasks:
            task.cancel()
        await asyncio.gather(*feed.tasks, return_exceptions=True)
    await out.response.write_eof()
    return out.response


async def _batch(feed: Feed) -> list[Event]:
    """What happens from the first event on for the length of a tick; nothing when all is quiet."""
    try:
        events = [await asyncio.wait_for(feed.events.get(), LOOK)]
    except TimeoutError:
        return []
    await asyncio.sleep(sending.TICK)
    while not feed.events.empty():
        events.append(feed.events.get_nowait())
    return events


class _Page:
    """What the page looks like, and which of its parts have to be sent again."""

    def __init__(self, call: Call, board: Board, may_act: bool) -> None:
        self._call = call
        self._board = board
        self._may_act = may_act
        self._base = url_of({"namespace": call.path["namespace"], "name": call.path["name"]})
        self._pills: set[int] = set()
        self._head = False
        self._sent: dict[str, str] = {}

    def learn(self, event: Event) -> bool:
        """Take an event over; False when the page has to be read anew."""
        if event is RELIST:
            return False
        if event.name == "bookmark":
            return True
        if msgspec.json.decode(event.data, type=_Kind).kind != JOB_KIND:
            self._head = True
            return event.name != "deleted" and not self._board.learn_pipeline(decode_pipeline(event.data))
        job = decode_job(event.data)
        number = self._board.forget_job(job) if event.name == "deleted" else self._board.learn_job(job)
        if number is not None:
            self._pills.add(number)
        return True

    def changed(self) -> list[str]:
        """The markup of the parts that look different from what was sent before."""
        board = self._board
        parts = {f"j{number}": render.parts.pill(board.pill(number), self._base, None) for number in self._pills}
        if self._head:
            parts["head"] = render.parts.head(board.head(), self._may_act, self._csrf, self._base, None)
            stages = [board.stage(number) for number in range(len(board.stage_names))]
            parts |= {stage.id: render.parts.stage_head(stage) for stage in stages}
        self._pills, self._head = set(), False
        texts = {name: str(text) for name, text in parts.items()}
        changed = [text for name, text in texts.items() if self._sent.get(name) != text]
        self._sent |= texts
        return changed

    @property
    def _csrf(self) -> str:
        return self._call.request[SESSION].csrf
