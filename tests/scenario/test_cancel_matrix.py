"""Every way to cancel in every situation that a job can be in (semantics row 20, field case B034).

In each the Pipeline `p` has the job `a`, which is in the situation, and the job `later` in a later stage. After every
one of them nothing lives, no slot is taken, and the laws of `tests.scenario.laws` have held.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, NamedTuple

import pytest

from task_pipeline.api.resources import KUBERNETES_JOBS, PIPELINE_JOBS, PODS, Resource
from task_pipeline.kube.errors import Unreachable
from tests.fakes import fates, on
from tests.fakes.store import Change, ChangeType
from tests.scenario.laws import Laws
from tests.scenario.world import FINAL, World, running, shell

pytestmark = [pytest.mark.looptime]

WISHES = ("Pipeline Now", "Pipeline Drain", "PipelineJob Now", "PipelineJob Drain")
LATER = shell("later", "t")
CANCELLED = ("CANCELLED", "UserCancelled")
DONE = ("DONE", "Succeeded")
AT_ONCE = 1.0  # seconds within which what only waits has ended


def k8s_job(name: str, stage: str = "s", **fields: Any) -> dict[str, Any]:
    """A Kubernetes Job whose pod runs for ten minutes."""
    params = {"image": "busybox:1.36", "annotations": {"simulate.test/seconds": "600"}}
    return {"name": name, "stage": stage, "kind": "K8S/Job", "version": "1.0.0", "params": params} | fields


async def until_told(world: World, state: str, reason: str = "", job: str = "a", seconds: float = 60) -> None:
    """Wait until a job of `p` exists and has that state and reason."""

    def told() -> bool:
        found = [one["status"] for one in world.jobs("p") if one["spec"]["name"] == job]
        return bool(found) and found[0]["state"] == state and reason in ("", found[0]["reason"])

    await world.cluster.admin.wait_for(told, seconds, what=f"{job} to be {state} {reason}")


async def fill(world: World) -> None:
    """Take the only slot."""
    world.submit("filler", shell("x", seconds=6000))
    await world.cluster.admin.wait_for(lambda: world.states("filler").get("x") == "IN PROGRESS", 10)


async def waiting(world: World) -> None:
    await fill(world)
    world.submit("p", shell("a"), LATER)
    await until_told(world, "READY")


async def displaced(world: World) -> None:
    await waiting(world)
    world.submit("better", shell("x", seconds=6000), priority=1)
    await until_told(world, "READY", "QueueFull")


async def undivided(world: World) -> None:
    await fill(world)
    world.submit("other", shell("x", seconds=6000))
    await asyncio.sleep(1)
    world.submit("p", shell("a"), LATER)
    await world.cluster.admin.wait_for(lambda: world.pipeline("p").get("reason") == "QueueFull", 10)


async def in_backoff(world: World) -> None:
    world.submit("p", shell("a", exit_code=1, retryAttempt=5), LATER)
    await until_told(world, "READY", "RetryBackoff")


async def starting(world: World) -> None:
    world.cluster.kubelet.fate = lambda _: fates.unschedulable()
    world.submit("p", shell("a"), LATER)
    await until_told(world, "IN PROGRESS", "Starting")
    await asyncio.sleep(15)


async def run(world: World) -> None:
    world.submit("p", shell("a", seconds=600), LATER)
    await until_told(world, "IN PROGRESS", "Running")


async def suspended_waiting(world: World) -> None:
    await waiting(world)
    world.edit("p", suspend=True)
    await until_told(world, "READY", "Suspended")


async def suspended_running(world: World) -> None:
    await run(world)
    world.edit("p", suspend=True)
    await asyncio.sleep(5)


async def externally_queued(world: World) -> None:
    world.submit("p", k8s_job("a"), LATER)
    await until_told(world, "IN PROGRESS")
    suspend_kubernetes_job(world, True)
    await until_told(world, "IN PROGRESS", "ExternallyQueued")


def suspend_kubernetes_job(world: World, wish: bool) -> None:
    """What Kueue does."""
    for job in world.cluster.admin.list(KUBERNETES_JOBS):
        world.cluster.admin.patch(KUBERNETES_JOBS, job["metadata"]["name"], {"spec": {"suspend": wish}})


async def quota_paused(world: World) -> None:
    world.cluster.admin.quota("default", {"pods": 0})
    world.submit("p", shell("a"), LATER)
    await until_told(world, "READY", "QuotaExceeded")
    await asyncio.sleep(3)


async def client_suspended(world: World) -> None:
    world.client("default", suspend=True)
    world.submit("p", shell("a"), LATER)
    await until_told(world, "READY", "ClientSuspended")


async def crashed_before_the_launch(world: World) -> None:
    fault = world.cluster.fault(on("create", PODS), before=Unreachable("cut"), times=None)
    world.submit("p", shell("a", seconds=600), LATER)
    await world.cluster.admin.wait_for(lambda: fault.hits, 10)
    await world.kill()
    fault.remove()


async def crashed_before_the_launch_was_told(world: World) -> None:
    fault = world.cluster.fault(on("create", PODS), after=Unreachable("cut"))
    world.submit("p", shell("a", seconds=600), LATER)
    await world.cluster.admin.wait_for(lambda: fault.spent, 10)
    await world.kill()


async def down_while_running(world: World) -> None:
    await run(world)
    await world.kill()


async def down_while_waiting(world: World) -> None:
    await waiting(world)
    await world.kill()


async def down_in_backoff(world: World) -> None:
    await in_backoff(world)
    await world.kill()


class Situation(NamedTuple):
    """`waits`: nothing runs, so every wish ends it at once; else Drain lets it finish. `divided`: `a` exists."""

    arrange: Callable[[World], Awaitable[None]]
    waits: bool
    settings: dict[str, Any]
    divided: bool = True
    seconds: float = AT_ONCE


ONE = {"max_running_jobs": 1}
SITUATIONS = {
    "waiting": Situation(waiting, True, ONE),
    "displaced from the window": Situation(displaced, True, ONE | {"queue_size": 1}),
    "outside the window": Situation(undivided, True, ONE | {"queue_size": 1}, divided=False),
    "in backoff": Situation(in_backoff, True, {"retry_backoff": 300.0}),
    "starting": Situation(starting, False, {}),
    "running": Situation(run, False, {}),
    "suspended, waiting": Situation(suspended_waiting, True, ONE),
    "suspended, running": Situation(suspended_running, False, {}),
    "queued by Kueue": Situation(externally_queued, False, {}),
    "paused by a quota": Situation(quota_paused, True, {}),
    "client suspended": Situation(client_suspended, True, {}),
    "operator down, not launched": Situation(crashed_before_the_launch, True, {}, seconds=5),
    "operator down, launch not told": Situation(crashed_before_the_launch_was_told, False, {}),
    "operator down, running": Situation(down_while_running, False, {}),
    "operator down, waiting": Situation(down_while_waiting, True, ONE, seconds=5),
    "operator down, in backoff": Situation(down_in_backoff, True, {"retry_backoff": 300.0}, seconds=5),
}


def cancel(world: World, wish: str) -> None:
    """Do as a user would."""
    what, how = wish.split()
    if what == "Pipeline":
        world.edit("p", cancel=how)
    else:
        world.edit_job("p", "a", cancel=how)


def release(world: World) -> None:
    """Let what was left to finish do so: the node has room again, Kueue admits it."""
    suspend_kubernetes_job(world, False)
    for pod in world.pods():
        if pod.get("status", {}).get("phase") == "Pending":
            world.cluster.kubelet.finish(pod["metadata"]["uid"])
    world.edit("p", suspend=False)


async def until_final(world: World, seconds: float) -> None:
    """Wait until `a`, if it exists, and `p` are final."""

    def final() -> bool:
        return world.pipeline("p").get("state") in FINAL and world.states("p").get("a", "DONE") in FINAL

    await world.cluster.admin.wait_for(final, seconds, what="the end of p")


def nothing_is_left(world: World, laws: Laws) -> None:
    """Nothing of `p` lives or holds a slot; what was before it (fillers) is not counted."""
    assert world.runtime is not None
    others = [one for one in world.jobs() if one["spec"]["pipeline"] != "p" and one["status"]["state"] == "IN PROGRESS"]
    assert world.runtime.scheduler.queue.running == len(others)
    assert world.runtime.scheduler.drift() == 0
    assert laws.live() == len(others)
    laws.check()


@pytest.mark.parametrize(
    ("situation", "wish"),
    [
        (name, wish)
        for name, one in SITUATIONS.items()
        for wish in WISHES
        if one.divided or wish.startswith("Pipeline ")
    ],
)
async def test_row_20_b034_every_cancel_in_every_situation(situation: str, wish: str) -> None:
    case = SITUATIONS[situation]
    async with running(**case.settings) as world:
        laws = Laws(world.cluster)
        await case.arrange(world)
        launches = world.spy.launches.count("p/a")
        world.cluster.kubelet.fate = lambda _: None
        cancel(world, wish)
        if world.runtime is None:
            await asyncio.sleep(30)
            await world.start()
        drains = not case.waits and wish.endswith("Drain")
        if drains:
            await asyncio.sleep(20)
            assert world.states("p")["a"] == "IN PROGRESS", "what is drained goes on"
            release(world)
        await until_final(world, 900 if drains else case.seconds if case.waits else 40)
        await asyncio.sleep(600)
        of_job, of_pipeline = ends(world)
        assert of_job == (DONE if drains else CANCELLED if case.divided else None)
        assert of_pipeline == (DONE if drains and wish.startswith("PipelineJob") else CANCELLED)
        assert_told_who(world, wish, drains)
        if situation != "queued by Kueue":  # who makes its pods anew itself
            assert world.spy.launches.count("p/a") == launches
        assert ("p/later" in world.spy.launches) is (of_pipeline == DONE)
        nothing_is_left(world, laws)


def ends(world: World) -> tuple[tuple[str, str] | None, tuple[str, str]]:
    """State and reason of `a` (None when it was never made) and of `p`."""
    whole = world.pipeline("p")
    job = world.job("p", "a") if "a" in world.states("p") else None
    return (None if job is None else (job["state"], job["reason"])), (whole["state"], whole["reason"])


def assert_told_who(world: World, wish: str, drains: bool) -> None:
    """The messages name who was cancelled and how; the attempt that was stopped is in the list."""
    what, how = wish.split()
    if not drains and "a" in world.states("p"):
        job = world.job("p", "a")
        assert job["message"] == f"the {'job' if what == 'PipelineJob' else what} was cancelled ({how})"
        if job.get("workload") and "nextAttemptTime" not in job and job["attempts"][-1]["outcome"] != "Failed":
            assert (job["attempts"][-1]["outcome"], job["attempts"][-1]["reason"]) == ("Cancelled", "UserCancelled")
    whole = world.pipeline("p")
    if what == "Pipeline":
        assert whole["message"] == f"the Pipeline was cancelled ({how})"
    conditions = {one["type"]: (one["status"], one["reason"]) for one in whole["conditions"]}
    assert conditions["Finished"][0] == "True"
    if whole["state"] == "CANCELLED":
        assert (conditions["Succeeded"][0], conditions["Stalled"][0]) == ("False", "True")


MOMENTS: dict[str, tuple[Resource, ChangeType]] = {
    "its PipelineJob is created": (PIPELINE_JOBS, ChangeType.ADDED),
    "its pod is created": (PODS, ChangeType.ADDED),
    "its launch is told": (PIPELINE_JOBS, ChangeType.MODIFIED),
    "its pod changes for the first time": (PODS, ChangeType.MODIFIED),
}


@pytest.mark.parametrize("wish", WISHES)
@pytest.mark.parametrize("latency", [0.0, 0.2])
@pytest.mark.parametrize("moment", MOMENTS)
async def test_row_20_b034_a_cancel_in_the_very_moment_in_which(moment: str, latency: float, wish: str) -> None:
    async with running() as world:
        laws = Laws(world.cluster)
        world.cluster.latency = latency
        done = asyncio.Event()

        def see(change: Change) -> None:
            if (change.resource, change.type) == MOMENTS[moment] and not done.is_set():
                done.set()
                asyncio.get_running_loop().call_soon(cancel, world, wish)

        world.cluster.store.listeners.append(see)
        world.submit("p", shell("a", seconds=60), LATER)
        await until_final(world, 200)
        assert done.is_set()
        of_job, of_pipeline = ends(world)
        if wish.endswith("Now") or of_job == CANCELLED:
            assert (of_job, of_pipeline) == (CANCELLED, CANCELLED)
        else:  # it was launched before the cancel was seen
            assert (of_job, of_pipeline) == (DONE, CANCELLED if wish.startswith("Pipeline ") else DONE)
        await asyncio.sleep(60)
        nothing_is_left(world, laws)


@pytest.mark.parametrize("how", ["Now", "Drain"])
async def test_row_20_a_cancel_between_two_stages(how: str) -> None:
    """The next stage is just being created: what exists of it ends, nothing of it is launched."""
    async with running() as world:
        laws = Laws(world.cluster)
        world.submit("p", shell("a", seconds=5), *(shell(f"b{number}", "t") for number in range(30)))
        await until_told(world, "IN PROGRESS")
        world.cluster.fault(on("create", PIPELINE_JOBS), delay=3, times=None)
        await until_told(world, "DONE")
        await asyncio.sleep(1)
        world.edit("p", cancel=how)
        assert await world.until_final("p", seconds=20) == {"p": "CANCELLED"}
        await asyncio.sleep(60)
        assert world.spy.launches == ["p/a"]
        assert {state for name, state in world.states("p").items() if name != "a"} <= {"CANCELLED"}
        nothing_is_left(world, laws)


@pytest.mark.parametrize("how", ["Now", "Drain"])
@pytest.mark.parametrize("order", ["cancelled when it is submitted", "cancelled later"])
@pytest.mark.parametrize("fault", ["spec", "client"])
async def test_row_20_a_cancel_of_an_invalid_pipeline_keeps_its_fault_and_what_is_repaired_never_starts(
    fault: str, order: str, how: str
) -> None:
    async with running() as world:
        laws = Laws(world.cluster)
        wrong = {"name": "a", "stage": "s", "kind": "Nope", "version": "1.0.0"} if fault == "spec" else shell("a")
        extra = {"clientId": "nobody"} if fault == "client" else {}
        world.submit("p", wrong, LATER, **extra, **({"cancel": how} if order.endswith("submitted") else {}))
        assert await world.until_final("p", seconds=10) == {"p": "ERROR"}
        world.edit("p", cancel=how)
        await asyncio.sleep(10)
        reason = "InvalidSpec" if fault == "spec" else "ClientNotAllowed"
        assert (world.pipeline("p")["state"], world.pipeline("p")["reason"]) == ("ERROR", reason)
        if fault == "spec":
            world.edit("p", jobs=[shell("a"), LATER])
        else:
            world.client("nobody")
        with suppress(KeyError):
            await world.cluster.admin.wait_for(lambda: world.pipeline("p")["state"] == "CANCELLED", 10)
        await asyncio.sleep(60)
        assert (world.pipeline("p")["state"], world.pipeline("p")["reason"]) == CANCELLED
        assert world.spy.launches == []
        nothing_is_left(world, laws)
