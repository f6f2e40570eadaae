"""Watches: streams of changes with a place in history, selectors, bookmarks, and their ends.

Rule: a stream yields what the API server sends, line by line, and owns its backlog: what happened before it broke is
delivered or not, never reordered. An event reaches it `lag` seconds after the change.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field

import orjson

from task_pipeline.api.resources import Resource
from task_pipeline.kube.errors import KubeError, Unreachable
from tests.fakes.selectors import Choice, Matcher, field_matcher, matcher
from tests.fakes.store import Change, ChangeType, Object, Store, TooOld

BOOKMARK_SECONDS = 60.0
LAST_BOOKMARK_SECONDS = 2.0  # before the end that the server itself makes
SILENCE_SECONDS = 75.0
EARLY = 1e-6  # seconds


@dataclass
class WatchSettings:
    """How streams behave; a test may change it at any time. Seconds of the loop's time."""

    seconds: float = 290.0
    bookmark_seconds: float = BOOKMARK_SECONDS
    lag: float = 0.0
    bookmarks: bool = True


@dataclass(eq=False)
class Watch:
    """One open stream."""

    resource: Resource
    namespace: str | None
    matches: Matcher
    suits: Callable[[Object], bool]
    backlog: deque[Change] = field(default_factory=deque)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    frozen: bool = False
    broken: bool = False
    error: KubeError | None = None

    def offer(self, change: Change) -> None:
        """Take note of a change that may be of interest."""
        if change.resource == self.resource and self.namespace in (None, change.key[0]):
            self.backlog.append(change)
            self.wake.set()

    def line(self, change: Change) -> bytes | None:
        """The event for this stream; None when the change is none of its business."""
        after = change.type is not ChangeType.DELETED and self.meant(change.object)
        before = change.previous is not None and self.meant(change.previous)
        if after:
            return _event(ChangeType.MODIFIED if before else ChangeType.ADDED, change.raw)
        if before:
            gone = change.raw if change.type is ChangeType.DELETED else change.raw_previous
            return _event(ChangeType.DELETED, gone)
        return None

    def meant(self, thing: Object) -> bool:
        """Whether the object is one that was asked for."""
        return self.matches(thing["metadata"].get("labels", {})) and self.suits(thing)


class _Rhythm:
    """When a stream sends bookmarks and ends, and when it was last heard, in the loop's time."""

    def __init__(self, settings: WatchSettings, now: float) -> None:
        self._settings = settings
        self.heard = now
        self.end = now + settings.seconds
        self.bookmark = self._next(now)

    def bookmarked(self, now: float) -> None:
        """A bookmark has been sent."""
        self.heard, self.bookmark = now, self._next(now)

    def _next(self, now: float) -> float:
        if not self._settings.bookmarks:
            return float("inf")
        last = self.end - LAST_BOOKMARK_SECONDS
        regular = now + self._settings.bookmark_seconds
        return min(regular, last) if now < last else regular


class Watches:
    """All open streams of the cluster."""

    def __init__(self, store: Store, settings: WatchSettings) -> None:
        self.settings = settings
        self._store = store
        self._open: set[Watch] = set()
        self._loop = asyncio.get_running_loop()
        store.listeners.append(self._offer)

    def __len__(self) -> int:
        return len(self._open)

    def break_off(self, resource: Resource | None = None, error: KubeError | None = None) -> int:
        """End the open streams (of one resource), cleanly or by `error`; returns how many."""
        watches = self._of(resource)
        for watch in watches:
            watch.broken, watch.error = True, error
            watch.wake.set()
        return len(watches)

    def freeze(self, resource: Resource | None = None, frozen: bool = True) -> int:
        """Let the open streams fall silent, or speak again, while they stay open; returns how many."""
        watches = self._of(resource)
        for watch in watches:
            watch.frozen = frozen
            watch.wake.set()
        return len(watches)

    async def stream(
        self, resource: Resource, namespace: str | None, chosen: Choice, version: str
    ) -> AsyncIterator[bytes]:
        """The lines of a new stream, from `version` on; with "" or "0" all that exists comes first."""
        watch = Watch(resource, namespace, matcher(chosen.labels), field_matcher(resource, chosen.fields))
        if version in ("", "0"):
            for line in self._present(watch):
                yield line
        else:
            try:
                self._replay(watch, self._store.since(resource, int(version)))
            except TooOld as error:
                yield _gone(str(error))
                return
        self._open.add(watch)
        try:
            async for line in self._follow(watch):
                yield line
        finally:
            self._open.discard(watch)

    def _replay(self, watch: Watch, changes: Iterable[Change]) -> None:
        for change in changes:
            watch.offer(change)

    def _present(self, watch: Watch) -> list[bytes]:
        items = self._store.items(watch.resource, watch.namespace)
        return [_event(ChangeType.ADDED, orjson.dumps(i)) for i in items if watch.meant(i)]

    async def _follow(self, watch: Watch) -> AsyncIterator[bytes]:
        rhythm = _Rhythm(self.settings, self._loop.time())
        while not watch.broken:
            for line in self._ready(watch, rhythm):
                yield line
                if watch.broken:
                    break
            now = self._now()
            if now >= rhythm.end:
                return
            if now >= rhythm.heard + SILENCE_SECONDS:
                raise Unreachable("SocketTimeoutError: Timeout on reading data from socket")
            await self._pause(watch, min(rhythm.end, rhythm.heard + SILENCE_SECONDS, self._due(watch, rhythm)))
        if watch.error is not None:
            raise watch.error

    def _ready(self, watch: Watch, rhythm: "_Rhythm") -> Iterator[bytes]:
        """The lines that are due now."""
        now = self._now()
        while not watch.frozen and watch.backlog and watch.backlog[0].time + self.settings.lag <= now:
            line = watch.line(watch.backlog.popleft())
            if line is not None:
                rhythm.heard = now
                yield line
        if not watch.frozen and not watch.backlog and now >= rhythm.bookmark:
            rhythm.bookmarked(now)
            yield self._bookmark(watch)

    def _due(self, watch: Watch, rhythm: "_Rhythm") -> float:
        """When this stream has something to say, unless it is woken before."""
        if watch.frozen:
            return rhythm.end
        return watch.backlog[0].time + self.settings.lag if watch.backlog else rhythm.bookmark

    def _now(self) -> float:
        """The loop's time, and what a timer may be early: else a stream would wait for no time, again and again."""
        return self._loop.time() + EARLY

    async def _pause(self, watch: Watch, until: float) -> None:
        try:
            async with asyncio.timeout_at(until):
                await watch.wake.wait()
        except TimeoutError:
            return
        watch.wake.clear()

    def _bookmark(self, watch: Watch) -> bytes:
        head = {"kind": watch.resource.kind, "apiVersion": watch.resource.api_version}
        return _event("BOOKMARK", orjson.dumps(head | {"metadata": {"resourceVersion": str(self._store.revision)}}))

    def _offer(self, change: Change) -> None:
        for watch in self._open:
            watch.offer(change)

    def _of(self, resource: Resource | None) -> list[Watch]:
        return [watch for watch in self._open if resource in (None, watch.resource)]


def _event(kind: str, raw: bytes) -> bytes:
    return b'{"type":"%s","object":%s}' % (kind.encode(), raw)


def _gone(message: str) -> bytes:
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message}
    return _event("ERROR", orjson.dumps(status | {"reason": "Expired", "code": 410}))
