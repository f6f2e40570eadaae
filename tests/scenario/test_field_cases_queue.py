"""Field cases on the order of the queue and on limits, B011-B024 and B071, with the whole operator.

Each stands for a kind of fault, so each is tried in several forms. B019 is in test_wishes.
"""

import asyncio
from typing import Any

import pytest

from task_pipeline.api.resources import KUBERNETES_JOBS, PIPELINE_JOBS, PIPELINES, PODS
from task_pipeline.kube.errors import Conflict, KubeError, Unreachable
from tests.fakes import fates, on
from tests.fakes.refusals import forbidden, server_error, too_many
from tests.scenario.world import World, running, shell

pytestmark = [pytest.mark.looptime]

LONG = 3600.0


async def fill(world: World, seconds: float = 30.0) -> None:
    """A filler that outranks all and has the only slot for a while."""
    world.client("filler", priority=0)
    world.submit("filler", shell("a", seconds=seconds), clientId="filler")
    await asyncio.sleep(1)


async def launched(world: World) -> list[str]:
    """All launches but the filler's, once all is over."""
    await world.until_final()
    return [who for who in world.spy.launches if not who.startswith("filler")]


@pytest.mark.parametrize("numbers", [(50, 1), (2**31 - 1, -(2**31)), (10, 9)])
async def test_B011_a_stage_outranks_the_numbers_of_its_jobs(numbers: tuple[int, int]) -> None:
    async with running(max_running_jobs=1) as world:
        world.submit("p2", shell("a", "s", seconds=5), shell("b", "t", priority=numbers[1]))
        await asyncio.sleep(1)
        await fill(world)
        world.submit("p1", shell("a", "s", priority=numbers[0]))
        await asyncio.sleep(10)
        keys = {job["spec"]["pipeline"]: job["spec"] for job in world.jobs() if job["status"]["state"] == "READY"}
        assert [keys[name]["stageIndex"] for name in ("p1", "p2")] == [0, 1]
        assert [keys[name]["priority"] for name in ("p1", "p2")] == list(numbers)
        assert await launched(world) == ["p2/a", "p1/a", "p2/b"]


@pytest.mark.parametrize("shape", ["one Pipeline", "many Pipelines", "a full queue"])
@pytest.mark.parametrize("limit", [0, 2])
async def test_B012_a_client_at_its_limit_idles_nobody_else(shape: str, limit: int) -> None:
    async with running(max_running_jobs=10, queue_size=3 if shape == "a full queue" else 1000) as world:
        world.client("a", priority=1, maxRunningJobs=limit)
        world.client("b", priority=2)
        if shape == "one Pipeline":
            world.submit("a50", *(shell(f"a-{number:02}", seconds=60) for number in range(50)), clientId="a")
        else:
            for number in range(50):
                world.submit(f"a{number:02}", shell("a", seconds=60), clientId="a")
        world.submit("b5", *(shell(f"b-{number}", seconds=60) for number in range(5)), clientId="b")
        await asyncio.sleep(1)
        assert len([who for who in world.spy.launches if who.startswith("a")]) == limit
        assert len([who for who in world.spy.launches if who.startswith("b")]) == 5
        world.client("a", priority=1, maxRunningJobs=50)
        await world.until_final()
        assert world.spy.running.most == 10


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("pause", [0.0, 0.02])
async def test_B013_equals_have_one_order_that_a_restart_keeps(restart: bool, pause: float) -> None:
    """All twenty arrive within one second; without a pause even within one microsecond, and then the UID decides."""
    async with running(max_running_jobs=1, queue_size=7) as world:
        world.submit("fifo", *(shell(f"j-{number:02}") for number in range(20)), priority=9)
        for number in (7, 3, 18, *(one for one in range(20) if one not in (7, 3, 18))):
            world.submit(f"p{number:02}", shell("a"))
            await asyncio.sleep(pause)
        order = [who["metadata"]["name"] for who in by_arrival(world)]
        await world.cluster.admin.wait_for(lambda: "p18/a" in world.spy.launches, 100)
        if restart:
            await world.kill()
            await world.start()
        await world.until_final()
        assert world.spy.launches[:20] == [f"fifo/j-{number:02}" for number in range(20)]
        assert world.spy.launches[20:] == [f"{name}/a" for name in order if name != "fifo"]


