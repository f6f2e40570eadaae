"""Following one Pipeline over REST: server-sent events, resumed at their last id.

The format is that of the HTML standard, section 9.2; only what the server sends of it is read.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

import orjson

from task_pipeline.api.group import LABEL_PIPELINE_UID
from task_pipeline.api.resources import PIPELINE_JOBS
from task_pipeline.cli.backend import Event, Object
from task_pipeline.cli.rest_http import SILENCE_SECONDS, Http
from task_pipeline.kube.errors import Invalid, KubeError, Unauthorized, is_transient

PATH = "/api/v1/watch"
PAUSE, LONGEST_PAUSE = 0.5, 10.0  # seconds between two tries
MAX_EVENT = 2**26


class Message(NamedTuple):
    """One server-sent event."""

    event: str
    id: str
    data: bytes


async def messages(pieces: AsyncIterator[bytes]) -> AsyncIterator[Message]:
    """The events of a stream; one that is not complete at its end is dropped."""
    rest = b""
    async for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n\n")
        if len(rest) > MAX_EVENT:
            raise Invalid(400, "TooLarge", "an event of the server is too large")
        for block in whole:
            fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if b": " in line and line[:1] != b":")
            if b"event" in fields:
                yield Message(fields[b"event"].decode(), fields.get(b"id", b"").decode(), fields.get(b"data", b"{}"))


async def follow(http: Http, pipeline: Object) -> AsyncIterator[Event]:
    """What exists of that very Pipeline, `synced`, then what happens. Raises KubeError for what will not pass.

    The server lists first whenever it is given no place; its events have an id from the end of the lists on. A Pipeline
    that the lists do not tell of is gone, whether or not another one has its name by now.
    A credential that is refused is tried once more, read anew; twice without an event between them is the end.
    """
    meta = pipeline["metadata"]
    query, uid = {"namespace": meta["namespace"], "pipeline": meta["name"]}, meta["uid"]
    place, synced, told, pause, refused = "", False, False, PAUSE, False
    while True:
        told = told and bool(place)
        try:
            headers = {"Last-Event-ID": place} if place else {}
            async with http.stream(PATH, query, headers, SILENCE_SECONDS) as pieces:
                async for message in messages(pieces):
                    pause, refused = PAUSE, False
                    if message.event == "relist":
                        place = ""
                        break
                    event = _event(message, uid)
                    if event is not None:
                        told |= event.what != "job"
                        yield event
                    if message.id and not place:
                        if not told:
                            yield Event("gone", {})
                        if not synced:
                            synced = True
                            yield Event("synced", {})
                    place = message.id or place
        except KubeError as error:
            if not is_transient(error) or (refused and isinstance(error, Unauthorized)):
                raise
            refused |= isinstance(error, Unauthorized)
            yield Event("trouble", {"message": str(error)})
            pause = min(pause * 2, LONGEST_PAUSE)
        await asyncio.sleep(pause)


def _event(message: Message, uid: str) -> Event | None:
    """The news in a message; None when it has none of the Pipeline with that uid."""
    if message.event == "bookmark":
        return None
    thing = orjson.loads(message.data)
    if thing["kind"] == PIPELINE_JOBS.kind:
        return Event("job", thing) if thing["metadata"].get("labels", {}).get(LABEL_PIPELINE_UID) == uid else None
    if thing["metadata"]["uid"] != uid:
        return None
    return Event("gone" if message.event == "deleted" else "pipeline", thing)
