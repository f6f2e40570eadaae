"""The feed: everything that is learned about the cluster comes in here, and the right keys come out.

Watch events, lists and the answers to own writes take the same way: into the Store, to the scheduler's counts, and as
keys into the work queue. Nothing is decided here.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

from task_pipeline.api.group import ANNOTATION_ATTEMPT, LABEL_JOB_HASH
from task_pipeline.api.objects import WorkloadView
from task_pipeline.cache.convert import (
    PipelineClientView,
    PipelineView,
    client_record,
    job_record,
    pipeline_record,
)
from task_pipeline.cache.store import Store
from task_pipeline.controller.scheduler import Scheduler
from task_pipeline.controller.workqueue import Key, Of, Urgency, WorkQueue
from task_pipeline.core.clients import grounds
from task_pipeline.core.records import ClientRecord, JobRecord, PipelineJobView, PipelineRecord
from task_pipeline.core.remnants import has_ended, remains

log = logging.getLogger(__name__)

W = TypeVar("W", bound=WorkloadView)


class _Remnant(NamedTuple):
    """A PipelineJob that is gone, and its Pipeline."""

    job_uid: str
    pipeline_uid: str


class Feed:
    """Joins Store, scheduler and work queue. The nested sinks are what informers and kopf deliver to."""

    def __init__(self, store: Store, scheduler: Scheduler, work: WorkQueue, now: Callable[[], datetime]) -> None:
        self._store = store
        self._scheduler = scheduler
        self._work = work
        self._now = now
        self._lingering: dict[str, _Remnant] = {}  # by hash: PipelineJobs that are gone while their workload runs on
        self.stage_over: Callable[[str], None] = lambda pipeline_uid: None
        """Called when no job of a stage is unfinished any more, before the slot goes to another."""

    def pipeline(self, record: PipelineRecord) -> None:
        """A Pipeline exists and looks like this."""
        before = self._store.pipelines.get(record.uid)
        if not self._store.put_pipeline(record):
            return
        self._work.add(Key(Of.PIPELINE, record.uid))
        if before is None or before.generation != record.generation:
            self.wake_jobs(record.uid)

    def pipeline_gone(self, uid: str) -> None:
        """A Pipeline does not exist any more: its jobs have to look at themselves."""
        if self._store.drop_pipeline(uid) is None:
            return
        self._scheduler.pipeline_gone(uid)
        self._work.add(Key(Of.PIPELINE, uid))
        self.wake_jobs(uid)

    def job(self, record: JobRecord) -> None:
        """A PipelineJob exists and looks like this."""
        before = self._store.jobs.get(record.uid)
        if not self._store.put_job(record):
            return
        self._scheduler.job_changed(record, before)
        if record.final:
            self._forget_ended(record)
        self._work.add(Key(Of.JOB, record.uid))
        if before is None or before.status.state is not record.status.state or record.final:
            self._work.add(Key(Of.PIPELINE, record.pipeline_uid))
            self._tell_if_stage_over(record)
        elif before.status.reason != record.status.reason and record.waiting:
            self._work.add(Key(Of.PIPELINE, record.pipeline_uid), Urgency.LOW)

    def _forget_ended(self, job: JobRecord) -> None:
        """What has ended of a final job stays in the cluster to be read; nothing depends on it any more."""
        for view in self._store.workloads_of(job.hash):
            if has_ended(view) and not is_claimless(view, job):
                self._store.forget_workload(view.metadata.uid)

    def _tell_if_stage_over(self, record: JobRecord) -> None:
        stage = self._store.tally(record.pipeline_uid, record.spec.run).stage(record.spec.stage_index)
        if record.final and stage.unfinished == 0 and record.pipeline_uid in self._store.pipelines:
            self.stage_over(record.pipeline_uid)

    def job_gone(self, uid: str) -> None:
        """A PipelineJob does not exist any more."""
        record = self._store.drop_job(uid)
        if record is None:
            return
        self._lingering[record.hash] = _Remnant(uid, record.pipeline_uid)
        self._free_if_over(record.hash)
        self._work.add(Key(Of.JOB, uid))
        self._work.add(Key(Of.PIPELINE, record.pipeline_uid))

    def workload(self, view: WorkloadView) -> None:
        """A workload, or a pod below one, exists and looks like this."""
        job_hash = view.metadata.labels.get(LABEL_JOB_HASH, "")
        before = self._store.hash_of_workload(view.metadata.uid)
        if self._store.put_workload(job_hash, view):
            if before not in (None, job_hash):
                self._wake_owner(before)
                self._free_if_over(before)
            self._wake_owner(job_hash)
            self._wake_claimless(job_hash, view)
            owner = self._store.job_by_hash(job_hash)
            if owner is not None and owner.final:
                self._forget_ended(owner)
            self._free_if_over(job_hash)

    def workload_gone(self, uid: str) -> None:
        """A workload, or a pod below one, does not exist any more."""
        job_hash = self._store.drop_workload(uid)
        if job_hash is not None:
            self._wake_owner(job_hash)
            self._free_if_over(job_hash)

    def client(self, record: ClientRecord) -> None:
        """A PipelineClient exists and looks like this."""
        known = self._store.clients.get(record.name)
        if not self._store.put_client(record):
            return
        self._scheduler.touch(record.name)
        if known is None or known.uid != record.uid or known.generation != record.generation:
            self._scheduler.client_changed(record.name)
        if known is None or known.uid != record.uid or grounds(known) != grounds(record):
            self._wake_invalid(record.name)

    def client_gone(self, uid: str) -> None:
        """A PipelineClient does not exist any more."""
        for name in self._store.drop_client(uid):
            self._scheduler.client_changed(name)
            self._wake_invalid(name)

    def remnant(self, uid: str) -> None:
        """Look again at what a PipelineJob that does not exist any more has left behind."""
        for job_hash in [job_hash for job_hash, left in self._lingering.items() if left.job_uid == uid]:
            self._free_if_over(job_hash)

    def has_remnants(self, pipeline_uid: str) -> bool:
        """Whether something runs, or may, of PipelineJobs of the Pipeline that do not exist any more."""
        return any(left.pipeline_uid == pipeline_uid for left in self._lingering.values())

    def _free_if_over(self, job_hash: str) -> None:
        """A job that does not exist any more keeps its slot as long as a workload of it runs, or may."""
        left = self._lingering.get(job_hash)
        if left is None:
            return
        running, again = remains(self._store.workloads_of(job_hash), self._now())
        if not running:
            del self._lingering[job_hash]
            self._scheduler.job_gone(job_hash)
            self._work.add(Key(Of.PIPELINE, left.pipeline_uid))
        elif again is not None:
            self._work.add_after(Key(Of.JOB, left.job_uid), (again - self._now()).total_seconds())

    def wake_jobs(self, pipeline_uid: str) -> None:
        """The jobs of a Pipeline have to look at themselves."""
        for job in self._store.jobs_of(pipeline_uid):
            if not job.final or pipeline_uid not in self._store.pipelines:
                self._work.add(Key(Of.JOB, job.uid))

    def _wake_owner(self, job_hash: str) -> None:
        job = self._store.job_by_hash(job_hash)
        if job is not None and not job.final:
            self._work.add(Key(Of.JOB, job.uid))

    def _wake_claimless(self, job_hash: str, view: WorkloadView) -> None:
        """A final job looks again when a workload shows up that its status does not know."""
        job = self._store.job_by_hash(job_hash)
        if job is not None and job.final and is_claimless(view, job):
            self._work.add(Key(Of.JOB, job.uid))

    def _wake_invalid(self, client: str) -> None:
        """Pipelines that never started are judged again when their client has changed."""
        for record in self._store.pipelines.values():
            waits = record.status.start_time is None
            if waits and record.spec is not None and record.spec.client_id == client:
                self._work.add(Key(Of.PIPELINE, record.uid))


def is_claimless(view: WorkloadView, job: JobRecord) -> bool:
    """Whether `view` is the workload of an attempt after the last that the job's status knows."""
    following = str((job.status.attempt or 0) + 1)
    meta = view.metadata
    return meta.controller_uid == job.uid and meta.annotations.get(ANNOTATION_ATTEMPT) == following


