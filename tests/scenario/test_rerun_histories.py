"""Random histories of Pipelines that run again: wishes, cancels, clean-ups, deletions and crashes in any order.

Whatever happens, the laws of `tests.scenario.laws` hold, what is asked for comes to its end, what is DONE is not done
again by a run that keeps it, no slot is taken at the end, and then nothing is written any more.
"""

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from task_pipeline.api.resources import PIPELINE_CLIENTS, PIPELINE_JOBS, PIPELINES
from tests.fakes import fates
from tests.fakes.store import Change, ChangeType
from tests.scenario import test_cancel_histories as cancels
from tests.scenario.laws import Laws
from tests.scenario.test_cancel_matrix import nothing_is_left
from tests.scenario.world import FINAL, World, running, shell

pytestmark = [pytest.mark.looptime]

WISHES: dict[str, Any] = {
    "rerun failed": lambda world, which: world.edit("p", rerun={"id": f"f{which}", "scope": "Failed"}),
    "rerun all": lambda world, which: world.edit("p", rerun={"id": f"a{which}", "scope": "All"}),
    "no rerun": lambda world, which: world.edit("p", rerun=None),
    "clean up": lambda world, which: world.edit("p", ttlSecondsAfterFinished=which * 5),
    "keep": lambda world, which: world.edit("p", ttlSecondsAfterFinished=None),
    "fail fast": lambda world, which: world.edit("p", failFast=bool(which % 2)),
    "deadline": lambda world, which: world.edit("p", timeout=(None, 5, 20, 60)[which]),
    "no client": lambda world, which: remove_client(world),
    "client": lambda world, which: world.client("default"),
    "closed client": lambda world, which: world.client("default", suspend=True),
    "freeze pipelines": lambda world, which: world.cluster.freeze_watches(PIPELINES, True),
}
EVENTS = cancels.EVENTS | WISHES

histories = st.lists(
    st.tuples(
        st.one_of(
            st.sampled_from([*EVENTS, *cancels.TIMES, *cancels.OTHERS]),
            st.sampled_from(["rerun failed", "rerun all", "a while", "clean up", "fail"]),
        ),
        st.integers(0, 3),
    ),
    min_size=4,
    max_size=30,
)


def remove_client(world: World) -> None:
    """Nobody may use the client any more, for it does not exist."""
    if world.cluster.admin.find(PIPELINE_CLIENTS, "default", "task-pipeline"):
        world.cluster.admin.delete(PIPELINE_CLIENTS, "default", "task-pipeline")


class Twice:
    """Notes what a run launches although it has taken it over from an earlier one.

    A job that is deleted by hand while its own run goes on counts as failed there, so the next run may make it again.
    """

    def __init__(self, world: World) -> None:
        self.breaches: list[str] = []
        self._done: dict[str, set[int]] = {}  # runs in which a job was DONE, by its name
        self._since: dict[int, int | None] = {}  # what each run has taken over
        self._running = 1  # the run that goes on, 0: none
        world.cluster.store.listeners.append(self._see)

    def _see(self, change: Change) -> None:
        status = change.object.get("status", {})
        if change.resource == PIPELINES:
            self._since[status.get("run", 1)] = status.get("kept", {}).get("since")
            self._running = 0 if status.get("state") in FINAL else status.get("run", 1)
        if change.resource != PIPELINE_JOBS:
            return
        run, name = change.object["spec"]["run"], change.object["spec"]["name"]
        if change.type is ChangeType.ADDED:
            since = self._since.get(run)
            if since is not None and any(since <= earlier < run for earlier in self._done.get(name, ())):
                self.breaches.append(f"{name} is made again by run {run}")
        if change.type is ChangeType.DELETED:
            if run == self._running:
                self._done.get(name, set()).discard(run)
        elif status.get("state") == "DONE":
            self._done.setdefault(name, set()).add(run)


async def happen(world: World, event: cancels.Event) -> None:
    name, which = event
    if name in WISHES:
        WISHES[name](world, which)
    else:
        await cancels.happen(world, event)


async def live_through(history: list[cancels.Event], slots: int, window: int) -> None:
    """Let it all happen, then leave the rest to itself, and check."""
    async with running(max_running_jobs=slots, queue_size=window, retry_backoff=2.0) as world:
        silent = any(name.startswith("freeze") for name, _ in history)
        laws, twice = Laws(world.cluster, seen_after=500.0 if silent else 1.0), Twice(world)
        world.cluster.kubelet.fate = lambda _: fates.Fate(seconds=40, stop_seconds=cancels.STOP_SECONDS)
        world.submit("p", shell("a"), shell("b", retryAttempt=1, allowFailure=True), shell("c", "t"), shell("d", "u"))
        for event in history:
            await happen(world, event)
        world.cluster.freeze_watches(frozen=False)
        world.cluster.faults.clear()
        world.client("default")
        world.edit("p", suspend=False, cancel=None)
        await world.cluster.admin.wait_for(lambda: answered(world), 3000, what="the answer to the last wish")
        await world.until_final("p", seconds=1000)
        await world.cluster.admin.wait_for(lambda: not laws.live(), 60, what="the end of what still runs")
        assert {job["status"]["state"] for job in world.jobs("p")} <= set(FINAL)
        await asyncio.sleep(120)
        nothing_is_left(world, laws)
        assert not twice.breaches
        written = len(world.cluster.journal.writes)
        await asyncio.sleep(1000)
        assert len(world.cluster.journal.writes) == written


def answered(world: World) -> bool:
    """Whether the Pipeline is over and its wish, if it has one, answered."""
    rerun, status = world.cluster.admin.get(PIPELINES, "p")["spec"].get("rerun"), world.pipeline("p")
    return status["state"] in FINAL and not invalid(status) and (rerun is None or status.get("rerunId") == rerun["id"])


def invalid(status: dict[str, Any]) -> bool:
    """Whether it is judged again now that its client is back."""
    return status["reason"] in ("InvalidSpec", "ClientNotAllowed") and status.get("run", 1) == 1


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories, st.sampled_from([1, 2]), st.sampled_from([1, 100]))
async def test_row_22_any_history_of_runs_ends_well(history: list[cancels.Event], slots: int, window: int) -> None:
    await live_through(history, slots, window)


async def test_row_22_a_job_that_was_deleted_after_its_end_in_the_same_run_may_be_made_again() -> None:
    history = [("a moment", 0), ("complete", 0), ("a moment", 0), ("delete a job", 0), ("rerun failed", 0)]
    await live_through(history, slots=1, window=1)