def by_arrival(world: World) -> list[dict[str, Any]]:
    """The Pipelines in the order of their creation; UIDs of the cluster in memory count upwards."""
    found: list[dict[str, Any]] = world.cluster.admin.list(PIPELINES)
    return sorted(found, key=lambda one: str(one["metadata"]["uid"]))


@pytest.mark.parametrize("pause", [0.0, 1.0, 10.0])
@pytest.mark.parametrize("together", [True, False])
async def test_B014_a_broken_job_does_not_own_the_only_slot(pause: float, together: bool) -> None:
    async with running(max_running_jobs=1, retry_backoff=pause) as world:
        bad, good = shell("bad", exit_code=1, retry_attempt=50, allowFailure=True), shell("good")
        if together:
            world.submit("cycle", bad, good)
        else:
            world.submit("p", bad)
            await asyncio.sleep(0.05)
            world.submit("q", good)
        await world.cluster.admin.wait_for(lambda: world.spy.launches[-1:] in (["cycle/good"], ["q/good"]), 60)
        assert len(world.spy.launches) <= 3


@pytest.mark.parametrize("way", ["file", "patch of the Pipeline", "patch of its list", "patch of the PipelineJob"])
async def test_B015_every_way_to_a_priority_leads_to_the_same_place(way: str) -> None:
    async with running(max_running_jobs=1) as world:
        await fill(world)
        world.submit("p", shell("a"), shell("b"))
        await asyncio.sleep(0.1)
        if way == "file":
            world.submit("viafile", shell("y"), shell("a", priority=1), priority=9)
        else:
            world.submit("viafile", shell("y"), shell("a"))
            await asyncio.sleep(3)
            world.edit("viafile", priority=9)
        if way == "patch of the PipelineJob":
            world.edit_job("viafile", "a", priority=1)
        elif way == "patch of its list":
            world.edit("viafile", jobs=[shell("y"), shell("a", priority=1)])
        elif way == "patch of the Pipeline":
            world.edit("viafile", jobs=[shell("y"), shell("a")], priority=9)
        await asyncio.sleep(3)
        first = ["viafile/y", "viafile/a"] if way == "patch of the Pipeline" else ["viafile/a", "viafile/y"]
        assert await launched(world) == [*first, "p/a", "p/b"]


async def test_B016_size_does_not_enter_the_order() -> None:
    async with running(max_running_jobs=1) as world:
        world.cluster.kubelet.fate = lambda pod: (
            fates.unschedulable() if pod["spec"]["containers"][0]["resources"]["requests"]["cpu"] == "4" else None
        )
        await fill_with_cpu(world)
        jobs = [shell("small", priority=5), shell("big", priority=1, startTimeout=60)]
        for job, cpu in zip(jobs, ("10m", "4"), strict=True):
            job["params"]["resources"] = {"requests": {"cpu": cpu}}
        world.submit("size", *jobs)
        assert await launched(world) == ["size/big", "size/small"]


async def fill_with_cpu(world: World) -> None:
    job = shell("a", seconds=5)
    job["params"]["resources"] = {"requests": {"cpu": "1m"}}
    world.submit("filler", job, priority=0)
    await asyncio.sleep(1)


@pytest.mark.parametrize("latency", [0.0, 0.05])
@pytest.mark.parametrize("crash_at", [None, 0.02, 0.1, 0.5, 20.2])
async def test_B017_a_burst_stays_below_the_limit(latency: float, crash_at: float | None) -> None:
    async with running(max_running_jobs=5) as world:
        world.cluster.latency = latency
        for number in range(10):
            world.submit(f"burst-{number}", shell("a", seconds=20))
        if crash_at is not None:
            await asyncio.sleep(crash_at)
            await world.kill()
            await world.start()
        assert set((await world.until_final()).values()) == {"DONE"}
        assert (world.spy.running.most, world.spy.pods.most) == (5, 5)
        assert len(world.spy.launches) == 10


