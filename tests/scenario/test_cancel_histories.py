"""Random histories: users, programs, clusters and crashes do what they like to a Pipeline of three jobs.

Whatever they do, the laws of `tests.scenario.laws` hold, it ends within a bounded time, and then no slot is taken.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from task_pipeline.api.resources import PIPELINE_JOBS, PIPELINES, PODS, Resource
from task_pipeline.kube.errors import NotFound, Unreachable
from tests.fakes import on
from tests.fakes.fates import Fate
from tests.scenario.laws import Laws
from tests.scenario.test_cancel_matrix import k8s_job, nothing_is_left
from tests.scenario.world import FINAL, World, running, shell

pytestmark = [pytest.mark.looptime]

STOP_SECONDS = 3.0
LONGEST = 600.0  # seconds after the last event: the rest of an attempt, its retries, its pauses
PROMPTLY = STOP_SECONDS + 5.0  # seconds after a cancel that nobody took back

Event = tuple[str, int]


def finish(world: World, which: int, code: int) -> None:
    """Let one of the pods that run end."""
    ready = [pod for pod in world.pods() if pod["status"].get("phase") == "Running"]
    if ready:
        world.cluster.kubelet.finish(ready[which % len(ready)]["metadata"]["uid"], code)


def edit_job(world: World, which: int, wish: str | None) -> None:
    """Cancel one of the PipelineJobs, or take that back."""
    jobs = world.jobs("p")
    if jobs:
        world.edit_job("p", jobs[which % len(jobs)]["spec"]["name"], cancel=wish)


def delete(world: World, which: int, what: Any) -> None:
    """Delete a pod or a PipelineJob by hand."""
    found = world.pods() if what is PODS else world.jobs("p")
    if found:
        with suppress(NotFound):
            world.cluster.admin.delete(what, found[which % len(found)]["metadata"]["name"])


def lose_an_answer(world: World, which: int) -> None:
    """The answer to one of the next writes is lost; it was carried out or not."""
    lost = Unreachable("no answer")
    if which % 2:
        world.cluster.fault(on("write"), skip=which, after=lost)
    else:
        world.cluster.fault(on("write"), skip=which, before=lost)


def watches(world: World, what: Resource | None, *, silent: bool) -> None:
    """Make watches silent, or let them speak."""
    world.cluster.freeze_watches(what, silent)


EVENTS: dict[str, Callable[[World, int], None]] = {
    "complete": lambda world, which: finish(world, which, 0),
    "fail": lambda world, which: finish(world, which, 1),
    "cancel": lambda world, which: world.edit("p", cancel="Now"),
    "drain": lambda world, which: world.edit("p", cancel="Drain"),
    "withdraw the cancel": lambda world, which: world.edit("p", cancel=None),
    "suspend": lambda world, which: world.edit("p", suspend=True),
    "resume": lambda world, which: world.edit("p", suspend=False),
    "cancel a job": lambda world, which: edit_job(world, which, "Now"),
    "drain a job": lambda world, which: edit_job(world, which, "Drain"),
    "withdraw the cancel of a job": lambda world, which: edit_job(world, which, None),
    "delete a job": lambda world, which: delete(world, which, PIPELINE_JOBS),
    "delete a pod": lambda world, which: delete(world, which, PODS),
    "lose an answer": lose_an_answer,
    "freeze pods": lambda world, which: watches(world, PODS, silent=True),
    "freeze jobs": lambda world, which: watches(world, PIPELINE_JOBS, silent=True),
    "thaw": lambda world, which: watches(world, None, silent=False),
}
TIMES = {"an instant": 0.0, "a moment": 0.15, "a second": 1.0, "a while": 20.0}
OTHERS = ("crash", "restart")

histories = st.lists(st.tuples(st.sampled_from([*EVENTS, *TIMES, *OTHERS]), st.integers(0, 3)), min_size=3, max_size=25)


async def happen(world: World, event: Event) -> None:
    """Let one event happen."""
    name, which = event
    if name in TIMES:
        await asyncio.sleep(TIMES[name])
    elif name in OTHERS:
        await (world.kill() if name == "crash" else world.stop())
        await world.start()
    else:
        EVENTS[name](world, which)


async def live_through(history: list[Event], slots: int) -> None:
    """Let it all happen, then leave the rest to itself, and check."""
    async with running(max_running_jobs=slots, retry_backoff=2.0) as world:
        silent = any(name.startswith("freeze") for name, _ in history)
        laws = Laws(world.cluster, seen_after=500.0 if silent else 1.0)
        world.cluster.kubelet.fate = lambda _: Fate(seconds=40, stop_seconds=STOP_SECONDS)
        world.submit("p", shell("a", retryAttempt=1), k8s_job("b", timeout=30, retryAttempt=1), shell("c", "t"))
        for event in history:
            await happen(world, event)
        world.cluster.freeze_watches(frozen=False)
        world.cluster.faults.clear()
        world.edit("p", suspend=False)
        wish = world.cluster.admin.get(PIPELINES, "p")["spec"].get("cancel")
        await world.until_final("p", seconds=PROMPTLY if wish == "Now" else LONGEST)
        await world.cluster.admin.wait_for(lambda: not laws.live(), 60, what="the end of what still runs")
        assert {state for state in world.states("p").values()} <= set(FINAL)
        await asyncio.sleep(60)
        nothing_is_left(world, laws)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories, st.sampled_from([1, 2]))
async def test_row_20_any_history_ends_well(history: list[Event], slots: int) -> None:
    await live_through(history, slots)
