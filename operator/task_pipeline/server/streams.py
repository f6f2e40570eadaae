"""GET /watch: what happens to Pipelines, and to the jobs of one, as server-sent events.

Rule: a stream is a watch of the API server, so a replica remembers nothing, and a place in it, the resourceVersion in
the event's `id`, is good on every replica: a client that comes back with Last-Event-ID misses nothing. When the place
is too old, or the client too slow, one `relist` event says so, and the client begins anew without a place. Events hold
Pipelines without the jobs of their spec. The format is that of the HTML standard, section 9.2.
"""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import Annotated, NamedTuple

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from task_pipeline.api.common import SUBDOMAIN_PATTERN
from task_pipeline.api.resources import PIPELINE_JOBS, PIPELINES, Resource
from task_pipeline.kube.cluster import Cluster
from task_pipeline.kube.errors import Gone, KubeError, Overloaded, ServerError, Unreachable
from task_pipeline.server.auth.callers import CallerKind, Verb
from task_pipeline.server.call import Call, Reply
from task_pipeline.server.objects import shown
from task_pipeline.server.pipelines import summary
from task_pipeline.server.problem import problem
from task_pipeline.server.routes import API, Access, Route
from task_pipeline.server.shares import Shares
from task_pipeline.server.upstream import Object, persistently
from task_pipeline.server.visibility import namespaces

log = logging.getLogger(__name__)

MAX_STREAMS, MAX_OF_CALLER = 100, 20  # of one process; each may be several watches of the API server
MAX_NAMESPACES = 20  # of one stream
STREAM_SECONDS = 900.0  # no longer than a token is good
HEARTBEAT = 15.0
BACKLOG = 1000  # events that a slow client may be behind
PAGE = 100
PAUSE = 0.5  # seconds after the end of a watch
_UNREACHED = "Too large resource version"  # as the API server says it
_NAMES = {"ADDED": "added", "MODIFIED": "modified", "DELETED": "deleted", "BOOKMARK": "bookmark"}


class WatchQuery(BaseModel):
    """What is to be watched."""

    model_config = ConfigDict(frozen=True)

    namespace: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)] | None = Field(
        default=None, description="The namespace; all that the caller may see if absent."
    )
    pipeline: Annotated[str, Field(pattern=SUBDOMAIN_PATTERN, max_length=253)] | None = Field(
        default=None, description="Only this Pipeline, and its jobs as well; needs the namespace."
    )


class Source(NamedTuple):
    """One watch: a resource in a namespace, chosen by fields."""

    resource: Resource
    namespace: str | None
    fields: str | None


class Event(NamedTuple):
    """One server-sent event."""

    name: str
    id: str = ""
    data: bytes = b"{}"

    @property
    def wire(self) -> bytes:
        place = b"id: %s\n" % self.id.encode() if self.id else b""
        return b"event: %s\n%sdata: %s\n\n" % (self.name.encode(), place, self.data)


RELIST = Event("relist")


class Streams:
    """The streams of one process."""

    def __init__(self) -> None:
        self._shares = Shares("streams", MAX_STREAMS, MAX_OF_CALLER)

    @property
    def routes(self) -> tuple[Route, ...]:
        """The one route."""
        return (
            Route(
                "GET",
                f"{API}/watch",
                self.watch,
                Access.CALLER,
                "Follow Pipelines as server-sent events",
                query=WatchQuery,
                answers={200: None},
                problems=frozenset({400, 404}),
                timeout=STREAM_SECONDS + 30,
                stream=True,
                headers={"Last-Event-ID": "The id of the last event that the caller has; it is sent what came after."},
                description="Events `added`, `modified`, `deleted`, `bookmark` (a new place, no news) and `relist` "
                f"(begin again without Last-Event-ID). A comment every {HEARTBEAT:.0f} seconds. "
                f"The stream ends after {STREAM_SECONDS:.0f} seconds: come back with Last-Event-ID.",
            ),
        )

    async def watch(self, call: Call) -> Reply:
        """Open a stream and write it to its end."""
        place = call.headers.get("Last-Event-ID", "")
        if place and not (place.isdecimal() and len(place) < 20):
            raise problem(400, "InvalidPlace", "Last-Event-ID must be the id of an event of this stream")
        sources = await sources_of(call)
        with self._shares.take(call.caller):
            return Reply(200, await _serve(call, sources, place))


