"""Crashes and faulty answers at every write: the end is the same, and no attempt is launched twice."""

import asyncio
from collections.abc import Callable
from functools import partial

import pytest

from task_pipeline.api.resources import DEPLOYMENTS, PIPELINE_JOBS, PIPELINES, PODS
from task_pipeline.kube.errors import Conflict, Gone, KubeError, Unreachable
from tests.fakes import Fault, on
from tests.fakes.faults import Predicate
from tests.fakes.refusals import server_error, stale, too_many
from tests.scenario.world import World, running, shell

pytestmark = [pytest.mark.looptime]


def submit(world: World) -> None:
    """Two stages, a retry, an allowed failure: about thirty writes."""
    world.submit(
        "p",
        shell("a", "one"),
        shell("flaky", "one", exit_code=1, retryAttempt=1, allowFailure=True),
        shell("b", "two", seconds=3),
    )


def strike(world: World, which: Predicate, number: int, problem: KubeError, *, after: bool) -> Fault:
    """Let request `number` of those `which` picks fail, before it is carried out or after."""
    if after:
        return world.cluster.fault(which, skip=number, after=problem)
    return world.cluster.fault(which, skip=number, before=problem)


async def end_of_a_run_without_faults() -> tuple[dict[str, str], int]:
    async with running() as world:
        submit(world)
        await world.until_final()
        await asyncio.sleep(30)
        return world.states("p"), len(world.cluster.journal.writes)


async def test_killed_before_and_after_every_write_the_run_ends_the_same() -> None:
    wanted, writes = await end_of_a_run_without_faults()
    assert writes > 15
    for number in range(writes):
        for after in (False, True):
            world = World()
            await world.start()
            submit(world)
            fault = strike(world, on("write"), number, Unreachable("cut"), after=after)
            await world.cluster.admin.wait_for(partial(getattr, fault, "spent"), 120, what=f"write {number}")
            await world.kill()
            await world.start()
            assert await world.until_final() == {"p": "DONE"}, (number, after)
            assert world.states("p") == wanted
            await world.stop()
            world.check()


ANSWERS: dict[str, Callable[[], KubeError]] = {
    "lost": lambda: Unreachable("no answer"),
    "overloaded": too_many,
    "broken": server_error,
    "stale": lambda: stale(PIPELINES, "p"),
}


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("committed", [False, True], ids=["before", "after"])
async def test_any_answer_to_any_write_changes_nothing_in_the_end(answer: str, committed: bool) -> None:
    wanted, writes = await end_of_a_run_without_faults()
    for number in range(writes):
        async with running() as world:
            submit(world)
            verb_fits = on("patch_status") if answer == "stale" else on("write")
            problem = ANSWERS[answer]()
            strike(world, verb_fits, number, problem, after=committed)
            assert await world.until_final() == {"p": "DONE"}, (answer, number)
            assert world.states("p") == wanted


async def test_watches_that_break_and_are_forgotten_lose_nothing() -> None:
    async with running() as world:
        submit(world)
        for _ in range(5):
            await asyncio.sleep(0.7)
            for resource in (PIPELINE_JOBS, PODS, PIPELINES):
                world.cluster.break_watches(resource, Gone(410, "Expired", "too old"))
        assert await world.until_final() == {"p": "DONE"}


async def test_what_vanished_while_a_watch_was_down_is_noticed() -> None:
    async with running() as world:
        world.submit("p", shell("a", seconds=500))
        await world.cluster.admin.wait_for(lambda: world.states("p").get("a") == "IN PROGRESS", 10)
        world.cluster.freeze_watches(PODS, True)
        world.cluster.admin.delete(PODS, world.pods()[0]["metadata"]["name"], grace=0)
        await asyncio.sleep(1)
        world.cluster.freeze_watches(PODS, False)
        world.cluster.break_watches(PODS, Gone(410, "Expired", "too old"))
        assert await world.until_final() == {"p": "DONE"}
        assert world.job("p", "a")["attempts"][0]["reason"] == "Lost"


async def test_an_hour_of_quiet_and_the_watches_still_live() -> None:
    async with running() as world:
        await asyncio.sleep(3600)
        world.submit("p", shell("a"))
        assert await world.until_final(seconds=10) == {"p": "DONE"}


async def test_a_quota_delays_and_fails_nobody() -> None:
    async with running() as world:
        world.cluster.admin.quota("default", {"pods": 0})
        world.submit("p", shell("a"))
        await world.cluster.admin.wait_for(
            lambda: "a" in world.states("p") and world.job("p", "a")["reason"] == "QuotaExceeded", 10
        )
        assert "exceeded quota" in world.job("p", "a")["message"]
        await asyncio.sleep(300)
        assert len(world.cluster.journal.of("create", PODS)) <= 12
        world.cluster.admin.quota("default", {"pods": 10})
        assert await world.until_final() == {"p": "DONE"}
        assert "failures" not in world.job("p", "a")


async def test_a_restart_with_nothing_changed_writes_nothing() -> None:
    async with running() as world:
        submit(world)
        world.submit("wrong", {"name": "a", "stage": "s", "kind": "Nope", "version": "1.0.0"})
        world.submit("failed", shell("a", exit_code=1))
        await world.until_final()
        await asyncio.sleep(60)
        await world.stop()
        world.cluster.journal.clear()
        await world.start()
        await asyncio.sleep(600)
        assert world.cluster.journal.lines() == [
            line for line in world.cluster.journal.lines() if " list " in line
        ] or not (world.cluster.journal.writes)
        assert not world.cluster.journal.writes


async def test_a_job_costs_at_most_4_3_writes_and_few_bytes() -> None:
    async with running() as world:
        world.cluster.journal.clear()
        for number in range(10):
            world.submit(
                f"p{number}", *(shell(f"j{stage}{job}", f"s{stage}") for stage in range(4) for job in range(5))
            )
        await world.until_final()
        await asyncio.sleep(60)
        writes = world.cluster.journal.writes
        assert len(writes) / 200 <= 4.3
        assert world.cluster.journal.bytes_written / 200 <= 3600
        assert not [r for r in world.cluster.journal if r.verb in ("get", "list")]


async def test_a_conflict_between_field_managers_ends_the_job() -> None:
    async with running() as world:
        apply_conflict = Conflict(
            409, "Conflict", 'Apply failed with 1 conflict: conflict with "argocd": .spec.replicas'
        )
        world.cluster.fault(on("apply", DEPLOYMENTS), before=apply_conflict)
        params = {"name": "web", "image": "busybox:1.36"}
        world.submit("p", {"name": "d", "stage": "s", "kind": "K8S/Deployment", "version": "1.0.0", "params": params})
        assert await world.until_final() == {"p": "ERROR"}
        assert world.job("p", "d")["reason"] == "Conflict"
        assert "argocd" in world.job("p", "d")["message"]


async def test_the_other_kinds_run_too() -> None:
    async with running() as world:
        job = {"name": "j", "stage": "s", "kind": "K8S/Job", "version": "1.0.0", "params": {"image": "busybox:1.36"}}
        web = {"name": "web", "image": "busybox:1.36", "replicas": 2}
        deployment = {"name": "d", "stage": "t", "kind": "K8S/Deployment", "version": "1.0.0", "params": web}
        world.submit("p", job, deployment)
        assert await world.until_final() == {"p": "DONE"}
        assert world.cluster.admin.get(DEPLOYMENTS, "web")["status"]["availableReplicas"] == 2
