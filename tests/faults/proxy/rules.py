"""What is scripted: rules, each a predicate and a fault, and the point at which the world stops."""

import threading
from dataclasses import dataclass

from tests.faults.proxy.calls import Call, Pick, on
from tests.faults.proxy.exchange import Exchange
from tests.faults.proxy.faults import Fault


@dataclass(eq=False)
class Rule:
    """`fault` strikes the calls that `pick` picks: after the first `skip` of them, `times` times (None: always)."""

    pick: Pick
    fault: Fault
    times: int | None = 1
    skip: int = 0
    hits: int = 0

    def strikes(self, call: Call) -> bool:
        """Whether this call is struck; counts it."""
        if (self.times is not None and self.hits >= self.times) or not self.pick(call):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.hits += 1
        return True

    def remove(self) -> None:
        """Strike no more."""
        self.times = self.hits


class Stop:
    """The world stops at the first call that `pick` picks; with `after` that call is carried out, but not answered.

    `reached` is set when it has come to that, and `call` is the call.
    """

    def __init__(self, pick: Pick, *, after: bool) -> None:
        self.pick = pick
        self.after = after
        self.reached = threading.Event()
        self.call: Call | None = None

    @classmethod
    def at(cls, write: int, *, after: bool) -> "Stop":
        """Stop before, or after, the write of that number."""
        return cls(on("write", write=write), after=after)

    async def here(self, exchange: Exchange) -> None:
        """The call has come: carry it out if that is wanted, and tell the test."""
        self.call = exchange.call
        if self.after:
            answer = await exchange.forward()
            self.call.outcome = f"held after a {answer.status}"
        self.reached.set()
