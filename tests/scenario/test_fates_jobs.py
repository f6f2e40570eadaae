"""Kubernetes Jobs and their pods: deleted by hand in every way, evicted, suspended, unreachable."""

import asyncio
from typing import Any

import pytest

from task_pipeline.api.resources import KUBERNETES_JOBS, PIPELINES, PODS
from tests.fakes import fates
from tests.scenario.world import World, running

pytestmark = [pytest.mark.looptime]

GRACE = 300


def job(
    name: str = "a", *, spec: dict[str, Any] | None = None, pod: dict[str, Any] | None = None, **fields: Any
) -> Any:
    """A K8S/Job in its native form."""
    containers = [{"name": "main", "image": "busybox:1.36", "command": ["true"]}]
    native = {"template": {"spec": {"containers": containers} | (pod or {})}} | (spec or {})
    return {"name": name, "stage": "s", "kind": "K8S/Job", "version": "1.0.0", "params": {"spec": native}} | fields


def first_then(world: World, first: fates.Fate, then: fates.Fate | None = None) -> None:
    """The fate of the first pod, and of all after it."""
    fate = iter((first,))
    world.cluster.kubelet.fate = lambda pod: next(fate, then or fates.succeeds())


async def until_pod_runs(world: World) -> dict[str, Any]:
    """The first pod, once it runs."""

    def found() -> dict[str, Any] | None:
        return next((one for one in world.pods() if one["status"].get("phase") == "Running"), None)

    pod = await world.cluster.admin.wait_for(found, 30, "a pod to run")
    assert pod is not None
    return pod


def the_job(world: World) -> str:
    """Name of the only Kubernetes Job."""
    (one,) = world.cluster.admin.list(KUBERNETES_JOBS)
    name: str = one["metadata"]["name"]
    return name


@pytest.mark.parametrize("propagation", ["Foreground", "Background", "Orphan"])
async def test_semantics_6_a_job_deleted_by_hand_is_replaced_after_its_last_pod(propagation: str) -> None:
    async with running() as world:
        first_then(world, fates.hangs(stop_seconds=20))
        world.submit("p", job(retryAttempt=0))
        old = await until_pod_runs(world)
        world.cluster.admin.delete(KUBERNETES_JOBS, the_job(world), propagation=propagation)
        await asyncio.sleep(15)
        assert [one["metadata"]["uid"] for one in world.pods()] == [old["metadata"]["uid"]]
        assert world.job("p", "a")["state"] == "IN PROGRESS"
        assert await world.until_final() == {"p": "DONE"}
        attempts = world.job("p", "a")["attempts"]
        assert [(one["outcome"], one.get("charged")) for one in attempts] == [("Lost", False), ("Succeeded", None)]
        assert attempts[0]["message"] == "the workload was deleted by someone else"
        assert old["metadata"]["uid"] not in [one["metadata"]["uid"] for one in world.pods()]


async def test_semantics_6_deleted_while_the_operator_is_down() -> None:
    async with running() as world:
        first_then(world, fates.hangs(stop_seconds=20))
        world.submit("p", job())
        old = await until_pod_runs(world)
        await asyncio.sleep(2)
        await world.kill()
        world.cluster.admin.delete(KUBERNETES_JOBS, the_job(world), propagation="Orphan")
        await asyncio.sleep(5)
        await world.start()
        assert await world.until_final() == {"p": "DONE"}
        assert [one["outcome"] for one in world.job("p", "a")["attempts"]] == ["Lost", "Succeeded"]
        assert old["metadata"]["uid"] not in [one["metadata"]["uid"] for one in world.pods()]


@pytest.mark.parametrize("fate", [fates.Fate(seconds=fates.FOREVER, deleted_after=2), fates.node_lost(2)])
async def test_b101_a_pod_that_is_taken_from_its_job_is_told_and_given_back(fate: fates.Fate) -> None:
    async with running() as world:
        first_then(world, fate)
        world.submit("p", job())
        assert await world.until_final() == {"p": "DONE"}
        first, second = world.job("p", "a")["attempts"]
        assert (first["outcome"], first["reason"], first["charged"]) == ("Lost", "Lost", False)
        assert second["outcome"] == "Succeeded"
        assert len(world.cluster.journal.of("create", KUBERNETES_JOBS)) == 2