@pytest.mark.parametrize("trouble", ["slow pull", "no node"])
async def test_B018_a_pod_that_does_not_run_yet_has_its_slot(trouble: str) -> None:
    async with running(max_running_jobs=3) as world:
        if trouble == "slow pull":
            world.cluster.kubelet.times.start = 60
        else:
            world.cluster.kubelet.fate = lambda pod: fates.unschedulable()
        for number in range(12):
            world.submit(f"slow-{number}", shell("a", startTimeout=90))
        await asyncio.sleep(50)
        assert len(world.pods()) == 3
        await world.until_final(seconds=2000)
        assert (world.spy.running.most, world.spy.pods.most) == (3, 3)


@pytest.mark.parametrize("end", ["Now", "Drain", "delete", "cancel of each job"])
async def test_B020_what_was_cancelled_holds_no_slot(end: str) -> None:
    async with running(max_running_jobs=3) as world:
        world.submit("six", *(shell(f"j{number}", seconds=600) for number in range(6)))
        await asyncio.sleep(1)
        world.submit("others", *(shell(f"j{number}") for number in range(3)))
        await asyncio.sleep(1)
        if end == "delete":
            world.cluster.admin.delete(PIPELINES, "six")
        elif end == "cancel of each job":
            for number in range(6):
                world.edit_job("six", f"j{number}", cancel="Now")
        else:
            world.edit("six", cancel=end)
        assert await world.until_final("others", seconds=700 if end == "Drain" else 40) == {"others": "DONE"}
        await asyncio.sleep(60)
        assert sorted(world.spy.launches[:3]) == ["six/j0", "six/j1", "six/j2"]
        assert sorted(world.spy.launches[3:]) == ["others/j0", "others/j1", "others/j2"]
        assert world.runtime is not None
        assert world.runtime.scheduler.queue.running == 0


@pytest.mark.parametrize("committed", [False, True])
@pytest.mark.parametrize("where", ["pod", "status"])
async def test_B021_a_crash_in_a_launch_keeps_no_slot_and_launches_once(where: str, committed: bool) -> None:
    """A slot was given, and then: no workload, one that nobody knows of, a status that was written or not."""
    async with running(max_running_jobs=1) as world:
        which = on("create", PODS) if where == "pod" else on("patch_status", PIPELINE_JOBS)
        cut = Unreachable("cut")
        fault = world.cluster.fault(which, before=None if committed else cut, after=cut if committed else None)
        world.submit("mid", shell("a", seconds=5))
        world.submit("next", shell("a", seconds=5))
        await world.cluster.admin.wait_for(lambda: fault.spent, 10)
        await world.kill()
        await world.start()
        await asyncio.sleep(1)
        assert world.runtime is not None
        assert world.runtime.scheduler.queue.running == 1
        assert set((await world.until_final(seconds=30)).values()) == {"DONE"}
        assert sorted(world.spy.launches) == ["mid/a", "next/a"]
        assert {job["status"]["attempt"] for job in world.jobs()} == {1}


K8S_JOB = {"name": "a", "stage": "s", "kind": "K8S/Job", "version": "1.0.0", "params": {"image": "busybox:1.36"}}
QUOTA_CONFLICT = 'Operation cannot be fulfilled on resourcequotas "q": the object has been modified'


@pytest.mark.parametrize(("job", "resource"), [(K8S_JOB, KUBERNETES_JOBS), (shell("a"), PODS)])
async def test_B022_passing_answers_are_nobodys_failure_and_retry_after_is_kept(
    job: dict[str, Any], resource: Any
) -> None:
    async with running() as world:
        answers: list[KubeError] = [Conflict(409, "Conflict", QUOTA_CONFLICT), too_many(7), server_error(503)]
        for number, answer in enumerate(answers):
            world.cluster.fault(on("create", resource), before=answer, skip=number)
        world.submit("transient", job)
        assert await world.until_final() == {"transient": "DONE"}
        status = world.job("transient", "a")
        assert (status["attempt"], "failures" in status) == (1, False)
        tries = world.cluster.journal.of("create", resource)
        assert [one.committed for one in tries] == [False, False, False, True]
        assert tries[2].time - tries[1].time >= 7


