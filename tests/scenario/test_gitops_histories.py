"""Every status that random histories reach is one that GitOps tools read rightly, at every single change of it.

The rules are those of the tools (tests/gitops/rules.py), the table is the contract's (tests/gitops/contract.py). The
events are those of tests/scenario/test_rerun_histories.py: users, programs, clusters and crashes. Field cases B051 to
B053.
"""

import asyncio
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from task_pipeline.api.resources import PIPELINES
from tests.fakes import fates
from tests.fakes.store import Change, ChangeType
from tests.gitops.contract import REASONS, TABLE, situation
from tests.gitops.rules import argo, conditions, flux, is_observed, kstatus, odd
from tests.gitops.shipped import checks
from tests.scenario.test_cancel_histories import STOP_SECONDS, Event
from tests.scenario.test_rerun_histories import happen, histories
from tests.scenario.world import World, running, shell

pytestmark = [pytest.mark.looptime]

Thing = dict[str, Any]


class Reader:
    """Reads every Pipeline at every change as the tools do; notes what is not as the contract has it."""

    def __init__(self, world: World) -> None:
        self.seen: Counter[str] = Counter()
        self.breaches: list[str] = []
        world.cluster.store.listeners.append(self._see)

    def _see(self, change: Change) -> None:
        if change.resource != PIPELINES or change.type is ChangeType.DELETED:
            return
        thing = change.object
        self.seen[situation(thing)] += 1
        before = change.previous or {"status": {}}
        for breach in (*odd(thing), *_of_the_table(thing), *_of_the_tools(thing), *_of_the_change(before, thing)):
            self.breaches.append(f"{change.time:.3f} {situation(thing)}: {breach}: {thing['status']}")


def _of_the_table(thing: Thing) -> list[str]:
    """The conditions are those of one row; each says about which spec, with a reason."""
    name, status = situation(thing), thing["status"]
    found = status.get("conditions", [])
    broken = [] if conditions(thing) == TABLE[name].conditions else [f"conditions {conditions(thing)}"]
    if any(one["observedGeneration"] != status["observedGeneration"] or not one["reason"] for one in found):
        broken.append("a condition about another spec, or without a reason")
    reasons = {one["type"]: one["reason"] for one in found}
    if name == "cancelled" and reasons["Succeeded"] != REASONS[name]:
        broken.append(f"Succeeded says {reasons['Succeeded']}")
    return broken


def _of_the_tools(thing: Thing) -> list[str]:
    """What the tools conclude: of a spec that was edited, that it is on its way; else the words of the row."""
    said = (kstatus(thing), argo(thing), flux(thing, checks()))
    if not is_observed(thing):
        return [] if said == ("InProgress", "Progressing", "inProgress") else [f"an unseen edit: {said}"]
    row = TABLE[situation(thing)]
    return [] if said == (row.kstatus, row.argo, row.flux) else [f"tools: {said}"]


def _of_the_change(before: Thing, thing: Thing) -> list[str]:
    """Times move only with the status; within a run `Finished` stays, unless an invalid spec is judged again."""
    old = {one["type"]: one for one in before["status"].get("conditions", ())}
    broken = [
        f"the time of {one['type']} moved alone"
        for one in thing["status"].get("conditions", ())
        if one["type"] in old
        and (old[one["type"]]["status"] == one["status"])
        != (old[one["type"]]["lastTransitionTime"] == one["lastTransitionTime"])
    ]
    same_run = before["status"].get("run", 1) == thing["status"].get("run", 1)
    judged_again = "status" in before and before["status"] and situation(before) == "invalid"
    was_over = old.get("Finished", {}).get("status") == "True"
    if same_run and was_over and conditions(thing).get("Finished") != "True" and not judged_again:
        broken.append("Finished was taken back")
    return broken


async def live_through(history: list[Event], slots: int) -> Counter[str]:
    """Let it all happen, and check every status on the way and at the end."""
    async with running(max_running_jobs=slots, retry_backoff=2.0) as world:
        reader = Reader(world)
        world.cluster.kubelet.fate = lambda _: fates.Fate(seconds=40, stop_seconds=STOP_SECONDS)
        world.submit("p", shell("a"), shell("b", retryAttempt=1, allowFailure=True), shell("c", "t"))
        for event in history:
            await happen(world, event)
        world.cluster.freeze_watches(frozen=False)
        world.cluster.faults.clear()
        await asyncio.sleep(120)
        assert not reader.breaches, reader.breaches[:3]
        return reader.seen


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories)
async def test_b053_every_status_of_any_history_is_read_rightly(history: list[Event]) -> None:
    await live_through(history, slots=1)


STORIES: dict[str, list[Event]] = {
    "done": [("a while", 0)] * 8,
    "error": [("a moment", 0), ("fail", 0), ("a while", 0), ("fail", 0), ("a while", 0)],
    "cancelled": [("a second", 0), ("cancel", 0), ("a while", 0)],
    "suspended": [("suspend", 0), ("a while", 0)],
    "invalid": [("no client", 0), ("crash", 0), ("a while", 0)],
}


async def test_b051_the_eight_situations_are_all_reached() -> None:
    """Otherwise the property above would promise less than it says."""
    seen = Counter[str]()
    for story in STORIES.values():
        seen += await live_through(story, slots=2)
    async with running(max_running_jobs=1) as world:
        reader = Reader(world)
        world.client("closed", maxRunningJobs=0)
        world.submit("waits", shell("a"), clientId="closed")
        world.submit("nobody", shell("a"), clientId="nobody")
        await asyncio.sleep(5)
        world.client("nobody")
        await world.until_final("nobody")
        seen += reader.seen
        assert not reader.breaches, reader.breaches[:3]
    assert seen.keys() == TABLE.keys(), seen