class PipelineSink:
    """Where Pipelines are delivered."""

    def __init__(self, feed: Feed, store: Store) -> None:
        self._feed, self._store = feed, store

    def put(self, view: PipelineView) -> None:
        self._feed.pipeline(pipeline_record(view, self._store.pipelines.get(view.metadata.uid)))

    def gone(self, uid: str) -> None:
        self._feed.pipeline_gone(uid)


class ClientSink:
    """Where PipelineClients of the operator's own namespace are delivered; others do not count."""

    def __init__(self, feed: Feed, namespace: str) -> None:
        self._feed, self._namespace = feed, namespace

    def put(self, view: PipelineClientView) -> None:
        if view.metadata.namespace == self._namespace:
            self._feed.client(client_record(view))

    def gone(self, uid: str) -> None:
        self._feed.client_gone(uid)


class JobSink:
    """Where PipelineJobs are delivered."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def put(self, view: PipelineJobView) -> None:
        self._feed.job(job_record(view))

    def gone(self, uid: str) -> None:
        self._feed.job_gone(uid)


class WorkloadSink(Generic[W]):
    """Where Pods, Kubernetes Jobs and Deployments that carry a job's hash are delivered."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def put(self, view: W) -> None:
        self._feed.workload(view)

    def gone(self, uid: str) -> None:
        self._feed.workload_gone(uid)
