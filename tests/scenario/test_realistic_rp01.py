"""RP01, a web service from lint to production: what the field cases ask of it, and their faults."""

import asyncio

import pytest

from task_pipeline.api.group import LABEL_JOB_HASH
from task_pipeline.api.resources import DEPLOYMENTS, PIPELINES, PODS
from tests.fakes.deployments import Rollout
from tests.fakes.fates import fails, succeeds
from tests.realistic import changed, job, load
from tests.scenario.realistic import counts, launches, outcomes, ran_in_order, script, spans, submit
from tests.scenario.world import World, running
from tests.unit.kinds.test_escaping import expand

pytestmark = [pytest.mark.looptime]

MANIFEST = load("rp01")
NAME = MANIFEST["metadata"]["name"]
TESTS = ["e2e-chrome", "unit", "contract", "e2e-firefox", "coverage_report"]  # in their order


def replicas(world: World) -> dict[str, int]:
    found = world.cluster.admin.list(DEPLOYMENTS)
    return {one["metadata"]["name"]: one["status"]["availableReplicas"] for one in found}


async def test_rp01_runs_to_its_end_stage_by_stage_and_its_tests_at_once() -> None:
    async with running() as world:
        script(world)
        submit(world, MANIFEST)
        assert await world.until_final() == {NAME: "DONE"}
        assert ran_in_order(world, MANIFEST)
        ran = spans(world, NAME)
        assert set(ran) == {one["name"] for one in MANIFEST["spec"]["jobs"]}
        assert all(ran[one].overlaps(ran[other]) for one in TESTS for other in TESTS)
        assert replicas(world) == {"web-staging": 2, "web": 6}
        assert world.pipeline(NAME)["progress"] == "13/13"


async def test_rp01_with_one_slot_the_tests_run_by_priority_and_then_as_listed() -> None:
    async with running(max_running_jobs=1) as world:
        script(world)
        submit(world, MANIFEST)
        assert await world.until_final() == {NAME: "DONE"}
        assert [name for name in launches(world, NAME) if name in TESTS] == TESTS
        assert world.spy.running.most == 1


async def test_rp01_red_scans_and_a_red_firefox_do_not_stop_production() -> None:
    red = [fails(1, 5)] * 3
    async with running() as world:
        script(world, {"scan_image": red, "scan_deps": red, "e2e-firefox": red})
        submit(world, MANIFEST)
        assert await world.until_final() == {NAME: "DONE"}
        status = world.pipeline(NAME)
        assert (status["reason"], status["warnings"]) == ("SucceededWithWarnings", 3)
        assert len(outcomes(world, NAME, "e2e-firefox")) == 3
        assert "web" in replicas(world)


async def test_rp01_a_red_unit_stops_all_that_follows() -> None:
    async with running() as world:
        script(world, {"unit": [fails(1, 5)] * 2})
        submit(world, MANIFEST)
        assert await world.until_final() == {NAME: "ERROR"}
        status = world.pipeline(NAME)
        assert (status["reason"], status["failedJobs"]) == ("JobFailed", ["unit"])
        stopped = {"scan": 2, "deploy_staging": 1, "smoke": 1, "deploy_prod": 1}
        assert counts(world, NAME, "cancelled") == {"code_quality": 0, "build": 0, "test": 0} | stopped
        assert {one: world.states(NAME)[one] for one in TESTS if one != "unit"} == dict.fromkeys(
            set(TESTS) - {"unit"}, "DONE"
        )
        assert replicas(world) == {}


async def test_rp01_a_unit_that_fails_once_is_retried_and_a_contract_that_fails_three_times_stops() -> None:
    async with running() as world:
        script(world, {"unit": [fails(1, 5), succeeds(5)], "contract": [fails(2, 5)] * 3})
        submit(world, MANIFEST)
        assert await world.until_final() == {NAME: "ERROR"}
        assert outcomes(world, NAME, "unit") == [("Failed", "ExitCode", 1), ("Succeeded", None, 0)]
        assert outcomes(world, NAME, "contract") == [("Failed", "ExitCode", 2)] * 3
        assert world.pipeline(NAME)["failedJobs"] == ["contract"]


async def test_rp01_scripts_reach_the_container_unchanged() -> None:
    """Also `%{http_code}` and the two characters `\\n` for curl, `$3` and `%%` for awk."""
    async with running() as world:
        script(world)
        submit(world, MANIFEST)
        assert await world.until_final() == {NAME: "DONE"}
        for name, parts in {"smoke": ["%{http_code} ${p}\\n"], "coverage_report": ["$3", "%.1f%%\\n"]}.items():
            written = job(MANIFEST, name)["params"]["script"]
            assert all(part in written for part in parts)
            (found,) = (one for one in world.jobs(NAME) if one["spec"]["name"] == name)
            label = f"{LABEL_JOB_HASH}={found['metadata']['labels'][LABEL_JOB_HASH]}"
            (pod,) = world.cluster.admin.list(PODS, "default", label)
            assert expand(pod["spec"]["containers"][0]["command"][-1], {}) == written


async def test_rp01_the_same_file_again_deploys_nothing_again() -> None:
    async with running() as world:
        script(world)
        submit(world, MANIFEST)
        assert await world.until_final() == {NAME: "DONE"}
        await asyncio.sleep(30)  # the client's counts are written meanwhile
        world.cluster.journal.clear()
        before = world.cluster.admin.get(PIPELINES, NAME)
        world.cluster.admin.patch(PIPELINES, NAME, {"spec": MANIFEST["spec"]})
        await asyncio.sleep(600)
        assert world.cluster.admin.get(PIPELINES, NAME) == before
        assert not world.cluster.journal.writes


async def test_rp01_killed_while_staging_is_half_rolled_out_it_goes_on() -> None:
    async with running() as world:
        script(world)
        world.cluster.deployments.rollout = lambda deployment: Rollout(60)
        submit(world, MANIFEST)
        await world.cluster.admin.wait_for(lambda: "web-staging" in names(world), 600)
        await asyncio.sleep(20)
        await world.kill()
        await asyncio.sleep(10)
        await world.start()
        assert await world.until_final() == {NAME: "DONE"}
        assert world.job(NAME, "roll_staging")["attempt"] == 1
        assert {one["metadata"]["generation"] for one in world.cluster.admin.list(DEPLOYMENTS)} == {1}
        assert ran_in_order(world, MANIFEST)


def names(world: World) -> set[str]:
    return {one["metadata"]["name"] for one in world.cluster.admin.list(DEPLOYMENTS)}


async def test_rp01_production_outlives_its_pipeline() -> None:
    async with running() as world:
        script(world)
        submit(world, MANIFEST)
        assert await world.until_final() == {NAME: "DONE"}
        world.cluster.admin.delete(PIPELINES, NAME)
        await world.cluster.admin.wait_for(lambda: not world.jobs() and not world.pods(), 120)
        await asyncio.sleep(120)
        assert replicas(world) == {"web-staging": 2, "web": 6}


async def test_rp01_a_shorter_patience_with_unit_is_one_attempt() -> None:
    """The number of attempts is the manifest's: without a retry the first red is the last."""
    async with running() as world:
        script(world, {"unit": [fails(1, 5)]})
        submit(world, changed(MANIFEST, "unit", retry_attempt=0))
        assert await world.until_final() == {NAME: "ERROR"}
        assert outcomes(world, NAME, "unit") == [("Failed", "ExitCode", 1)]
