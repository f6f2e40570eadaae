"""The candidate: the elector in a thread of its own, with a connection of its own.

So a busy loop does not delay a renewal. When the Lease is lost the process ends at once, from that thread, whatever the
loop is doing: nothing that it could still finish is worth a second leader.
"""

import asyncio
import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from task_pipeline.kube.config import Connection
from task_pipeline.leadership.elector import Elector, Replica
from task_pipeline.leadership.gate import Gate
from task_pipeline.leadership.lease import HttpLeases
from task_pipeline.leadership.record import Timing

log = logging.getLogger(__name__)

LAST_WORDS = 1.0  # seconds for the log line that says why


def identity() -> str:
    """A name that no other replica has, nor this one after a restart: the pod's, and something random."""
    return f"{os.environ.get('POD_NAME') or socket.gethostname()}_{secrets.token_hex(4)}"


def leave(why: str) -> None:
    """End this process now, with code 1; nothing is waited for, a log that is stuck neither."""
    timer = threading.Timer(LAST_WORDS, os._exit, (1,))
    timer.daemon = True
    timer.start()
    log.error("lost the Lease, and leave: %s", why)
    os._exit(1)


class Candidate:
    """One replica's part in the election. `elected` is set, in the loop of `start`, when it leads.

    `alive` is asked from the thread. `lost` is what happens when the lead is lost.
    """

    def __init__(
        self,
        connection: Connection,
        namespace: str,
        timing: Timing,
        alive: Callable[[], bool],
        lost: Callable[[str], None] = leave,
    ) -> None:
        self.gate = Gate()
        self.elected = asyncio.Event()
        self.identity = identity()
        self._connection = connection
        self._namespace = namespace
        self._timing = timing
        self._alive = alive
        self._lost = lost
        self._resigned = False
        self._elector: Elector | None = None
        self._main: asyncio.AbstractEventLoop | None = None
        self._own: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._work, name="election", daemon=True)

    @property
    def leader(self) -> str | None:
        """Who leads, as far as is known: an identity, "" for nobody, None when it is not known."""
        return None if self._elector is None else self._elector.leader

    @property
    def running(self) -> bool:
        """Whether the thread takes part in the election."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Take part from now on."""
        self._main = asyncio.get_running_loop()
        self._thread.start()

    async def resign(self, seconds: float) -> None:
        """Close the gate, give the Lease back if it is held, and end the thread; wait for it at most `seconds`."""
        self.gate.close()
        self._resigned = True
        if self._own is not None and self._over is not None:
            with suppress(RuntimeError):  # the thread has just ended
                self._own.call_soon_threadsafe(self._over.set)
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, seconds)

    def _work(self) -> None:
        try:
            asyncio.run(self._take_part())
        except Exception as error:
            log.exception("a fault in the operator: the election ended")
            self._lost(str(error))

    async def _take_part(self) -> None:
        leases = HttpLeases(self._connection, self._namespace)
        replica = Replica(self.identity, self._tell_elected, self._alive)
        elector = self._elector = Elector(leases, self.gate, replica, self._timing, lambda: datetime.now(UTC))
        self._over = asyncio.Event()
        self._own = asyncio.get_running_loop()
        if self._resigned:  # before this thread could be told
            self._over.set()
        holding, resigned = asyncio.create_task(elector.run()), asyncio.create_task(self._over.wait())
        try:
            await asyncio.wait({holding, resigned}, return_when=asyncio.FIRST_COMPLETED)
            if holding.done():
                resigned.cancel()
                self._lost(holding.result())
                return
            holding.cancel()
            await asyncio.wait({holding})
            await elector.release()
        finally:
            await leases.close()

    def _tell_elected(self) -> None:
        assert self._main is not None
        with suppress(RuntimeError):  # the operator's loop is closed: the process is ending
            self._main.call_soon_threadsafe(self.elected.set)
