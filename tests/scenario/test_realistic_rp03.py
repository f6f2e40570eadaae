"""RP03, a database migration before each rollout: what the field cases ask of it, and their faults."""

import asyncio
import json

import pytest

from task_pipeline.api.resources import DEPLOYMENTS, KUBERNETES_JOBS, PIPELINES, PODS
from task_pipeline.kube.errors import Unreachable
from tests.fakes.deployments import Rollout
from tests.fakes.fates import fails, node_lost, succeeds
from tests.fakes.store import Change
from tests.realistic import Manifest, job, load
from tests.scenario.realistic import counts, launches, outcomes, ran_in_order, script, spans, submit
from tests.scenario.world import running

pytestmark = [pytest.mark.looptime]

MANIFEST = load("rp03")
NAME = MANIFEST["metadata"]["name"]
MIGRATIONS = ["migrate-dev", "migrate-int", "migrate-prd"]


async def test_rp03_runs_to_its_end_and_each_migration_once() -> None:
    async with running() as world:
        script(world)
        submit(world, MANIFEST)
        assert await world.until_final(seconds=3600) == {NAME: "DONE"}
        assert ran_in_order(world, MANIFEST)
        assert [name for name in launches(world, NAME) if name in MIGRATIONS] == MIGRATIONS


@pytest.mark.parametrize("name", MIGRATIONS)
async def test_rp03_a_migration_runs_once_although_the_operator_is_killed_in_it(name: str) -> None:
    async with running() as world:
        script(world, {name: [succeeds(600)]})
        submit(world, MANIFEST)
        await world.cluster.admin.wait_for(lambda: name in launches(world, NAME), 3600)
        await world.kill()
        await asyncio.sleep(1200)
        await world.start()
        assert await world.until_final(seconds=3600) == {NAME: "DONE"}
        assert [one for one in launches(world, NAME) if one in MIGRATIONS] == MIGRATIONS


@pytest.mark.parametrize("name", MIGRATIONS)
async def test_rp03_an_answer_that_is_lost_when_the_migration_is_created_starts_no_second(name: str) -> None:
    async with running() as world:
        script(world)
        world.cluster.fault(
            lambda one: one.verb == "create" and one.resource == PODS and name in str(one.name),
            after=Unreachable("cut"),
        )
        submit(world, MANIFEST)
        assert await world.until_final(seconds=3600) == {NAME: "DONE"}
        assert launches(world, NAME).count(name) == 1


async def test_rp03_a_migration_that_fails_is_not_run_again() -> None:
    async with running() as world:
        script(world, {"migrate-prd": [fails(1, 30, "relation exists")]})
        submit(world, MANIFEST)
        assert await world.until_final(seconds=3600) == {NAME: "ERROR"}
        assert launches(world, NAME).count("migrate-prd") == 1
        assert "relation exists" in world.job(NAME, "migrate-prd")["message"]
        assert "ledger-prd" not in {one["metadata"]["name"] for one in world.cluster.admin.list(DEPLOYMENTS)}


async def test_rp03_a_migration_whose_node_is_lost_is_run_again_but_never_silently() -> None:
    """Row 6 of the semantics gives the attempt back, also with `retry_attempt: 0`; every step of it is told."""
    async with running() as world:
        script(world, {"migrate-prd": [node_lost(30), succeeds(30)]})
        submit(world, MANIFEST)
        assert await world.until_final(seconds=3600) == {NAME: "DONE"}
        first, second = world.job(NAME, "migrate-prd")["attempts"]
        assert (first["outcome"], first["charged"]) == ("Lost", False)
        assert second["startTime"] > first["completionTime"]


async def test_rp03_a_closed_window_stops_before_the_backup() -> None:
    async with running() as world:
        script(world, {"change-window": [fails(4, 5, "outside window: 11h")]})
        submit(world, MANIFEST)
        assert await world.until_final(seconds=3600) == {NAME: "ERROR"}
        message = world.job(NAME, "change-window")["message"]
        assert "exit code 4" in message
        assert "outside window: 11h" in message
        cancelled = {stage for stage, number in counts(world, NAME, "cancelled").items() if number}
        assert cancelled == {"backup", "migrate-prd", "deploy-prd"}
        assert world.cluster.admin.list(KUBERNETES_JOBS) == []


