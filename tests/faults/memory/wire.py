"""One operator's connection to the fake API server, on which the script's faults strike.

Rule: what a dead process has sent and was not carried out never is, and nothing reaches it any more; a paused one
sends and hears nothing until it goes on, and then goes on with what it was about to send.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, NoReturn, TypeVar

import msgspec
import orjson

from task_pipeline.api.objects import ObjectMeta
from task_pipeline.api.resources import Resource
from task_pipeline.kube.cluster import Body, LogQuery, Propagation
from task_pipeline.kube.errors import Gone, KubeError, Unreachable
from tests.fakes import FakeCluster
from tests.fakes.paging import document
from tests.fakes.selectors import field_matcher, matcher
from tests.faults.history import Ack, History
from tests.faults.memory.script import (
    DELAY,
    SILENCE,
    UNOBSERVED_SECONDS,
    Call,
    Event,
    Script,
    StaleStart,
    Write,
    problem,
)

T = TypeVar("T")
REPLAYED = 3


class _Status(msgspec.Struct):
    metadata: ObjectMeta


class Wire:
    """Keeps the protocol `kube.cluster.Cluster`. `actor` names the process in the history's acks.

    With `stale` its lists are those of an older revision until `look_up`, and its watches begin there, `lag` seconds
    late.
    """

    def __init__(
        self, fake: FakeCluster, script: Script, history: History, actor: str, stale: StaleStart | None = None
    ) -> None:
        self.fake, self.script, self.actor = fake, script, actor
        self._history = history
        self._loop = asyncio.get_running_loop()
        self._alive = asyncio.Event()
        self._alive.set()
        self._stale, self._fresh = stale, stale is None
        self._caught_up = self._loop.time() + (stale.lag if stale is not None else 0.0)

    def look_up(self) -> None:
        """From now on lists are true; what watches bring stays late as it is."""
        self._fresh = True

    @property
    def paused(self) -> bool:
        """Whether nothing passes."""
        return not self._alive.is_set()

    async def awake(self) -> None:
        """Wait until it is not paused."""
        await self._alive.wait()

    def pause(self) -> None:
        """Let nothing pass, as SIGSTOP does."""
        self._alive.clear()

    def resume(self) -> None:
        """Let it go on, as SIGCONT does."""
        self._alive.set()

    async def create(self, resource: Resource, namespace: str | None, body: Body) -> ObjectMeta:
        call = Call("create", resource, body.get("metadata", {}).get("name") or "")
        return await self._write(call, lambda: self.fake.create(resource, namespace, body))

    async def post(self, resource: Resource, namespace: str | None, body: Body) -> bytes:
        return await self._read(lambda: self.fake.post(resource, namespace, body))

    async def patch_status(self, resource: Resource, namespace: str | None, name: str, body: Body) -> ObjectMeta:
        call = Call("patch_status", resource, name)
        return await self._write(call, lambda: self.fake.patch_status(resource, namespace, name, body))

    async def patch(self, resource: Resource, namespace: str | None, name: str, body: Body | list[Body]) -> bytes:
        call = Call("patch", resource, name)
        return await self._write(call, lambda: self.fake.patch(resource, namespace, name, body))

    async def apply(
        self, resource: Resource, namespace: str | None, name: str, body: Body, *, force: bool = False
    ) -> bytes:
        call = Call("apply", resource, name)
        return await self._write(call, lambda: self.fake.apply(resource, namespace, name, body, force=force))

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        propagation: Propagation = "Background",
    ) -> None:
        def act() -> Awaitable[None]:
            return self.fake.delete(
                resource, namespace, name, uid=uid, resource_version=resource_version, propagation=propagation
            )

        await self._write(Call("delete", resource, name), act)

    async def get(self, resource: Resource, namespace: str | None, name: str) -> bytes:
        return await self._read(lambda: self.fake.get(resource, namespace, name))

    async def list(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        selector: str | None = None,
        fields: str | None = None,
        limit: int = 500,
        continue_token: str | None = None,
        metadata_only: bool = False,
    ) -> bytes:
        if self._stale is not None and not self._fresh:
            await self._read(lambda: asyncio.sleep(0))
            return self._old_list(self._stale.seen, resource, namespace, selector, fields)
        return await self._read(
            lambda: self.fake.list(
                resource, namespace, selector=selector, fields=fields, limit=limit,
                continue_token=continue_token, metadata_only=metadata_only,
            )
        )  # fmt: skip

    async def watch(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        selector: str | None = None,
        fields: str | None = None,
        resource_version: str,
    ) -> AsyncIterator[bytes]:
        await self._read(lambda: asyncio.sleep(max(0.0, self._caught_up - self._loop.time())))
        stream = self.fake.watch(
            resource, namespace, selector=selector, fields=fields, resource_version=resource_version
        )
        told: list[bytes] = []
        async for line in stream:
            await self._alive.wait()
            event = orjson.loads(line)
            if event["type"] in ("BOOKMARK", "ERROR"):
                yield line
                continue
            told.append(line)
            async for passed in self._event(resource, event["object"]["metadata"]["uid"], line, told):
                yield passed

    async def log(self, namespace: str, pod: str, query: LogQuery) -> AsyncIterator[bytes]:
        async for piece in self.fake.log(namespace, pod, query):
            yield piece

    async def _event(self, resource: Resource, uid: str, line: bytes, told: Sequence[bytes]) -> AsyncIterator[bytes]:
        """What a client hears in the place of a watch event."""
        kind = self.script.of_event(resource, uid)
        if kind is Event.DELAYED:
            await asyncio.sleep(DELAY)
        elif kind is Event.SILENT:
            await asyncio.sleep(SILENCE)
            raise Unreachable("SocketTimeoutError: Timeout on reading data from socket")
        elif kind is Event.CUT:
            raise Unreachable("ServerDisconnectedError: Server disconnected")
        elif kind is Event.DROPPED:
            raise Gone(410, "Expired", "too old resource version")
        elif kind is Event.UNOBSERVED:
            self._loop.call_later(UNOBSERVED_SECONDS, self._forget, resource)
            return
        if kind in (Event.EXPIRED, Event.FAILED):
            code, reason = (410, "Expired") if kind is Event.EXPIRED else (500, "InternalError")
            status = {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": "by the script"}
            yield orjson.dumps({"type": "ERROR", "object": status})
            return
        for one in told[-REPLAYED:-1] if kind is Event.REPLAYED else ():
            yield one
        yield line

    def _forget(self, resource: Resource) -> None:
        self.fake.break_watches(resource, Gone(410, "Expired", "too old resource version"))

    def _old_list(
        self, revision: int, resource: Resource, namespace: str | None, selector: str | None, fields: str | None
    ) -> bytes:
        matches, suits = matcher(selector), field_matcher(resource, fields)
        things = [
            thing
            for thing in self._history.at(revision, resource.plural)
            if namespace in (None, thing["metadata"].get("namespace"))
            and matches(thing["metadata"].get("labels", {}))
            and suits(thing)
        ]
        return document(resource, {"resourceVersion": str(revision)}, things, False)

    async def _read(self, act: Callable[[], Awaitable[T]]) -> T:
        await self._alive.wait()
        answer = await act()
        await self._alive.wait()
        return answer

    async def _write(self, call: Call, act: Callable[[], Awaitable[T]]) -> T:
        await self._alive.wait()
        sent = self._loop.time()
        kind = self.script.of_write(call)
        if kind is Write.PAUSE:
            self.script.victim = self.actor
            self.script.paused.set()
            self.pause()
            await self._alive.wait()
        elif kind is Write.TERMINATE:
            self.script.victim = self.actor
            self.script.killed.set()
        elif kind is Write.KILL_BEFORE:
            await self._die()
        elif kind is Write.KILL_AFTER:
            self.pause()
            with suppress(KubeError):
                await act()
            await self._die()
        elif kind is Write.TIMEOUT:
            with suppress(KubeError):
                await act()
            raise problem(kind, call)
        elif kind not in (None, Write.PAUSE, Write.TERMINATE):
            assert kind is not None
            await asyncio.sleep(0)
            raise problem(kind, call)
        answer = await act()
        self._acknowledge(call, answer, sent)
        await self._alive.wait()
        return answer

    async def _die(self) -> NoReturn:
        self.pause()
        self.script.victim = self.actor
        self.script.killed.set()
        await asyncio.Future()
        raise AssertionError("a dead process goes on")

    def _acknowledge(self, call: Call, answer: object, sent: float) -> None:
        revision = 0
        if isinstance(answer, ObjectMeta):
            revision = int(answer.resource_version)
        elif isinstance(answer, bytes):
            revision = int(msgspec.json.decode(answer, type=_Status).metadata.resource_version)
        times: dict[str, Any] = {"sent": self._time_of_day(sent), "answered": self._time_of_day(self._loop.time())}
        self._history.acks.append(Ack(self.actor, call.verb, call.resource.plural, call.name, revision, **times))

    def _time_of_day(self, moment: float) -> float:
        return self.fake.now().timestamp() - self._loop.time() + moment
