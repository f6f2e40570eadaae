"""Pipelines of many jobs, with their PipelineJobs as the operator makes them."""

import re

from task_pipeline.api.group import LABEL_JOB_HASH, LABEL_MANAGED_BY, LABEL_PIPELINE_UID, MANAGED_BY
from task_pipeline.api.resources import PIPELINE_JOBS
from task_pipeline.core.naming import job_hash, job_object_name
from tests.server.web.site import Browser
from tests.server.whole import Raw, Whole

NAME = "many"
PAGE = f"/ui/namespaces/team-a/pipelines/{NAME}"


def many(site: Whole, number: int, stages: int = 1) -> list[Raw]:
    """The Pipeline `many` of so many jobs in so many stages; its PipelineJobs, of all stages."""
    names = [f"s-{index}" for index in range(stages)]
    specs = [
        {"name": f"job-{index}", "stage": names[index * stages // number], "kind": "Worker", "version": "1.0.0",
         "params": {"queue": "q"}}
        for index in range(number)
    ]  # fmt: skip
    made = site.pipeline(NAME, spec={"stages": names, "jobs": specs})
    return [site.cluster.admin.create(PIPELINE_JOBS, body, "team-a") for body in bodies(made)]


def bodies(pipeline: Raw) -> list[Raw]:
    """The PipelineJobs of all jobs of a Pipeline's first run."""
    return [_body(pipeline, index, job) for index, job in enumerate(pipeline["spec"]["jobs"])]


def _body(pipeline: Raw, index: int, spec: Raw) -> Raw:
    metadata = pipeline["metadata"]
    identity = job_hash(metadata["uid"], 1, spec["name"])
    labels = {LABEL_PIPELINE_UID: metadata["uid"], LABEL_JOB_HASH: identity, LABEL_MANAGED_BY: MANAGED_BY}
    place = {"stageIndex": pipeline["spec"]["stages"].index(spec["stage"]), "index": index, "run": 1}
    named = {"name": job_object_name(metadata["name"], spec["name"], identity), "labels": labels}
    return {"metadata": named, "spec": {"pipeline": metadata["name"], "clientId": "acme", **place, **spec}}


async def stream_of(browser: Browser, path: str) -> str:
    """The path of the stream that a page opens."""
    found = re.search(r'data-stream="([^"]+)"', (await browser.get(path)).text)
    assert found is not None
    return found[1].replace("&amp;", "&")