@pytest.mark.parametrize("lag", ["slow watches", "silent watches", "slow lists"])
async def test_B023_a_cache_that_lags_does_not_lift_the_limit(lag: str) -> None:
    async with running(max_running_jobs=2) as world:
        if lag == "slow lists":
            world.cluster.fault(on("list"), delay=5, times=None)
            world.cluster.break_watches()
        elif lag == "slow watches":
            world.cluster.watching.lag = 5
        else:
            for resource in (PIPELINE_JOBS, PODS):
                world.cluster.freeze_watches(resource, True)
        for number in range(6):
            world.submit(f"lag-{number}", shell("a", seconds=30))
            await asyncio.sleep(0.15)
        assert set((await world.until_final(seconds=1200)).values()) == {"DONE"}
        assert world.spy.running.most == 2
        assert world.spy.pods.most == 2
        assert len(world.spy.launches) == 6


async def test_B024_a_full_quota_of_one_namespace_is_not_everybodys_problem() -> None:
    async with running(max_running_jobs=5) as world:
        world.cluster.admin.namespace("tight")
        world.cluster.admin.quota("tight", {"pods": 0})
        for number in range(200):
            world.submit(f"tight-{number:03}", shell("a", seconds=5), namespace="tight", priority=1)
        await asyncio.sleep(3)
        assert len(world.cluster.journal.of("patch_status", PIPELINE_JOBS)) <= 20 + 3 * 20
        await asyncio.sleep(117)
        world.cluster.journal.clear()
        began = world.now
        for number in range(12):
            world.submit(f"free-{number}", shell("a", seconds=5))
            await world.cluster.admin.wait_for(lambda: world.spy.launches[-1:] == [f"free-{number}/a"], 3)  # noqa: B023
            await asyncio.sleep(10)
        minutes = (world.now - began) / 60
        tries = [one.name for one in world.cluster.journal.of("create", PODS) if one.namespace == "tight"]
        assert len(tries) <= 20 * minutes
        assert len(set(tries)) >= len(tries) / 2  # it is not always the same that is tried
        assert len(world.cluster.journal.of("patch_status", PIPELINE_JOBS)) <= 3 * 12
        assert {world.job(f"tight-{number:03}", "a")["reason"] for number in range(200)} == {"QuotaExceeded"}
        world.cluster.admin.quota("tight", {"pods": 500})
        await asyncio.sleep(60)
        assert len([who for who in world.spy.launches if who.startswith("tight")]) >= 5 * 20 / 6


async def test_B024_what_fits_into_a_quota_gets_its_turn_behind_what_does_not() -> None:
    """Ten that a policy of the namespace counts as too large come first in the order."""
    async with running(max_running_jobs=5) as world:
        too_large = "exceeded quota: q, requested: requests.cpu=64, used: requests.cpu=0, limited: requests.cpu=4"
        large = lambda request: on("create", PODS)(request) and "large" in request.name  # noqa: E731
        world.cluster.fault(large, before=lambda: forbidden(PODS, "x", too_large), times=None)
        world.submit("p", *(shell(f"large-{number}", priority=1) for number in range(10)), shell("small"))
        await world.cluster.admin.wait_for(lambda: "p/small" in world.spy.launches, 300)


async def stage_gaps(count: int) -> tuple[list[float], float]:
    """Seconds between the two stages of `count` Pipelines that run at once, sorted, and requests for each job."""
    async with running(max_running_jobs=200) as world:
        world.cluster.latency = 0.02
        for number in range(count):
            world.submit(f"p{number}", shell("a", "s1", seconds=1), shell("b", "s2", seconds=1))
        await world.until_final()
        spy = world.spy
        gaps = [spy.launched_at[f"p{number}/b"] - spy.ended_at[f"p{number}/a"] for number in range(count)]
        return sorted(gaps), len(world.cluster.journal) / (2 * count)


async def test_B071_the_pause_between_stages_does_not_grow_with_the_crowd() -> None:
    alone, requests_alone = await stage_gaps(1)
    crowded, requests = await stage_gaps(100)
    assert alone[0] <= 0.1
    assert crowded[95] <= 1.0
    assert requests <= requests_alone
