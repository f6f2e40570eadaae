"""The feed: everything that is learned about the cluster comes in here, and the right keys come out.

Watch events, lists and the answers to own writes take the same way: into the Store, to the scheduler's counts, and as
keys into the work queue. Nothing is decided here.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

from task_pipeline.api.group import ANNOTATION_ATTEMPT, LABEL_JOB_HASH
from task_pipeline.api.objects import PodView, WorkloadView
from task_pipeline.api.states import State
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

COUNT_SOON = 0.25  # seconds after which a Pipeline looks at changes of its jobs that only count: they come in bursts
PROGRESS_SOON = 0.5  # seconds after which a job looks at news of a pod that lives on


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
        if before is None and self._lingering.pop(record.hash, None) is not None:
            self._scheduler.job_gone(record.hash)  # it is a job of its own, whatever has had its name before
        self._scheduler.job_changed(record, before)
        if record.final:
            self._forget_ended(record)
        self._work.add(Key(Of.JOB, record.uid))
        if before is None or before.status.state is not record.status.state or record.final:
            self._wake_pipeline(record)
        elif before.status.reason != record.status.reason and record.waiting:
            self._work.add(Key(Of.PIPELINE, record.pipeline_uid), Urgency.LOW)

    def _forget_ended(self, job: JobRecord) -> None:
        """What has ended of a final job stays in the cluster to be read; nothing depends on it any more."""
        for view in self._store.workloads_of(job.hash):
            if has_ended(view) and not is_claimless(view, job):
                self._store.forget_workload(view.metadata.uid)

    def _wake_pipeline(self, job: JobRecord) -> None:
        """The Pipeline of a job that has changed its state: at once if more than a count may follow from it."""
        key, pipeline = Key(Of.PIPELINE, job.pipeline_uid), self._store.pipelines.get(job.pipeline_uid)
        stage_over = self._store.tally(job.pipeline_uid, job.spec.run).stage(job.spec.stage_index).unfinished == 0
        first_start = pipeline is not None and pipeline.status.state is State.READY
        if stage_over or first_start or job.status.state not in (State.IN_PROGRESS, State.DONE):
            self._work.add(key)
        else:
            self._work.add_after(key, COUNT_SOON)
        if stage_over and pipeline is not None:
            self.stage_over(job.pipeline_uid)

    def job_unreadable(self, uid: str, version: int) -> None:
        """This version of a PipelineJob cannot be read: until another can, nothing is done about the job. What is known
        of it is from before, and a launch that follows from that could be one that nobody wants any more.
        """
        job = self._store.jobs.get(uid)
        if job is not None and version > job.rv:
            self._store.unreadable_jobs.add(uid)
            self._scheduler.withdraw(job)

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
            self._news_of_workload(job_hash, view)
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

    def keep_remnants(self) -> None:
        """What runs of PipelineJobs that were gone before this process began keeps their slots, as it did before; to be
        called when everything has been delivered, and before the first slot is handed out.
        """
        for job_hash in self._store.left_behind():
            owned = [view for view in self._store.workloads_of(job_hash) if view.metadata.controller_uid is not None]
            if job_hash not in self._lingering and remains(owned, self._now())[0]:
                self._lingering[job_hash] = _Remnant(str(owned[0].metadata.controller_uid), "")
                self._scheduler.keep(job_hash)
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

    def _news_of_workload(self, job_hash: str, view: WorkloadView) -> None:
        """The job of a workload looks at it; a final one only when its status does not know of it."""
        job = self._store.job_by_hash(job_hash)
        if job is None:
            return
        key = Key(Of.JOB, job.uid)
        if job.final:
            if is_claimless(view, job) or is_stray(view, job):
                self._work.add(key)
            self._forget_ended(job)
        elif job.status.state is State.IN_PROGRESS and _lives_on(view):
            self._work.add_after(key, PROGRESS_SOON)
        else:
            self._work.add(key)

    def look_at_endings(self) -> None:
        """Jobs that may have ended while nobody looked come before all the others: their slots are free.

        To be called when everything has been delivered.
        """
        for job in self._store.jobs.values():
            if job.holds_slot:
                views = list(self._store.workloads_of(job.hash))
                if not views or any(map(_is_ending, views)):
                    self._work.add(Key(Of.JOB, job.uid), Urgency.ENDING)

    def _wake_invalid(self, client: str) -> None:
        """Pipelines that never started are judged again when their client has changed."""
        for record in self._store.pipelines.values():
            waits = record.status.start_time is None
            if waits and record.spec is not None and record.spec.client_id == client:
                self._work.add(Key(Of.PIPELINE, record.uid))


def _lives_on(view: WorkloadView) -> bool:
    """Whether it is a pod of which nothing has ended and nobody wants it to: nothing follows from it at once."""
    return (
        isinstance(view, PodView)
        and view.metadata.deletion_timestamp is None
        and view.status.phase in ("Pending", "Running")
        and all(container.state.terminated is None for container in view.status.container_statuses)
    )


def _is_ending(view: WorkloadView) -> bool:
    """Whether it is over, or a pod of which something is: its job may give its slot back."""
    return not _lives_on(view) if isinstance(view, PodView) else has_ended(view)


def is_claimless(view: WorkloadView, job: JobRecord) -> bool:
    """Whether `view` is the workload of an attempt after the last that the job's status knows."""
    following = str((job.status.attempt or 0) + 1)
    meta = view.metadata
    return meta.controller_uid == job.uid and meta.annotations.get(ANNOTATION_ATTEMPT) == following


def is_stray(view: WorkloadView, job: JobRecord) -> bool:
    """Whether `view` lives on for an attempt that is over, and has to be stopped.

    A leader whose time was over has sent it, and it came when the attempt's own workload had been removed: the status
    knows nothing of it. Or it is kept alive by a container that somebody has put beside the one that ended. What has
    only begun to end is none: a pod ends some time after its containers, a Kubernetes Job after its pod.
    """
    meta, status = view.metadata, job.status
    attempt = meta.annotations.get(ANNOTATION_ATTEMPT, "")
    if meta.controller_uid != job.uid or not attempt.isdigit() or int(attempt) > (status.attempt or 0):
        return False
    known = {one.uid for one in (status.workload, *(past.workload for past in status.attempts)) if one is not None}
    if meta.uid not in known:
        return _lives_on(view) if isinstance(view, PodView) else not has_ended(view)
    is_over = not job.holds_slot or status.workload is None or status.workload.uid != meta.uid
    return is_over and isinstance(view, PodView) and _is_kept_alive(view)


def _is_kept_alive(pod: PodView) -> bool:
    states = [container.state for container in pod.status.container_statuses]
    return any(state.terminated is not None for state in states) and any(state.running is not None for state in states)


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

    def unreadable(self, uid: str, version: int) -> None:
        """This version of the PipelineJob cannot be read."""
        self._feed.job_unreadable(uid, version)


class WorkloadSink(Generic[W]):
    """Where Pods, Kubernetes Jobs and Deployments that carry a job's hash are delivered."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def put(self, view: W) -> None:
        self._feed.workload(view)

    def gone(self, uid: str) -> None:
        self._feed.workload_gone(uid)