async def test_b104_a_pod_that_the_job_itself_replaces_costs_no_attempt() -> None:
    async with running() as world:
        first_then(world, fates.evicted(2))
        world.submit("p", job(spec={"backoffLimit": 3}))
        assert await world.until_final() == {"p": "DONE"}
        status = world.job("p", "a")
        assert (status["attempt"], len(world.cluster.journal.of("create", KUBERNETES_JOBS))) == (1, 1)


async def test_semantics_7_a_long_grace_period_of_the_pods_is_waited_for() -> None:
    """The Job's own deletionTimestamp has no grace period: judged by it, its pods were given up after 60 s."""
    async with running() as world:
        world.cluster.kubelet.fate = lambda pod: fates.hangs(stop_seconds=GRACE - 10)
        world.submit("p", job(pod={"terminationGracePeriodSeconds": GRACE}, timeout=30))
        await asyncio.sleep(30 + 200)
        status = world.job("p", "a")
        assert (status["state"], status["reason"]) == ("IN PROGRESS", "Stopping")
        assert await world.until_final() == {"p": "ERROR"}
        status = world.job("p", "a")
        assert (status["reason"], status["message"]) == ("Timeout", "ran longer than 30 s")
        assert not world.pods()


async def test_a_job_without_a_pod_is_deleted_at_once() -> None:
    async with running() as world:
        world.cluster.admin.quota("default", {"pods": 0})
        world.submit("p", job(timeout=30))
        assert await world.until_final(seconds=40) == {"p": "ERROR"}
        assert "pending all the time: the Job has no pod yet" in world.job("p", "a")["message"]
        assert not world.cluster.admin.list(KUBERNETES_JOBS)


async def test_semantics_7_a_suspended_job_keeps_its_slot_and_what_it_ran() -> None:
    async with running(max_running_jobs=1) as world:
        world.cluster.kubelet.fate = lambda pod: fates.hangs()
        world.submit("p", job(timeout=100))
        await until_pod_runs(world)
        await asyncio.sleep(40)
        name = the_job(world)
        world.cluster.admin.patch(KUBERNETES_JOBS, name, {"spec": {"suspend": True}})
        world.submit("other", job("b"))
        await asyncio.sleep(3600)
        status = world.job("p", "a")
        assert (status["state"], status["reason"]) == ("IN PROGRESS", "ExternallyQueued")
        assert [(one["type"], one["status"]) for one in status["conditions"]] == [("Suspended", "True")]
        assert world.states("other") == {"b": "READY"}
        await world.kill()
        await world.start()
        world.cluster.admin.patch(KUBERNETES_JOBS, name, {"spec": {"suspend": False}})
        resumed = world.now
        assert await world.until_final("p") == {"p": "ERROR"}
        assert 50 <= world.now - resumed <= 62, world.job("p", "a")  # of 100 s about 40 had been used
        assert world.job("p", "a")["reason"] == "Timeout"


async def test_a_job_that_kueue_holds_from_the_start_is_not_late() -> None:
    async with running() as world:
        world.submit("p", job(spec={"suspend": True}, timeout=60, startTimeout=60))
        await asyncio.sleep(600)
        assert world.job("p", "a")["reason"] == "ExternallyQueued"
        world.cluster.admin.patch(KUBERNETES_JOBS, the_job(world), {"spec": {"suspend": False}})
        assert await world.until_final() == {"p": "DONE"}
        assert {one["type"] for one in world.job("p", "a")["conditions"]} == {"Finished", "Succeeded"}


