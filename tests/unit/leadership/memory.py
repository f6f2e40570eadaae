"""A Lease in memory, and what can go wrong on the way to it. Everything in the loop's time."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from task_pipeline.kube.errors import AlreadyExists, Conflict, KubeError, NotFound, Unreachable
from task_pipeline.leadership.elector import Elector, Replica
from task_pipeline.leadership.gate import Gate
from task_pipeline.leadership.lease import Found
from task_pipeline.leadership.record import Record, Timing

T = TypeVar("T")
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def loop_time() -> float:
    """The time of the running loop."""
    return asyncio.get_running_loop().time()


class Server:
    """Holds the Lease; counts the writes that were carried out, and notes who held it from when on."""

    def __init__(self) -> None:
        self.record: Record | None = None
        self.version = 0
        self.writes = 0
        self.holders: list[str] = []
        self.members: list[Member] = []

    def put(self, record: Record | None) -> Found:
        """Store a record, whoever asks."""
        self.version += 1
        self.writes += 1
        self.record = record
        holder = "" if record is None else record.holder_identity or ""
        if self.holders[-1:] != [holder]:
            self.holders.append(holder)
        return Found(record or Record(), {"resourceVersion": str(self.version)})


class Line:
    """One replica's way to the server: `down` refuses, `lose` carries writes out and loses the answers."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.down: KubeError | None = None
        self.lose = False
        self.seconds = 0.0
        self.requests = 0

    async def read(self) -> Found | None:
        return await self._send(self._read)

    async def create(self, record: Record) -> Found:
        return await self._send(lambda: self._create(record), write=True)

    async def replace(self, known: Found, record: Record) -> Found:
        return await self._send(lambda: self._replace(known, record), write=True)

    def _read(self) -> Found | None:
        server = self.server
        return None if server.record is None else Found(server.record, {"resourceVersion": str(server.version)})

    def _create(self, record: Record) -> Found:
        if self.server.record is not None:
            raise AlreadyExists(409, "AlreadyExists", "leases exists")
        return self.server.put(record)

    def _replace(self, known: Found, record: Record) -> Found:
        if self.server.record is None:
            raise NotFound(404, "NotFound", "leases not found")
        if known.metadata["resourceVersion"] != str(self.server.version):
            raise Conflict(409, "Conflict", "the object has been modified")
        return self.server.put(record)

    async def _send(self, act: Callable[[], T], *, write: bool = False) -> T:
        self.requests += 1
        if self.down is not None:
            await asyncio.sleep(0.001)
            raise self.down
        await asyncio.sleep(self.seconds / 2)
        result = act()
        await asyncio.sleep(self.seconds / 2)
        if write and self.lose:
            raise Unreachable("the answer was lost")
        return result


class Member:
    """One replica: its elector as a task, its gate, and its line to the server."""

    def __init__(self, name: str, server: Server, timing: Timing | None = None) -> None:
        self.line = Line(server)
        self.gate = Gate(loop_time)
        self.elected_at: float | None = None
        self.alive = True
        self.skew = timedelta()
        replica = Replica(name, self._note, lambda: self.alive)
        self._server = server
        server.members.append(self)
        self.elector = Elector(self.line, self.gate, replica, timing or Timing(), self._now)
        self.task = asyncio.create_task(self.elector.run())

    def _now(self) -> datetime:
        return EPOCH + timedelta(seconds=loop_time()) + self.skew

    def _note(self) -> None:
        assert self.elected_at is None
        assert [one for one in self._server.members if one.open] == [self]
        self.elected_at = loop_time()

    @property
    def open(self) -> bool:
        """Whether it may write now."""
        return self.gate.is_open

    def heal(self) -> None:
        """Let nothing be wrong with it any more."""
        self.line.down, self.line.lose, self.line.seconds, self.alive = None, False, 0.0, True

    async def kill(self) -> None:
        """End it as a crash does."""
        self.task.cancel()
        await asyncio.wait({self.task})
        self.gate.close()

    async def resign(self) -> None:
        """End it as SIGTERM does."""
        self.task.cancel()
        await asyncio.wait({self.task})
        await self.elector.release()
