"""The elector: gets the Lease, renews it, and says when it is lost. It runs in any event loop, on any clock.

Rules: the gate is open until `deadline` seconds after the moment *before* the last successful request was sent, so an
answer that comes late opens it for as much shorter. No request may take longer than that. Whoever has led and does so
no more never leads again: its process ends.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from task_pipeline.kube.errors import AlreadyExists, ApiError, Conflict, Forbidden, KubeError, NotFound
from task_pipeline.leadership.gate import Gate
from task_pipeline.leadership.lease import LEASE_NAME, Found, Leases
from task_pipeline.leadership.record import Action, Seen, Timing, decide, held, released, see

log = logging.getLogger(__name__)
T = TypeVar("T")

AGAIN = 0.05  # seconds after a lost race, to look who won
SHORTEST = 0.001
RIGHTS = f"the operator needs create on leases, and get and update on the Lease {LEASE_NAME}, in its own namespace"


@dataclass(frozen=True, slots=True)
class Replica:
    """Who is to be elected: its `identity` is in the Lease; `elected` is called once, when the Lease has been got.

    `alive` says whether the rest of the process works: while it does not, the Lease is neither taken nor renewed.
    """

    identity: str
    elected: Callable[[], None]
    alive: Callable[[], bool] = lambda: True


class Elector:
    """`run` until the Lease is lost, or cancel it. `now` is the time of day; what is waited in is `gate.clock`."""

    def __init__(
        self,
        leases: Leases,
        gate: Gate,
        replica: Replica,
        timing: Timing,
        now: Callable[[], datetime],
    ) -> None:
        self._leases = leases
        self._gate = gate
        self._clock = gate.clock
        self._replica = replica
        self._identity = replica.identity
        self._timing = timing
        self._now = now
        self._seen = Seen()
        self._found: Found | None = None
        self._looked = False  # whether `_found` is what the server has, as far as is known
        self._asked = False  # whether a write may have been carried out that was not answered
        self._held_until: float | None = None
        self._known_at: float | None = None
        self._told = ""

    @property
    def leading(self) -> bool:
        """Whether this replica has been elected."""
        return self._held_until is not None

    @property
    def leader(self) -> str | None:
        """Who was last seen leading; None when that is not known, or has not been for longer than a lease lasts."""
        known = self._known_at is not None and self._clock() < self._known_at + self._timing.duration
        return self._seen.holder or "" if known else None

    async def run(self) -> str:
        """Get the Lease and keep it; returns why it was lost."""
        while True:
            lost = await self._step()
            if lost is not None:
                self._gate.close()
                return lost
            await asyncio.sleep(self._pause())

    async def release(self) -> None:
        """Give the Lease back, to be called when nothing is written any more and `run` has been cancelled.

        A request of `run` may have been under way: whether it was carried out is looked up.
        """
        self._gate.close()
        if not self._asked and (self._held_until is None or self._clock() >= self._held_until):
            return
        try:
            for _ in range(2):
                if self._asked or not self._looked:
                    await self._look()
                    self._asked = False
                if self._found is None or self._found.record.holder_identity != self._identity:
                    return
                try:
                    await self._in_time(self._leases.replace(self._found, released(self._found.record, self._now())))
                except Conflict:
                    self._looked = False
                    continue
                log.info("gave the Lease back")
                return
        except (KubeError, TimeoutError) as error:
            log.warning("could not give the Lease back, it runs out: %s", str(error) or "no answer in time")

    async def _step(self) -> str | None:
        """One try; returns why the Lease is lost."""
        lost = self._run_out()
        if lost is not None:
            return lost
        if not self._replica.alive():
            self._tell("the operator's own loop does not answer: the Lease is neither taken nor renewed")
            return self._run_out()
        try:
            await self._try()
            self._known_at = self._clock()
            self._told = ""
        except (Conflict, AlreadyExists, NotFound) as error:  # somebody was faster, or the Lease is gone: look again
            self._looked = False
            if not isinstance(error, Conflict) and not self.leading:
                self._tell(f"cannot use the Lease: {error}")
        except _Lost as error:
            return str(error)
        except Forbidden as error:
            self._tell(f"cannot use the Lease: {error}; {RIGHTS}")
        except (KubeError, TimeoutError) as error:  # if it was carried out all the same, the next one is a lost race
            self._tell(f"cannot reach the Lease: {str(error) or 'no answer in time'}")
        return self._run_out()

    async def _try(self) -> None:
        if not self.leading or not self._looked:
            await self._look()
        before = self._clock()
        match decide(self._seen, before, self._identity, self._held_until):
            case Action.LOSE:
                raise _Lost(f"{self._seen.holder or 'nobody'} holds the Lease")
            case Action.CREATE:
                record = held(None, self._identity, self._now(), self._timing)
                self._got(await self._write(self._leases.create(record)), before)
            case Action.TAKE | Action.RENEW:
                assert self._found is not None
                record = held(self._found.record, self._identity, self._now(), self._timing)
                self._got(await self._write(self._leases.replace(self._found, record)), before)

    async def _look(self) -> None:
        self._found = await self._in_time(self._leases.read())
        self._looked = True
        record = None if self._found is None else self._found.record
        holder, self._seen = self._seen.holder, see(self._seen, record, self._clock(), self._timing)
        if self._seen.holder not in (holder, None, "", self._identity):
            log.info("%s leads", self._seen.holder)

    def _got(self, found: Found, before: float) -> None:
        """The Lease is ours: the request was sent after `before`."""
        first = not self.leading
        self._found = found
        self._seen = see(self._seen, found.record, self._clock(), self._timing)
        self._held_until = before + self._timing.deadline
        self._gate.open_until(self._held_until)
        if first:
            log.info("leading as %s, transition %s", self._identity, found.record.lease_transitions)
            self._replica.elected()

    async def _write(self, request: Awaitable[Found]) -> Found:
        """The answer to a request for the Lease; `_asked` stays when it is not known whether it was carried out."""
        self._asked = True
        try:
            found = await self._in_time(request)
        except ApiError:
            self._asked = False
            raise
        self._asked = False
        return found

    async def _in_time(self, request: Awaitable[T]) -> T:
        """The answer to one request, which may not take longer than the lease is held. Raises TimeoutError."""
        left = self._timing.patience
        if self._held_until is not None:
            left = max(0.0, min(left, self._held_until - self._clock()))
        async with asyncio.timeout(left):
            return await request

    def _run_out(self) -> str | None:
        if self._held_until is None or self._clock() < self._held_until:
            return None
        return f"not renewed for {self._timing.deadline:g} s: {self._told or 'this process had no turn'}"

    def _pause(self) -> float:
        """Until the next try: soon after a lost race, sooner than usual after a renewal that failed, and never past the
        moment at which something runs out.
        """
        now = self._clock()
        if self._held_until is not None:
            failed = self._timing.retry / 4 if self._told else self._timing.retry
            return max(SHORTEST, min(failed if self._looked else AGAIN, self._held_until - now))
        pause = self._timing.retry * random.uniform(0.8, 1.0)  # noqa: S311 (spreading, not secrecy)
        return min(pause, max(AGAIN, self._seen.until - now)) if self._seen.until > now else pause

    def _tell(self, text: str) -> None:
        if text != self._told:
            log.warning("%s", text)
        self._told = text


class _Lost(Exception):
    """Somebody else holds the Lease."""