def release_before() -> Manifest:
    """The rollout of the release before, as a run of its own."""
    roll: Manifest = json.loads(json.dumps(job(MANIFEST, "roll-int")))
    roll["params"]["spec"]["template"]["spec"]["containers"][0]["image"] = "nginx:1.25"
    return {"metadata": {"name": "ledger-4-17-0"}, "spec": {"stages": ["deploy-int"], "jobs": [roll]}}


async def test_rp03_no_test_meets_the_old_version() -> None:
    async with running() as world:
        script(world)
        submit(world, release_before())
        assert await world.until_final() == {"ledger-4-17-0": "DONE"}
        world.cluster.deployments.rollout = lambda deployment: Rollout(90)
        met: list[tuple[str, int, int]] = []

        def see(change: Change) -> None:
            if change.resource == PODS and change.previous is None and "api-tests" in change.object["metadata"]["name"]:
                found = world.cluster.admin.get(DEPLOYMENTS, "ledger-int")
                image = found["spec"]["template"]["spec"]["containers"][0]["image"]
                status = found["status"]
                met.append((image, status["observedGeneration"], status["updatedReplicas"]))

        world.cluster.store.listeners.append(see)
        submit(world, MANIFEST)
        assert await world.until_final(NAME, seconds=3600) == {NAME: "DONE"}
        assert met == [("nginx:1.26", 2, 2)]


async def test_rp03_the_shells_own_dollar_is_left_to_the_shell() -> None:
    async with running() as world:
        script(world)
        submit(world, MANIFEST)
        assert await world.until_final(seconds=3600) == {NAME: "DONE"}
        (snapshot,) = world.cluster.admin.list(KUBERNETES_JOBS)
        command = snapshot["spec"]["template"]["spec"]["containers"][0]["command"]
        assert command == ["sh", "-c", "echo dump > /tmp/ledger-$(date +%s).dump"]


async def test_rp03_two_jobs_of_one_stage_that_should_not_run_together_visibly_do() -> None:
    async with running() as world:
        script(world, {"snapshot": [succeeds(300)], "restore-check": [fails(2, 2, "no dump yet")]})
        submit(world, MANIFEST)
        assert await world.until_final(seconds=3600) == {NAME: "DONE"}
        ran = spans(world, NAME)
        assert ran["restore-check"].end < ran["snapshot"].end
        assert ran["restore-check"].overlaps(ran["snapshot"])
        assert world.pipeline(NAME)["reason"] == "SucceededWithWarnings"
        assert world.pipeline(NAME)["failedJobs"] == ["restore-check"]


async def test_rp03_a_rollout_that_misses_its_deadline_is_told_as_that() -> None:
    async with running() as world:
        script(world)
        world.cluster.deployments.rollout = lambda one: Rollout(stuck=one["metadata"]["name"] == "ledger-prd")
        submit(world, MANIFEST)
        assert await world.until_final(seconds=3600) == {NAME: "ERROR"}
        assert outcomes(world, NAME, "roll-prd") == [("Failed", "ProgressDeadlineExceeded", None)]
        assert launches(world, NAME).count("migrate-prd") == 1


async def test_rp03_the_same_file_an_hour_later_changes_nothing() -> None:
    async with running() as world:
        script(world)
        submit(world, MANIFEST)
        assert await world.until_final(seconds=3600) == {NAME: "DONE"}
        await asyncio.sleep(3600)
        before, launched = world.cluster.admin.get(PIPELINES, NAME), launches(world, NAME)
        world.cluster.journal.clear()
        world.cluster.admin.patch(PIPELINES, NAME, {"spec": MANIFEST["spec"]})
        await asyncio.sleep(3600)
        assert world.cluster.admin.get(PIPELINES, NAME) == before
        assert launches(world, NAME) == launched
        assert not world.cluster.journal.writes


def test_rp03_no_migration_is_retried_by_the_manifest() -> None:
    assert [job(MANIFEST, name).get("retry_attempt", 0) for name in MIGRATIONS] == [0, 0, 0]
