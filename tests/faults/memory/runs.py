"""One run: a scenario with some faults, to its end and a while beyond, and what the checkers say of it.

Every run has an event loop of its own, in virtual time from 0 on. Where the script ends a process, another one is
started half a second later.
"""

import asyncio
import logging
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import looptime

from task_pipeline.api.resources import PIPELINES
from tests.fakes.store import Change
from tests.faults.checkers import Limits, Rules, Violation, check, differences, outcome
from tests.faults.history import History
from tests.faults.memory.scenarios import Scenario
from tests.faults.memory.script import EventFault, Fault, Script, StaleStart, WriteFault
from tests.faults.memory.site import Site
from tests.faults.scene import FINAL

RESTART = 0.5  # seconds between the end of a process and the start of the next
LONGEST = 2000.0  # seconds that a run may take
QUIET = 130.0  # seconds that it is left alone at its end
HELD_BACK = 100.0  # the most that one fault may hold a launch or an end back: a silent stream, and the pauses after it
T = TypeVar("T")


@dataclass
class Run:
    """What a run was, what came of it, and how far it went: the number of writes and events, the last revision."""

    scenario: str
    faults: tuple[Fault, ...]
    history: History
    script: Script
    violations: list[Violation] = field(default_factory=list)

    @property
    def title(self) -> str:
        """The scenario and its faults in words."""
        return f"{self.scenario}: {', '.join(map(str, self.faults)) or 'no fault'}"


def play(scenario: Scenario, *faults: Fault, reference: History | None = None) -> Run:
    """Let a scenario happen with `faults`; with `reference` its end must be that one's."""
    script = Script(faults)
    history, violations = in_virtual_time(_play(scenario, script))
    violations += check(history, rules_of(scenario, faults))
    if not may_end_otherwise(script):
        violations += differences(history, reference) if reference is not None else unexpected(scenario, history)
    return Run(scenario.name, faults, history, script, violations)


def unexpected(scenario: Scenario, history: History) -> list[Violation]:
    """What did not end as the scenario says."""
    found = []
    for name, told in outcome(history).items():
        wanted = scenario.expected.get(name.split("/", 1)[1], "DONE")
        if told["state"] != wanted:
            found.append(Violation("L5", 0, f"{name} ended {told['state']}, not {wanted}"))
    return found


def rules_of(scenario: Scenario, faults: tuple[Fault, ...]) -> Rules:
    """How a scenario is meant. A fault of a stream may keep news from the operator for its whole length.

    What is left of deleted jobs is known by the watch of its pods alone: where that is behind, one slot may be given
    away too early.
    """
    limits = Limits(0.0, scenario.settings.get("max_running_jobs", 100), scenario.settings.get("queue_size", 1000))
    late = any(isinstance(fault, EventFault) for fault in faults)
    seen_after = HELD_BACK if late else 1.0
    stale = any(isinstance(fault, StaleStart) for fault in faults)
    patience = HELD_BACK if faults else 5.0
    return Rules((limits,), seen_after=seen_after, patience=patience, quiet=60.0, overshoot=int(stale))


def may_end_otherwise(script: Script) -> bool:
    """Whether the script had the server refuse a launch for good, which is the job's end."""
    launches = ("pods", "jobs", "deployments", "configmaps")
    for fault in script.struck:
        if isinstance(fault, WriteFault) and fault.kind.value == "422":
            call = script.writes[fault.number]
            if call.resource.plural in launches and call.verb in ("create", "apply"):
                return True
    return False


def in_virtual_time(run: Awaitable[T]) -> T:
    """Run it in a new event loop whose time begins at 0 and costs nothing."""

    async def whole() -> T:
        return await run

    with _silence(), asyncio.Runner(loop_factory=lambda: looptime.new_event_loop(start=0.0)) as runner:
        return runner.run(whole())


@contextmanager
def _silence() -> Iterator[None]:
    """Inside, the operator logs nothing: what it would say of thousands of faults is known."""
    logger = logging.getLogger("task_pipeline")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


async def _play(scenario: Scenario, script: Script) -> tuple[History, list[Violation]]:
    site = Site(script, **scenario.settings)
    try:
        stale = _stale(script)
        if stale is not None:
            site.cluster.store.listeners.append(partial(_end_at, stale.killed, script.killed))
        await site.start()
        user = asyncio.create_task(_live(scenario, site))
        keeper = asyncio.create_task(_keep(site))
        violations = await _watch_over(user, keeper)
        await asyncio.sleep(QUIET)
        if site.runtime is not None:
            if site.runtime.scheduler.drift():
                violations.append(Violation("P5", 0, f"slots drift by {site.runtime.scheduler.drift()}"))
            await site.runtime.kill()
            await site._end_watches()
        keeper.cancel()
        with suppress(asyncio.CancelledError):
            await keeper
        site.cluster.timers.check()
        return site.history, violations
    finally:
        site.close()


async def _watch_over(user: asyncio.Task[None], keeper: asyncio.Task[None]) -> list[Violation]:
    """Wait until the scenario is over; what does not come to its end is left to the checkers to find."""
    done, _ = await asyncio.wait((user, keeper), timeout=LONGEST, return_when=asyncio.FIRST_COMPLETED)
    if keeper in done:
        keeper.result()
    if user in done:
        fault = user.exception()
        return [] if fault is None else [Violation("L1", 0, f"the scenario broke off: {fault!r}")]
    user.cancel()
    with suppress(asyncio.CancelledError):
        await user
    return [Violation("L1", 0, f"not over within {LONGEST:.0f} s")]


async def _live(scenario: Scenario, site: Site) -> None:
    """What users do, and then they wait for the end."""
    await scenario.play(site)
    await site.when(lambda: all(map(_is_over, site.cluster.admin.list(PIPELINES))), LONGEST)


def _is_over(pipeline: dict[str, dict[str, str]]) -> bool:
    return pipeline.get("status", {}).get("state") in FINAL


async def _keep(site: Site) -> None:
    """Start another operator whenever the script has ended one."""
    script, stale = site.script, _stale(site.script)
    while True:
        await script.killed.wait()
        script.killed.clear()
        await site.kill()
        await asyncio.sleep(RESTART)
        if stale is not None:
            script.struck.add(stale)
        await site.start(stale)
        stale = None


def _stale(script: Script) -> StaleStart | None:
    return next((fault for fault in script.faults if isinstance(fault, StaleStart)), None)


def _end_at(revision: int, end: asyncio.Event, change: Change) -> None:
    if change.revision == revision:
        end.set()
