"""kopf as the operator's shell: login, watching Pipelines and PipelineClients, start and stop.

Only `on.event` handlers, which write nothing and decide nothing: they hand the object to a sink and return None.
kopf sends no deletion for what vanished while a watch was being listed again; a listed object that was known before
tells of such a listing, and the sink's owner is asked to compare (`relisted`).

kopf has a thread and an event loop of its own: when it ends it cancels every task of its loop, and it ends on answers
that it does not expect. Here it is started again, and the operator's own work never notices.
"""

import asyncio
import logging
import random
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from task_pipeline.api.resources import Resource
from task_pipeline.cache.convert import PipelineClientView, PipelineView
from task_pipeline.health.pulse import Pulse
from task_pipeline.kube.config import Connection
from task_pipeline.watch.framework import kopf

log = logging.getLogger(__name__)

IDENTITY: Any = "task-pipeline"  # else kopf asks for the user's name, and a number has none in a container
STABLE_SECONDS = 60.0  # kopf has run well when it has run so long


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where events of one resource go: the struct to decode into, and what to call, in kopf's thread."""

    resource: Resource
    view: type[PipelineView] | type[PipelineClientView]
    put: Callable[[Any], object]
    gone: Callable[[str], object]
    relisted: Callable[[], object]


class Backoffs:
    """Endless pauses between kopf's attempts to reach the API server: 1, 2, 4, 8, 10, 10, ... seconds, +-20 %."""

    def __iter__(self) -> Iterator[float]:
        pause = 1.0
        while True:
            yield pause * random.uniform(0.8, 1.2)  # noqa: S311 (spreading, not secrecy)
            pause = min(10.0, pause * 2)


class NoDiffBase(kopf.DiffBaseStorage):
    """kopf keeps no copy of our objects: nothing here asks for differences."""

    def build(self, *, body: Any, extra_fields: Any = None, **_: Any) -> Any:
        return {}

    def fetch(self, *, body: Any) -> Any:
        return None

    def store(self, *, body: Any, patch: Any, essence: Any) -> None:
        return None


class NoProgress(kopf.ProgressStorage):
    """kopf keeps no progress in our objects: event handlers have none."""

    def fetch(self, *, key: Any, body: Any) -> Any:
        return None

    def store(self, *, key: Any, record: Any, body: Any, patch: Any) -> None:
        return None

    def purge(self, *, key: Any, body: Any, patch: Any) -> None:
        return None

    def touch(self, *, body: Any, patch: Any, value: Any) -> None:
        return None

    def clear(self, *, essence: Any) -> Any:
        return essence


def registry(connection: Connection, targets: tuple[Delivery, ...]) -> kopf.OperatorRegistry:
    """kopf's handlers: settings, login, and one event handler for each resource."""
    handlers = kopf.OperatorRegistry()
    kopf.on.startup(registry=handlers)(_configure)
    kopf.on.login(registry=handlers)(_login(connection))
    kopf.on.startup(registry=handlers, id="compare")(_compare(targets))
    for target in targets:
        kopf.on.event(target.resource.group, target.resource.version, target.resource.plural, registry=handlers)(
            _deliver(target)
        )
    return handlers


class KopfThread:
    """kopf in a thread, supervised. `pulse` is that of its loop; `clock` is monotonic seconds."""

    def __init__(
        self,
        connection: Connection,
        targets: tuple[Delivery, ...],
        *,
        namespaces: tuple[str, ...],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.pulse = Pulse(clock)
        self._clock = clock
        self._handlers = registry(connection, targets)
        self._namespaces = namespaces
        self._began = clock()
        self._failing_since: float | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="kopf", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    async def stop(self, seconds: float) -> None:
        """Ask kopf to end and wait for it, at most `seconds`."""
        self._stop.set()
        await asyncio.to_thread(self._thread.join, seconds)

    def fault(self) -> str | None:
        """Why nothing will be watched any more; None while that is not so."""
        dead = self._thread.ident is not None and not self._thread.is_alive() and not self._stop.is_set()
        return "kopf's thread has ended" if dead else None

    def failing(self) -> float:
        """For how many seconds kopf has been ending again and again; 0 when it has run well since."""
        if self._failing_since is None or self._clock() - self._began > STABLE_SECONDS:
            return 0.0
        return self._clock() - self._failing_since

    async def _run(self) -> None:
        beat = asyncio.create_task(self.pulse.beat())  # before kopf: it cancels what began after it
        pause = 1.0
        while not self._stop.is_set():
            self._began = self._clock()
            try:
                await kopf.operator(
                    registry=self._handlers,
                    clusterwide=not self._namespaces,
                    namespaces=self._namespaces,
                    standalone=True,
                    identity=IDENTITY,
                    stop_flag=self._stop,
                )
            except Exception as error:
                log.warning("watching Pipelines was interrupted: %s; starting again", error)
            if self._stop.is_set():
                break
            ran_well = self._clock() - self._began > STABLE_SECONDS
            if ran_well or self._failing_since is None:
                self._failing_since = self._clock()
            pause = 1.0 if ran_well else min(30.0, pause * 2)
            self._began = self._clock()
            await asyncio.sleep(pause)
        beat.cancel()


def _compare(targets: tuple[Delivery, ...]) -> Callable[..., Awaitable[None]]:
    """Each start of kopf is a listing as well: what vanished before it, nobody will tell of."""

    async def compare(**_: Any) -> None:
        for target in targets:
            target.relisted()

    return compare


def _deliver(target: Delivery) -> Callable[..., Awaitable[None]]:
    known: set[str] = set()

    async def deliver(event: Any, **_: Any) -> None:
        raw = event["object"]
        uid = raw["metadata"]["uid"]
        if event["type"] == "DELETED":
            known.discard(uid)
            target.gone(uid)
            return
        if event["type"] is None and uid in known:
            target.relisted()
        known.add(uid)
        try:
            view = msgspec.convert(raw, target.view)
        except msgspec.ValidationError as error:
            name = raw["metadata"].get("name")
            log.error("%s %s cannot be read and is left alone: %s", target.resource.kind, name, error)
            return
        target.put(view)

    return deliver


async def _configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.peering.standalone = True
    settings.persistence.diffbase_storage = NoDiffBase()
    settings.persistence.progress_storage = NoProgress()
    settings.queueing.idle_timeout = 0.05
    settings.queueing.exit_timeout = 1.0
    settings.watching.chunk_size = 100  # a chunk is in memory as plain objects, several times the size of what is kept
    settings.watching.inactivity_timeout = 70
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 5
    settings.networking.error_backoffs = Backoffs()
    settings.networking.enforce_retry_after = True
    settings.process.ultimate_exiting_timeout = 4


def _login(connection: Connection) -> Callable[..., Awaitable[Any]]:
    first = True

    async def login(**_: Any) -> Any:
        nonlocal first
        if not first:  # kopf asks again after a 401
            connection.refused()
            await asyncio.sleep(1)
        first = False

        async def authorize(request: aiohttp.ClientRequest, handler: Any) -> aiohttp.ClientResponse:
            request.headers.update(await connection.authorization())
            return await handler(request)  # type: ignore[no-any-return]

        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=connection.ssl, limit=8),
            headers={"User-Agent": connection.user_agent},
            middlewares=(authorize,),
        )
        return kopf.AiohttpSession(server=connection.server, aiohttp_session=session, default_namespace="default")

    return login
