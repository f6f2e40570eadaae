"""Carries decisions out: every write of the operator to its own objects goes through here.

A status is written as the difference to the record that was decided on, with that record's resourceVersion as the test:
whoever lost a race decides again on what is true now. The answer is fed back at once, for the next decision to see.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from task_pipeline.api.group import LABEL_JOB_HASH
from task_pipeline.api.resources import PIPELINE_CLIENTS, PIPELINE_JOBS, PIPELINES
from task_pipeline.cache.convert import job_record
from task_pipeline.cache.store import Store
from task_pipeline.controller.feed import Feed
from task_pipeline.core.records import (
    ClientRecord,
    ClientStatus,
    JobRecord,
    JobStatus,
    PipelineJobSpecView,
    PipelineJobView,
    PipelineRecord,
    PipelineStatus,
    status_patch,
)
from task_pipeline.kube.cluster import Cluster
from task_pipeline.kube.errors import AlreadyExists, Forbidden, NotFound

WINDOW = 16  # PipelineJobs of one Pipeline that are created or deleted at once


T = TypeVar("T")
Tell = Callable[[JobRecord | PipelineRecord, JobRecord | PipelineRecord], None]


class ForeignJob(Exception):
    """A PipelineJob of another owner stands under a name that is derived from our UID."""


class Executor:
    """Writes PipelineJobs and statuses. Errors of `kube.errors` pass through; `Conflict` means: decide again.

    `tell` is given the record before and after each status that has been written.
    """

    def __init__(self, cluster: Cluster, store: Store, feed: Feed, tell: Tell) -> None:
        self._cluster = cluster
        self._store = store
        self._feed = feed
        self._tell = tell

    async def create_jobs(self, pipeline: PipelineRecord, drafts: list[dict[str, Any]]) -> None:
        """Create the PipelineJobs that do not exist yet, the first to run first; one that exists is adopted if this
        Pipeline owns it.
        """

        async def create(draft: dict[str, Any]) -> None:
            await self._create_job(pipeline, draft)

        await _at_once(create, sorted(drafts, key=lambda draft: (draft["spec"]["priority"], draft["spec"]["index"])))

    async def remove_jobs(self, jobs: list[JobRecord]) -> None:
        """Delete PipelineJobs of which nothing was launched; once deleted, they count for nothing any more."""

        async def remove(job: JobRecord) -> None:
            await self.delete_job(job)
            self._feed.job_gone(job.uid)

        await _at_once(remove, jobs)

    async def job_status(self, job: JobRecord, status: JobStatus) -> JobRecord | None:
        """Write the status of a PipelineJob; returns its new record, None when it is gone."""
        body = {"metadata": {"resourceVersion": str(job.rv)}, "status": status_patch(job.status, status)}
        try:
            meta = await self._cluster.patch_status(PIPELINE_JOBS, job.namespace, job.name, body)
        except NotFound:
            self._feed.job_gone(job.uid)
            return None
        record = replace(job, status=status, rv=int(meta.resource_version))
        self._feed.job(record)
        self._tell(job, record)
        return record

    async def pipeline_status(self, pipeline: PipelineRecord, status: PipelineStatus) -> None:
        """Write the status of a Pipeline."""
        body = {
            "metadata": {"resourceVersion": str(pipeline.rv)},
            "status": status_patch(pipeline.status, status),
        }
        try:
            meta = await self._cluster.patch_status(PIPELINES, pipeline.namespace, pipeline.name, body)
        except NotFound:
            self._feed.pipeline_gone(pipeline.uid)
            return
        record = replace(pipeline, status=status, rv=int(meta.resource_version))
        if not record.slim or record.final:  # otherwise the watch brings it, with the jobs that it needs now
            self._feed.pipeline(record)
        self._tell(pipeline, record)

    async def job_pipeline_priority(self, job: JobRecord, priority: int) -> None:
        """Bring the copy of its Pipeline's priority in a PipelineJob up to date."""
        body = {"metadata": {"resourceVersion": str(job.rv)}, "spec": {"pipelinePriority": priority}}
        try:
            raw = await self._cluster.patch(PIPELINE_JOBS, job.namespace, job.name, body)
        except NotFound:
            self._feed.job_gone(job.uid)
            return
        self._feed.job(job_record(msgspec.json.decode(raw, type=PipelineJobView)))

    async def client_status(self, namespace: str, client: ClientRecord, status: ClientStatus) -> None:
        """Write the status of a PipelineClient, which lives in `namespace`."""
        body = {"metadata": {"resourceVersion": str(client.rv)}, "status": status_patch(client.status, status)}
        try:
            meta = await self._cluster.patch_status(PIPELINE_CLIENTS, namespace, client.name, body)
        except NotFound:
            self._feed.client_gone(client.uid)
            return
        self._feed.client(replace(client, status=status, rv=int(meta.resource_version)))

    async def delete_job(self, job: JobRecord) -> None:
        """Delete a PipelineJob, and with it, by garbage collection, what it owns."""
        try:
            await self._cluster.delete(PIPELINE_JOBS, job.namespace, job.name, uid=job.uid)
        except NotFound:
            self._feed.job_gone(job.uid)

    async def delete_pipeline(self, pipeline: PipelineRecord) -> None:
        """Delete a Pipeline as it is in the record, and with it, by garbage collection, all it owns."""
        try:
            await self._cluster.delete(
                PIPELINES, pipeline.namespace, pipeline.name, uid=pipeline.uid, resource_version=str(pipeline.rv)
            )
        except NotFound:
            self._feed.pipeline_gone(pipeline.uid)

    async def _create_job(self, pipeline: PipelineRecord, draft: dict[str, Any]) -> None:
        if self._store.job_by_hash(draft["metadata"]["labels"][LABEL_JOB_HASH]) is not None:
            return
        name = draft["metadata"]["name"]
        try:
            meta = await self._cluster.create(PIPELINE_JOBS, pipeline.namespace, draft)
        except AlreadyExists:
            raw = await self._cluster.get(PIPELINE_JOBS, pipeline.namespace, name)
            found = job_record(msgspec.json.decode(raw, type=PipelineJobView))
            if found.pipeline_uid != pipeline.uid or not found.owned:
                raise ForeignJob(f"PipelineJob {name} exists and belongs to another owner") from None
            self._feed.job(found)
            return
        spec = msgspec.json.decode(msgspec.json.encode(draft["spec"]), type=PipelineJobSpecView)
        self._feed.job(job_record(PipelineJobView(metadata=meta, spec=spec)))


async def _at_once(step: Callable[[T], Awaitable[None]], items: Iterable[T]) -> None:
    """Take the step for every item, some at a time; the first error is raised when all have been tried.

    What the API server forbids for one it forbids for all, so no more are tried after that.
    """
    window = asyncio.Semaphore(WINDOW)
    forbidden = False

    async def one(item: T) -> None:
        nonlocal forbidden
        async with window:
            if forbidden:
                return
            try:
                await step(item)
            except Forbidden:
                forbidden = True
                raise

    results = await asyncio.gather(*(one(item) for item in items), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
