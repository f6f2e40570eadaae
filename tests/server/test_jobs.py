"""The jobs of a Pipeline over REST, by the names that its author gave them."""

import json
from typing import Any

import pytest

from task_pipeline.api.group import LABEL_JOB_HASH, LABEL_PIPELINE_UID
from task_pipeline.api.resources import PIPELINE_JOBS
from task_pipeline.core.naming import job_hash, job_object_name
from tests.contract.worlds import JOB_SPEC, thing
from tests.server.site import Raw, Site, job

JOBS = "/namespaces/team-a/pipelines/release/jobs"


async def divide(site: Site, name: str, run: int = 1, stage: str = "s", **status: Any) -> str:
    """A PipelineJob as the operator makes it; its object name."""
    pipeline = await site.pipeline("release")
    identity = job_hash(pipeline["metadata"]["uid"], run, name)
    labels = {LABEL_PIPELINE_UID: pipeline["metadata"]["uid"], LABEL_JOB_HASH: identity}
    made = JOB_SPEC | {"name": name, "pipeline": "release", "run": run, "stage": stage, "clientId": "acme"}
    object_name = job_object_name("release", name, identity)
    await site.cluster.create(PIPELINE_JOBS, "team-a", thing(PIPELINE_JOBS, object_name, spec=made, labels=labels))
    for state in status.get("states", ()):
        await site.cluster.patch_status(PIPELINE_JOBS, "team-a", object_name, {"status": {"state": state}})
    return object_name


async def release(site: Site) -> None:
    await site.create("release", jobs=[job("Unit.1"), job("b"), job("late", "t")])


async def stored(site: Site, name: str) -> Raw:
    found: Raw = json.loads(await site.cluster.get(PIPELINE_JOBS, "team-a", name))
    return found


async def test_jobs_are_listed_and_narrowed(site: Site) -> None:
    await release(site)
    await divide(site, "Unit.1", states=["IN PROGRESS"])
    await divide(site, "b")
    await divide(site, "b", run=2)
    await divide(site, "late", run=2, stage="t")

    async def names(query: str) -> list[tuple[str, int]]:
        answer = await site.call("GET", f"{JOBS}{query}")
        return sorted((one["spec"]["name"], one["spec"]["run"]) for one in answer.body["items"])

    assert await names("") == [("Unit.1", 1), ("b", 1), ("b", 2), ("late", 2)]
    assert await names("?run=2") == [("b", 2), ("late", 2)]
    assert await names("?stage=t") == [("late", 2)]
    assert await names("?state=IN%20PROGRESS") == [("Unit.1", 1)]


async def test_a_job_is_found_by_its_name_in_the_current_run(site: Site) -> None:
    await release(site)
    await divide(site, "b", states=["IN PROGRESS", "ERROR"])
    answer = await site.call("GET", f"{JOBS}/b")
    assert (answer.status, answer.body["spec"]["run"], answer.body["status"]["state"]) == (200, 1, "ERROR")
    assert (await site.call("GET", f"{JOBS}/b", headers={"If-None-Match": answer.headers["ETag"]})).status == 304
    await site.status("release", run=2)
    assert (await site.call("GET", f"{JOBS}/b")).status == 404
    await divide(site, "b", run=2)
    assert (await site.call("GET", f"{JOBS}/b")).body["spec"]["run"] == 2
    assert (await site.call("GET", f"{JOBS}/b?run=1")).body["spec"]["run"] == 1


async def test_a_job_that_a_rerun_has_taken_over_is_found(site: Site) -> None:
    await release(site)
    await divide(site, "Unit.1", states=["IN PROGRESS", "DONE"])
    await site.status("release", run=3, kept={"since": 1, "jobs": [1, 0]})
    assert (await site.call("GET", f"{JOBS}/Unit.1")).body["spec"]["run"] == 1


async def test_a_job_that_is_not_there_is_told_apart_from_one_that_is_none(site: Site) -> None:
    await release(site)
    answer = await site.call("GET", f"{JOBS}/late")
    assert (answer.status, answer.reason) == (404, "NotStarted")
    assert "stage t" in answer.body["detail"]
    answer = await site.call("GET", f"{JOBS}/nix")
    assert (answer.status, answer.reason) == (404, "NotFound")


async def test_a_job_of_an_older_pipeline_of_the_same_name_is_not_meant(site: Site) -> None:
    await release(site)
    await divide(site, "b")
    await site.call("DELETE", "/namespaces/team-a/pipelines/release")
    await release(site)
    assert (await site.call("GET", f"{JOBS}/b")).status == 404
    assert (await site.call("GET", JOBS)).body["items"] == []


async def test_the_priority_of_a_job_can_be_changed_and_nothing_else(site: Site) -> None:
    await release(site)
    name = await divide(site, "b")
    answer = await site.call("PATCH", f"{JOBS}/b", body={"spec": {"priority": 2}})
    assert (answer.status, answer.body["spec"]["priority"]) == (200, 2)
    assert (await stored(site, name))["spec"]["priority"] == 2
    stale = {"If-Match": '"1"'}
    assert (await site.call("PATCH", f"{JOBS}/b", body={"spec": {"priority": 3}}, headers=stale)).status == 412
    for spec in ({}, {"stage": "t"}, {"priority": None}):
        assert (await site.call("PATCH", f"{JOBS}/b", body={"spec": spec})).status == 422
    assert (await stored(site, name))["spec"]["priority"] == 2


async def test_a_job_is_cancelled_once(site: Site) -> None:
    await release(site)
    name = await divide(site, "b")
    for _ in range(2):
        answer = await site.call("POST", f"{JOBS}/b:cancel", body={"mode": "Now"})
        assert (answer.status, answer.body["spec"]["cancel"]) == (200, "Now")
    assert len(site.cluster.journal.of("patch", PIPELINE_JOBS)) == 1
    assert (await stored(site, name))["spec"]["cancel"] == "Now"


@pytest.mark.parametrize("job_name", ["..", ".", "a%2Fb", "a%00b", "x" * 64, "%2e%2e%2f"])
async def test_a_name_that_no_job_can_have_is_no_path(site: Site, job_name: str) -> None:
    await release(site)
    site.cluster.journal.clear()
    assert (await site.call("GET", f"{JOBS}/{job_name}")).status in (404, 405)
    assert len(site.cluster.journal.of(resource=PIPELINE_JOBS)) == 0
