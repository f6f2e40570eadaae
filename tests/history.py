"""A past: finished Pipelines with their PipelineJobs, copied from one that the operator has really run.

Their pods are gone, as they are after some time in every cluster.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

import orjson

from task_pipeline.api.group import LABEL_JOB_HASH, LABEL_PIPELINE_UID
from task_pipeline.api.resources import PIPELINE_JOBS, PIPELINES, Resource
from task_pipeline.core.naming import job_hash, job_object_name
from task_pipeline.kube.cluster import Cluster

AT_ONCE = 16
Body = dict[str, Any]


@dataclass(frozen=True)
class Model:
    """The finished Pipeline that the others are copied from, and its PipelineJobs."""

    pipeline: Body
    jobs: tuple[Body, ...]


async def model(cluster: Cluster, namespace: str, name: str) -> Model:
    """The Pipeline of that name, which has to be the only one in the namespace."""
    pipeline = orjson.loads(await cluster.get(PIPELINES, namespace, name))
    jobs = orjson.loads(await cluster.list(PIPELINE_JOBS, namespace))["items"]
    return Model(pipeline, tuple(jobs))


async def write(cluster: Cluster, of: Model, names: list[str]) -> None:
    """Create a finished Pipeline of each name, with its PipelineJobs."""
    window = asyncio.Semaphore(AT_ONCE)

    async def one(name: str) -> None:
        async with window:
            await _pipeline(cluster, of, name)

    await asyncio.gather(*(one(name) for name in names))


async def _pipeline(cluster: Cluster, of: Model, name: str) -> None:
    meta = {"name": name, "namespace": of.pipeline["metadata"]["namespace"]}
    uid = await _finished(cluster, PIPELINES, of.pipeline, meta)
    for job in of.jobs:
        identity = job_hash(uid, 1, job["spec"]["name"])
        own = job["metadata"]["labels"] | {LABEL_PIPELINE_UID: uid, LABEL_JOB_HASH: identity}
        owners = [owner | {"name": name, "uid": uid} for owner in job["metadata"]["ownerReferences"]]
        job_meta = meta | {"name": job_object_name(name, job["spec"]["name"], identity)}
        spec = job["spec"] | {"pipeline": name}
        await _finished(
            cluster, PIPELINE_JOBS, job | {"spec": spec}, job_meta | {"labels": own, "ownerReferences": owners}
        )


async def _finished(cluster: Cluster, resource: Resource, like: Body, meta: Body) -> str:
    """Create an object and lead its status to the end through IN PROGRESS, as the schema demands; returns its UID."""
    body = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": meta, "spec": like["spec"]}
    created = await cluster.create(resource, meta["namespace"], body)
    started = like["status"] | {"state": "IN PROGRESS"}
    started = {name: value for name, value in started.items() if name not in ("completionTime", "conditions")}
    for status in (started, like["status"]):
        await cluster.patch_status(resource, meta["namespace"], meta["name"], {"status": status})
    return created.uid