@pytest.mark.parametrize("way", ["timeout", "cancel", "delete"])
async def test_b100_nothing_of_a_job_whose_image_never_comes_is_left(way: str) -> None:
    async with running() as world:
        world.cluster.kubelet.fate = lambda pod: fates.no_image()
        world.submit("p", job(timeout=60))
        await asyncio.sleep(30)
        if way == "cancel":
            world.edit("p", cancel="Now")
        elif way == "delete":
            world.cluster.admin.delete(PIPELINES, "p")
        await asyncio.sleep(90)
        assert (world.pods(), world.cluster.admin.list(KUBERNETES_JOBS)) == ([], [])
        if way != "delete":
            assert world.pipeline("p")["state"] == {"timeout": "ERROR", "cancel": "CANCELLED"}[way]


@pytest.mark.parametrize("code", [0, 1])
@pytest.mark.parametrize("down", [False, True], ids=["up", "down"])
async def test_b068_the_end_is_known_before_anything_removes_the_job(code: int, down: bool) -> None:
    """A ttl in the spec is refused, so the Job outlasts an operator that is down."""
    async with running() as world:
        world.cluster.kubelet.fate = lambda pod: fates.Fate(seconds=5, exit_code=code)
        world.submit("refused", job(spec={"ttlSecondsAfterFinished": 0}))
        world.submit("p", job())
        await asyncio.sleep(2)
        if down:
            await world.kill()
            await asyncio.sleep(3600)
            await world.start()
        states = await world.until_final("p", "refused")
        assert states == {"p": "ERROR" if code else "DONE", "refused": "ERROR"}
        assert world.pipeline("refused")["reason"] == "InvalidSpec"
        assert "ttlSecondsAfterFinished" in world.pipeline("refused")["message"]


async def test_b068_a_job_that_vanished_is_never_taken_for_a_success() -> None:
    async with running() as world:
        first_then(world, fates.succeeds(5), fates.fails(7))
        world.submit("p", job())
        await asyncio.sleep(2)
        await world.kill()
        await asyncio.sleep(10)
        world.cluster.admin.delete(KUBERNETES_JOBS, the_job(world))
        await asyncio.sleep(2)
        await world.start()
        assert await world.until_final() == {"p": "ERROR"}
        first, second = world.job("p", "a")["attempts"]
        assert (first["outcome"], first["charged"], second["exitCode"]) == ("Lost", False, 7)


async def test_the_liveness_probe_is_told_for_a_kill_that_it_may_have_caused() -> None:
    async with running() as world:
        world.cluster.kubelet.fate = lambda pod: fates.fails(137, 5)
        probed = {"name": "main", "image": "i", "livenessProbe": {"exec": {"command": ["false"]}}}
        world.submit("p", job(pod={"containers": [probed]}))
        assert await world.until_final() == {"p": "ERROR"}
        assert "exit code 137 (SIGKILL); it has a liveness probe" in world.job("p", "a")["message"]


async def test_a_pod_below_a_failing_job_on_a_silent_node_ends_the_attempt() -> None:
    """Semantics 6: the Job waits for a pod that nobody can end; its attempt ends 60 s after the grace period."""
    async with running() as world:
        world.cluster.kubelet.fate = lambda pod: fates.Fate(seconds=fates.FOREVER, node_lost_after=2)
        world.cluster.kubelet.times.node_lost = fates.FOREVER
        world.cluster.jobs.delay = fates.FOREVER
        world.submit("p", job())
        pod = await until_pod_runs(world)
        await asyncio.sleep(10)
        world.cluster.admin.delete(PODS, pod["metadata"]["name"])
        mark = {"type": "FailureTarget", "status": "True", "reason": "BackoffLimitExceeded"}
        world.cluster.admin.status(KUBERNETES_JOBS, the_job(world), conditions=[mark])
        await asyncio.sleep(80)
        assert world.job("p", "a")["state"] == "IN PROGRESS"
        await asyncio.sleep(20)
        first = world.job("p", "a")["attempts"][0]
        assert (first["outcome"], first["charged"]) == ("Lost", False)
        assert "may still be running" in first["message"]
        world.edit("p", cancel="Now")
        await asyncio.sleep(300)