async def sources_of(call: Call) -> Sequence[Source]:
    """The watches that answer the query, each within what the caller may see. Raises ProblemError."""
    query: WatchQuery = call.query
    if query.pipeline is not None and query.namespace is None:
        raise problem(400, "InvalidQuery", "query.pipeline: needs query.namespace as well")
    mine = [f"spec.clientId={call.caller.client}"] if call.caller.kind is CallerKind.CLIENT else []
    if query.namespace is None:
        places = await namespaces(call.services, call.caller)
        if len(places) > MAX_NAMESPACES:
            text = f"you may see {len(places)} namespaces, a stream at most {MAX_NAMESPACES}: name one"
            raise problem(400, "TooManyNamespaces", text)
    else:
        await call.services.authorizer.authorize(call.caller, Verb.LIST, query.namespace)
        places = [query.namespace]
    named = [] if query.pipeline is None else [f"metadata.name={query.pipeline}"]
    found = [Source(PIPELINES, place, ",".join([*mine, *named]) or None) for place in places]
    if query.pipeline is not None:
        fields = ",".join([*mine, f"spec.pipeline={query.pipeline}"])
        found += [Source(PIPELINE_JOBS, place, fields) for place in places]
    return found


async def _serve(call: Call, sources: Sequence[Source], place: str) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    await response.prepare(call.request)
    await response.write(b": task-pipeline\n\n")
    feed, stopping = Feed(call.services.cluster, sources, place), call.services.stopping
    clock = asyncio.get_running_loop().time
    end = clock() + STREAM_SECONDS
    try:
        while clock() < end and not stopping.is_set():
            try:
                event = await asyncio.wait_for(feed.events.get(), HEARTBEAT)
            except TimeoutError:
                await response.write(b": alive\n\n")
                continue
            await response.write(event.wire)
            if event is RELIST:
                break
    finally:
        for task in feed.tasks:
            task.cancel()
        await asyncio.gather(*feed.tasks, return_exceptions=True)
    await response.write_eof()
    return response


class Feed:
    """The events of several watches in one queue.

    An event's id is a place up to which every watch has been told of: whoever comes back with it may hear something
    twice, and misses nothing.
    """

    def __init__(self, cluster: Cluster, sources: Sequence[Source], place: str) -> None:
        self.events: asyncio.Queue[Event] = asyncio.Queue(BACKLOG)
        self._cluster = cluster
        self._places = [int(place or 0)] * len(sources)
        self.tasks = [asyncio.create_task(self._follow(index, source)) for index, source in enumerate(sources)]

    async def _follow(self, index: int, source: Source) -> None:
        try:
            if not self._places[index]:
                await self._list(index, source)
            while True:
                await self._watch(index, source)
                await asyncio.sleep(PAUSE)
        except (KubeError, asyncio.QueueFull):
            while not self.events.empty():
                self.events.get_nowait()
            self.events.put_nowait(RELIST)

    async def _list(self, index: int, source: Source) -> None:
        """Tell what exists; the place of the whole list is good when it has been told."""
        token = None
        while True:
            raw = await persistently(partial(self._page, source, token))
            page = orjson.loads(raw)
            for item in page["items"]:
                await self.events.put(Event("added", data=_data(source, item)))
            token = page["metadata"].get("continue")
            if not token:
                await self.events.put(self._at(index, page["metadata"]["resourceVersion"], "bookmark"))
                return

    async def _page(self, source: Source, token: str | None) -> bytes:
        return await self._cluster.list(
            source.resource, source.namespace, fields=source.fields, limit=PAGE, continue_token=token
        )

    async def _watch(self, index: int, source: Source) -> None:
        """Tell what happens until the watch ends, or breaks in a way that passes."""
        place = str(self._places[index])
        lines = self._cluster.watch(source.resource, source.namespace, fields=source.fields, resource_version=place)
        try:
            async for line in lines:
                self.events.put_nowait(self._event(index, source, orjson.loads(line)))
        except (Overloaded, ServerError, Unreachable) as error:
            if _UNREACHED in str(error):  # a place that was made up, or of a cluster that was restored from a backup
                raise Gone(410, "Expired", str(error)) from error
            log.debug("a watch of %s broke: %s", source.resource.plural, error)

    def _event(self, index: int, source: Source, event: Object) -> Event:
        thing, kind = event["object"], event["type"]
        if kind == "ERROR":
            raise Gone(int(thing.get("code", 410)), str(thing.get("reason", "")), str(thing.get("message", "")))
        data = b"{}" if kind == "BOOKMARK" else _data(source, thing)
        return self._at(index, thing["metadata"]["resourceVersion"], _NAMES[kind], data)

    def _at(self, index: int, version: str, name: str, data: bytes = b"{}") -> Event:
        self._places[index] = int(version)
        return Event(name, str(min(self._places) or ""), data)


def _data(source: Source, thing: Object) -> bytes:
    head = {"apiVersion": source.resource.api_version, "kind": source.resource.kind}
    slim = summary(thing) if source.resource == PIPELINES else shown(thing)
    return orjson.dumps(head | slim)
