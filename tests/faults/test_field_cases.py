"""Field cases of the area restart/crash, each by its id. B075 needs no run: kopf's peering is switched off."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import kopf
import pytest

from task_pipeline.api.resources import PIPELINE_JOBS, PIPELINES, PODS
from task_pipeline.watch import shell as watcher
from tests.fakes import fates
from tests.faults.checkers import Limits, Rules, check
from tests.faults.memory.runs import play
from tests.faults.memory.scenarios import Scenario
from tests.faults.memory.script import Script, Write, WriteFault
from tests.faults.memory.site import Site
from tests.scenario.world import shell

pytestmark = [pytest.mark.looptime]


@asynccontextmanager
async def site(*faults: WriteFault, **settings: Any) -> AsyncIterator[Site]:
    """A site whose operator runs; at the end every promise has to have been kept."""
    made = Site(Script(faults), **settings)
    await made.start()
    try:
        yield made
        await asyncio.sleep(130)
        assert made.runtime is not None
        assert made.runtime.scheduler.drift() == 0
        made.close()
        assert check(made.history, Rules((Limits(0.0, settings.get("max_running_jobs", 100)),))) == []
    finally:
        if made.runtime is not None:
            await made.kill()
        made.close()


def test_b073_a_workload_that_is_pending_when_the_operator_is_killed_is_adopted() -> None:
    async def adopt(at: Site) -> None:
        at.cluster.kubelet.times.start = 10.0
        at.submit("p", shell("a", seconds=60))

    reference = play(Scenario("adopt", adopt))
    launch = next(place for place, call in enumerate(reference.script.writes) if call.resource == PODS)
    for place, kind in ((launch, Write.KILL_AFTER), (launch + 1, Write.KILL_BEFORE)):
        run = play(Scenario("adopt", adopt), WriteFault(place, kind), reference=reference.history)
        assert run.violations == []
        assert run.script.spent
        job = next(one for one in run.history.final() if one.resource == "pipelinejobs")
        assert job.object["status"]["attempt"] == 1


async def test_b074_restarts_leave_what_runs_alone() -> None:
    async with site() as at:
        at.submit("p", *(shell(f"j{number}", seconds=300) for number in range(20)))
        await at.when(lambda: list(at.states("p").values()).count("IN PROGRESS") == 20)
        await asyncio.sleep(10)
        before = {pod["metadata"]["uid"] for pod in at.pods()}
        told = len(at.history.versions)
        for _ in range(5):
            await at.stop()
            await asyncio.sleep(2)
            await at.start()
            await asyncio.sleep(10)
        assert {pod["metadata"]["uid"] for pod in at.pods()} == before
        assert {job["status"]["attempt"] for job in at.jobs("p")} == {1}
        assert len(at.history.versions) == told
        assert await at.until_final("p") == {"p": "DONE"}


async def test_b075_another_operators_peering_does_not_concern_this_one() -> None:
    settings = kopf.OperatorSettings()
    await watcher._configure(settings)
    assert settings.peering.standalone


JUNK: dict[str, Any] = {
    "null": None,
    "jobs as a map": {"stages": ["s"], "jobs": {"a": {"kind": "Shell"}}},
    "deep": {"stages": ["s"], "jobs": [{"name": "a", "stage": "s", "kind": "Shell", "version": "1.0.0", "params": 0}]},
    "names": {"stages": ["s"] * 2000, "jobs": [{"name": "n" * 400}] * 2000},
    "NUL": {"stages": ["s"], "jobs": [shell("a") | {"params": {"image": "busybox:1.36", "script": "\x00true"}}]},
}


def deep(levels: int) -> dict[str, Any]:
    """An object of so many levels."""
    whole: dict[str, Any] = {}
    for _ in range(levels):
        whole = {"x": whole}
    return whole


@pytest.mark.parametrize("name", JUNK)
async def test_b076_an_object_that_is_junk_harms_nobody_else(name: str, caplog: pytest.LogCaptureFixture) -> None:
    spec = JUNK[name]
    if name == "deep":
        spec["jobs"][0]["params"] = deep(200)
    async with site() as at:
        body = {"apiVersion": "taskpipeline.dev/v1alpha1", "kind": "Pipeline", "spec": spec}
        metadata = {"name": "junk", "namespace": "default", "uid": "junk", "generation": 1}
        metadata |= {"creationTimestamp": "2026-01-31T12:00:00Z"}
        at.cluster.store.put(PIPELINES, body | {"metadata": metadata})  # as it is with validation switched off
        at.submit("p", shell("a"), shell("b", "t"))
        with caplog.at_level(logging.WARNING):
            await at.when(lambda: at.pipeline("p").get("state") == "DONE", 20)
            await asyncio.sleep(60)
        about = [record for record in caplog.records if "junk" in record.getMessage()]
        assert len(about) <= 12
        assert at.pods()
        assert all(pod["metadata"]["labels"]["taskpipeline.dev/job-hash"] for pod in at.pods())
        at.cluster.admin.delete(PIPELINES, "junk")
        at.history.versions = [version for version in at.history.versions if version.uid != "junk"]


async def test_b077_the_last_state_of_a_burst_decides() -> None:
    async with site() as at:
        at.cluster.watching.lag = 0.5
        at.submit("burst", shell("a"))
        await asyncio.sleep(0.02)
        at.cluster.admin.patch(PIPELINES, "burst", {"metadata": {"labels": {"x": "y"}}}, "default")
        await asyncio.sleep(0.02)
        at.edit("burst", cancel="Now")
        await asyncio.sleep(0.02)
        at.cluster.admin.delete(PIPELINES, "burst")
        at.submit("second", shell("a", seconds=5))
        at.edit("second", cancel="Now")
        await asyncio.sleep(0.02)
        at.edit("second", cancel=None)
        at.submit("third", shell("a", seconds=600))
        await at.when(lambda: bool([pod for pod in at.pods() if pod["status"].get("phase") == "Running"]))
        for number in range(20):
            job = at.jobs("third")[0]["metadata"]["name"]
            at.cluster.admin.patch(PIPELINE_JOBS, job, {"metadata": {"labels": {"n": str(number)}}}, "default")
            await asyncio.sleep(0.005)
        at.cluster.watching.lag = 0.0
        at.edit("third", cancel="Now")
        ends = await at.until_final("second", "third")
        assert ends["third"] == "CANCELLED"
        assert ends["second"] in ("DONE", "CANCELLED")
        assert not [pod for pod in at.pods() if pod["status"].get("phase") == "Running"]


@pytest.mark.parametrize("late", range(20))
async def test_b078_a_deletion_while_something_periodic_works_on_the_pipeline_ends_it_once(late: int) -> None:
    """The timeout of the job is due at 31 s; the deletion comes around it."""
    async with site(max_running_jobs=1) as at:
        at.cluster.kubelet.fate = lambda _: fates.hangs(stop_seconds=1.0)
        at.submit("tick", shell("a", timeout=31))
        await asyncio.sleep(31.0 + (late - 10) * 0.01)
        at.cluster.admin.delete(PIPELINES, "tick")
        at.submit("next", shell("b"))
        at.cluster.kubelet.fate = lambda _: fates.succeeds()
        await at.when(lambda: at.pipeline("next").get("state") == "DONE", 120)
        assert [pod["metadata"]["name"] for pod in at.pods() if "tick" in pod["metadata"]["name"]] == []
        assert not [job for job in at.jobs() if job["spec"]["pipeline"] == "tick"]
        stops = [call for call in at.script.writes if call.verb == "delete" and call.resource == PODS]
        assert len(stops) <= 1
