"""The informer: keeps a sink in step with one resource of the cluster.

List in pages, watch from where the list ended, resume after every end of the stream, list again when the server has
forgotten our place. A new list is compared with what was known before, so that what vanished in between is reported
as deleted. Raw watch lines go through one typed decoder; nothing else of an event is parsed.

The sink sees `put(object)` and `gone(uid)` only; it is told nothing about how the news came.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from task_pipeline.api.objects import ObjectMeta
from task_pipeline.api.resources import Resource
from task_pipeline.kube.cluster import Cluster
from task_pipeline.kube.errors import ApiError, Gone, KubeError, Unreachable

log = logging.getLogger(__name__)

PAGE = 500
FIRST_PAUSE, LONGEST_PAUSE, STABLE_AFTER = 0.5, 10.0, 30.0  # seconds


class HasMetadata(Protocol):
    """Anything with Kubernetes metadata."""

    @property
    def metadata(self) -> ObjectMeta: ...


T = TypeVar("T", bound=HasMetadata)
D = TypeVar("D", contravariant=True)


class Sink(Protocol[D]):
    """Where an informer delivers."""

    def put(self, thing: D) -> None:
        """The object exists and looks like this."""

    def gone(self, uid: str) -> None:
        """The object does not exist any more."""


class _Place(msgspec.Struct, rename="camel"):
    resource_version: str


class _Bookmark(msgspec.Struct):
    metadata: _Place  # a bookmark has no name: it is about the whole resource


class _Page(msgspec.Struct):
    metadata: dict[str, Any]
    items: tuple[msgspec.Raw, ...] = ()


class _Event(msgspec.Struct):
    type: str
    object: msgspec.Raw


class _Identity(msgspec.Struct, frozen=True, rename="camel"):
    namespace: str = ""
    name: str = ""
    uid: str = ""
    resource_version: str = ""


class _Named(msgspec.Struct):
    metadata: _Identity = _Identity()


class _Status(msgspec.Struct):
    code: int = 500
    reason: str = ""
    message: str = ""


@dataclass(slots=True)
class StreamHealth:
    """How well an informer is doing: loop time of the last sign of life, and counts since the start."""

    last_seen: float = 0.0
    lists: int = 0
    ghosts: int = 0
    events: int = 0
    error: str | None = None


class Informer(Generic[T]):
    """One resource, one selector, one sink. `view` is the struct that objects are decoded into.

    `known_elsewhere` tells the UIDs that the sink has heard of in other ways (answers to own writes): they too are
    reported as deleted when they are missing from a list that began later. `unreadable` is told of every version of an
    object that cannot be decoded: its UID and its resourceVersion.
    Run `run()` as a task; `synced` is set once the first list has been delivered.
    """

    def __init__(
        self,
        cluster: Cluster,
        resource: Resource,
        view: type[T],
        sink: Sink[T],
        *,
        namespace: str | None = None,
        selector: str | None = None,
    ) -> None:
        self._cluster = cluster
        self.resource = resource
        self._sink = sink
        self.known_elsewhere: Callable[[], Iterable[str]] = tuple
        self.unreadable: Callable[[str, int], None] = lambda uid, version: None
        self._namespace = namespace
        self._selector = selector
        self._decode_object = msgspec.json.Decoder(view).decode
        self._decode_event = msgspec.json.Decoder(_Event).decode
        self._decode_page = msgspec.json.Decoder(_Page).decode
        self._known: set[str] = set()
        self._version = ""
        self.synced = asyncio.Event()
        self.health = StreamHealth()

    async def run(self) -> None:
        """Keep the sink in step until cancelled. Trouble is logged once per kind of trouble and never ends the loop."""
        pause = FIRST_PAUSE
        while True:
            began = asyncio.get_running_loop().time()
            try:
                if not self._version:
                    await self._list()
                await self._watch()
                self.health.error = None
                if asyncio.get_running_loop().time() - began > 1.0:
                    continue
            except Gone:
                self._version = ""
                log.info("%s: the watch was too old, listing again", self.resource.plural)
            except KubeError as error:
                self._tell(error)
            except Exception:  # a fault of ours, or a body that is no JSON: a deaf operator would be worse
                self._version = ""
                log.exception("%s: a fault in the watch, listing again", self.resource.plural)
            if asyncio.get_running_loop().time() - began > STABLE_AFTER:
                pause = FIRST_PAUSE
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 2)

    def _tell(self, error: KubeError) -> None:
        text = str(error)
        if text != self.health.error:
            log.warning("cannot watch %s: %s; trying again", self.resource.plural, text)
        self.health.error = text

    async def _list(self) -> None:
        known, seen = self._known.union(self.known_elsewhere()), set[str]()
        token: str | None = None
        while True:
            raw = await self._cluster.list(
                self.resource, self._namespace, selector=self._selector, limit=PAGE, continue_token=token
            )
            page = self._decode_page(raw)
            for item in page.items:
                thing = self._object(item)
                if thing is not None:
                    seen.add(thing.metadata.uid)
                    self._sink.put(thing)
                else:
                    seen.add(_identity(item).uid)
            token = page.metadata.get("continue")
            if not token:
                break
        ghosts = known - seen
        for uid in ghosts:
            self._sink.gone(uid)
        self._known = seen
        self._version = str(page.metadata.get("resourceVersion", ""))
        self.health.lists += 1
        self.health.ghosts += len(ghosts)
        self._alive()
        self.synced.set()

    async def _watch(self) -> None:
        stream = self._cluster.watch(
            self.resource, self._namespace, selector=self._selector, resource_version=self._version
        )
        async for line in stream:
            self._alive()
            self._handle(line)

    def _handle(self, line: bytes) -> None:
        try:
            event = self._decode_event(line)
            if event.type == "BOOKMARK":
                self._version = msgspec.json.decode(event.object, type=_Bookmark).metadata.resource_version
                return
            status = msgspec.json.decode(event.object, type=_Status) if event.type == "ERROR" else None
        except msgspec.DecodeError as error:
            raise Unreachable(f"a broken watch event: {error}") from error
        if status is not None:
            kind = Gone if status.code == 410 else ApiError
            raise kind(status.code, status.reason, status.message)
        self.health.events += 1
        if event.type == "DELETED":
            identity = _identity(event.object)
            self._known.discard(identity.uid)
            self._sink.gone(identity.uid)
            self._version = identity.resource_version or self._version
            return
        thing = self._object(event.object)
        if thing is not None:
            self._version = thing.metadata.resource_version
            self._known.add(thing.metadata.uid)
            self._sink.put(thing)

    def _object(self, raw: msgspec.Raw) -> T | None:
        """The decoded object; None, and a log line, for one that cannot be decoded: it must not stop the others."""
        try:
            return self._decode_object(raw)
        except msgspec.DecodeError as error:
            one = _identity(raw)
            log.error(
                "%s %s/%s cannot be read and is left alone: %s", self.resource.kind, one.namespace, one.name, error
            )
            if one.uid and one.resource_version.isdigit():
                self.unreadable(one.uid, int(one.resource_version))
            return None

    def _alive(self) -> None:
        self.health.last_seen = asyncio.get_running_loop().time()


def _identity(item: msgspec.Raw) -> _Identity:
    """Which object it is, also of one that cannot be read as a whole; empty when not even that can be."""
    try:
        return msgspec.json.decode(item, type=_Named).metadata
    except msgspec.DecodeError:
        return _Identity()
