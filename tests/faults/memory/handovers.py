"""Handovers: at a write the leader is killed, told to end, or paused and woken later, while another replica stands by.

What is measured: how long it took until the next one worked (seconds, from the end of the old one), and by how many
slots a limit was exceeded because of what the old one still had in flight.
"""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from time import perf_counter

from task_pipeline.api.resources import PIPELINES
from tests.faults.checkers import Violation, check, differences
from tests.faults.history import History, Mark
from tests.faults.memory.replicas import Replica
from tests.faults.memory.runs import LONGEST, QUIET, Run, in_virtual_time, may_end_otherwise, play, rules_of
from tests.faults.memory.scenarios import Scenario
from tests.faults.memory.script import Script, Write, WriteFault
from tests.faults.memory.site import Site
from tests.faults.promises.ends import late_arrivals
from tests.faults.report import Entry
from tests.faults.rules import Rules
from tests.faults.scene import FINAL

LEASE_SECONDS = 15.0
NEXT = 0.5  # seconds until a process that has ended is replaced


class Way(StrEnum):
    """How a leader comes to its end."""

    KILLED = "killed"
    TERMINATED = "terminated"
    WOKEN_SOON = "paused for 17 s"
    WOKEN_LATE = "paused for 200 s"


PAUSES = {Way.WOKEN_SOON: 17.0, Way.WOKEN_LATE: 200.0}


@dataclass(frozen=True, slots=True)
class Handover:
    """At write `number` of the run the leader's end begins."""

    number: int
    way: Way

    def __str__(self) -> str:
        return f"write {self.number}, leader {self.way}"


def handovers(reference: Run) -> Iterator[Handover]:
    """Every way at every write."""
    for number in range(len(reference.script.writes)):
        for way in Way:
            yield Handover(number, way)


def hand_over(scenario: Scenario, handover: Handover, reference: History | None = None) -> Run:
    """Play a scenario with two replicas and one handover."""
    kind = Write.PAUSE if handover.way in PAUSES else Write.KILL_BEFORE
    if handover.way is Way.TERMINATED:
        kind = Write.TERMINATE
    script = Script((WriteFault(handover.number, kind),))
    history, violations = in_virtual_time(_live(scenario, script, handover))
    violations += check(history, _rules(scenario, script, handover))
    if reference is not None and not may_end_otherwise(script) and not _was_applied_late(history):
        violations += differences(history, reference)
    return Run(f"{scenario.name}, {handover}", script.faults, history, script, violations)


async def _live(scenario: Scenario, script: Script, handover: Handover) -> tuple[History, list[Violation]]:
    return await _Site(scenario, script, handover).live()


def sweep(scenario: Scenario, *, stride: int = 1, offset: int = 0) -> Entry:
    """Go through the handovers of a scenario; what it came to."""
    began = perf_counter()
    reference = play(scenario)
    entry = Entry(name=f"handover: {scenario.name}", tier="memory")
    took: list[float] = []
    late = 0
    for handover in list(handovers(reference))[offset % stride :: stride]:
        run = hand_over(scenario, handover, reference.history)
        entry.add(run.title, run.violations, struck=run.script.spent)
        took += takeovers(run.history)
        late += len(late_arrivals(run.history))
    entry.numbers = {"slowest takeover, s": max(took, default=0.0), "writes that arrived late": late}
    entry.seconds = perf_counter() - began
    return entry


def _was_applied_late(history: History) -> bool:
    """Whether an old leader has applied a Deployment after its time: it then is as that job wanted it, not as the next
    one did, which is told of as a conflict.
    """
    late = late_arrivals(history)
    return any(ack.revision in late and ack.resource == "deployments" for ack in history.acks)


def takeovers(history: History) -> list[float]:
    """Seconds from each end of a leader to the first write of another."""
    ends = [mark for mark in history.marks if mark.what in ("killed", "terminated", "paused")]
    firsts = [
        min((ack.answered for ack in history.acks if ack.actor != end.who and ack.sent >= end.time), default=None)
        for end in ends
    ]
    return [first - end.time for first, end in zip(firsts, ends, strict=True) if first is not None]


def _rules(scenario: Scenario, script: Script, handover: Handover) -> Rules:
    """A launch may be held back for as long as a Lease lasts; a write of the old leader may arrive late."""
    late = handover.way in PAUSES
    return replace(rules_of(scenario, script.faults), seen_after=1.0, overshoot=int(late), in_flight=int(late))


class _Site(Site):
    """A site with two replicas; a new one is started for each that has ended."""

    def __init__(self, scenario: Scenario, script: Script, handover: Handover) -> None:
        super().__init__(script, **scenario.settings)
        self._scenario = scenario
        self._handover = handover
        self._replicas: dict[str, Replica] = {}
        self._tasks_of: set[asyncio.Task[None]] = set()

    async def live(self) -> tuple[History, list[Violation]]:
        """The whole scenario, and a while beyond."""
        first = await self._add()
        await first.working.wait()
        await self._add()
        violations: list[Violation] = []
        driver = asyncio.create_task(self._drive())
        try:
            await self._scenario.play(self)
            await self.when(lambda: all(_is_over(one) for one in self.cluster.admin.list(PIPELINES)), LONGEST)
        except AssertionError as error:
            violations.append(Violation("L1", 0, f"the scenario broke off: {error}"))
        await asyncio.sleep(QUIET + max(PAUSES.values()) + 2 * LEASE_SECONDS)
        for task in (driver, *self._tasks_of):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        for replica in self._replicas.values():
            if replica.working.is_set() and replica.alive and replica.runtime.scheduler.drift():
                violations.append(Violation("P5", 0, f"slots drift by {replica.runtime.scheduler.drift()}"))
            if replica.alive:
                await replica.kill()
        self.close()
        self.cluster.timers.check()
        return self.history, violations

    async def _add(self) -> Replica:
        self.starts += 1
        replica = Replica(f"operator-{self.starts}", self.cluster, self.script, self.history, self.settings)
        replica.ended = self._replace
        self._replicas[replica.name] = replica
        await replica.start()
        return replica

    async def _drive(self) -> None:
        """Carry out the handover when its write comes."""
        script, way = self.script, self._handover.way
        await (script.paused if way in PAUSES else script.killed).wait()
        victim = self._replicas[script.victim]
        self._note("paused" if way in PAUSES else way.value, victim.name)
        if way is Way.KILLED:
            await victim.kill()
        elif way is Way.TERMINATED:
            await victim.terminate()
        else:
            await asyncio.sleep(PAUSES[way])
            self._note("resumed", victim.name)
            victim.wire.resume()
            return
        self._replace(victim.name)

    def _replace(self, name: str) -> None:
        async def later() -> None:
            await asyncio.sleep(NEXT)
            await self._add()

        self._tasks_of.add(asyncio.create_task(later()))

    def _note(self, what: str, who: str) -> None:
        self.history.marks.append(Mark(what, who, self.cluster.now().timestamp()))


def _is_over(pipeline: dict[str, dict[str, str]]) -> bool:
    return pipeline.get("status", {}).get("state") in FINAL
