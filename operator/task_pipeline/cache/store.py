"""The Store: one record per object, the indexes that decisions need, and counts that are never recounted.

Rule: the newest resourceVersion wins, whoever brings it (a watch event, a list, the answer to an own write). What has
been deleted stays deleted, however late an older answer arrives. The Store decides nothing and notifies nobody.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable

from msgspec.structs import replace

from task_pipeline.api.objects import KubernetesJobView, PodView, WorkloadView
from task_pipeline.cache.slim import slim_job, slim_pipeline
from task_pipeline.core.records import ClientRecord, JobRecord, PipelineRecord
from task_pipeline.core.rerun import kept_names
from task_pipeline.core.rollup import Tally

REMEMBERED_DELETIONS = 10_000
REMEMBERED_PODS = 10  # of each attempt


class Store:
    """Pipelines, jobs and clients by UID or name, workloads by the hash of the job that they belong to."""

    def __init__(self) -> None:
        self.pipelines: dict[str, PipelineRecord] = {}
        self.jobs: dict[str, JobRecord] = {}
        self.clients: dict[str, ClientRecord] = {}
        self.unreadable_jobs: set[str] = set()
        """UIDs of jobs of which there is a later version than their record, one that cannot be read."""
        self.keep_ends = False
        """Whether the times at which jobs ended are remembered."""
        self._job_by_hash: dict[str, str] = {}
        self._jobs_of: dict[str, set[str]] = {}
        self._tallies: dict[str, dict[int, Tally]] = {}  # by Pipeline and run
        self._workloads: dict[str, dict[str, WorkloadView]] = {}
        self._hash_of_workload: dict[str, str] = {}
        self._ended: dict[str, deque[PodView]] = {}  # by UID of the attempt's workload: pods that are gone
        self._deleted: OrderedDict[str, None] = OrderedDict()

    def put_pipeline(self, record: PipelineRecord) -> bool:
        """Take the record over unless it is old news; returns whether it was new."""
        known = self.pipelines.get(record.uid)
        if record.uid in self._deleted or (known is not None and record.rv <= known.rv):
            return False
        self.pipelines[record.uid] = slim_pipeline(record)
        return True

    def drop_pipeline(self, uid: str) -> PipelineRecord | None:
        """Forget a Pipeline that does not exist any more; its jobs stay until they are gone themselves."""
        self._bury(uid)
        record = self.pipelines.pop(uid, None)
        if record is not None and not self._jobs_of.get(uid):
            self._tallies.pop(uid, None)
        return record

    def put_job(self, record: JobRecord) -> bool:
        """Take the record over unless it is old news; returns whether it was new."""
        known = self.jobs.get(record.uid)
        if record.uid in self._deleted or (known is not None and record.rv <= known.rv):
            return False
        if known is not None:
            self._count(known, -1)
            if record.final or known.status.workload != record.status.workload:
                self._forget_ended(known)
        else:
            self._jobs_of.setdefault(record.pipeline_uid, set()).add(record.uid)
            self._job_by_hash[record.hash] = record.uid
        self._count(record, 1)
        self.unreadable_jobs.discard(record.uid)
        self.jobs[record.uid] = slim_job(record, ends=self.keep_ends)
        return True

    def drop_job(self, uid: str) -> JobRecord | None:
        """Forget a PipelineJob that does not exist any more."""
        self._bury(uid)
        record = self.jobs.pop(uid, None)
        if record is None:
            return None
        self._count(record, -1)
        self.unreadable_jobs.discard(uid)
        self._forget_ended(record)
        if self._job_by_hash.get(record.hash) == uid:
            del self._job_by_hash[record.hash]
        siblings = self._jobs_of.get(record.pipeline_uid, set())
        siblings.discard(uid)
        if not siblings:
            self._jobs_of.pop(record.pipeline_uid, None)
            if record.pipeline_uid not in self.pipelines:
                self._tallies.pop(record.pipeline_uid, None)
        return record

    def jobs_of(self, pipeline_uid: str) -> list[JobRecord]:
        """The jobs of a Pipeline, of all its runs, in no order."""
        return [self.jobs[uid] for uid in self._jobs_of.get(pipeline_uid, ())]

    def kept(self, pipeline: PipelineRecord) -> frozenset[str]:
        """Names of the jobs that the Pipeline's current run took over from earlier ones."""
        return frozenset() if pipeline.status.kept is None else kept_names(pipeline, self.jobs_of(pipeline.uid))

    def has_jobs(self, pipeline_uid: str) -> bool:
        """Whether the Pipeline has any job, of whichever run."""
        return pipeline_uid in self._jobs_of

    def job_by_hash(self, job_hash: str) -> JobRecord | None:
        """The job with this job-hash label."""
        uid = self._job_by_hash.get(job_hash)
        return self.jobs.get(uid) if uid is not None else None

    def tally(self, pipeline_uid: str, run: int) -> Tally:
        """The live counts of the jobs of one run; do not change them."""
        return self._tallies.get(pipeline_uid, {}).get(run) or Tally()

    def tally_of(self, pipeline: PipelineRecord) -> Tally:
        """The counts of a Pipeline's current run, with the jobs that it took over from earlier ones."""
        tally, kept = self.tally(pipeline.uid, pipeline.run), pipeline.status.kept
        if kept is None:
            return tally
        return tally.with_kept((self.tally(pipeline.uid, run) for run in range(kept.since, pipeline.run)), kept)

    def put_client(self, record: ClientRecord) -> bool:
        """Take the record over unless it is old news; returns whether it was new."""
        known = self.clients.get(record.name)
        if known is not None and known.uid == record.uid and known.rv >= record.rv:
            return False
        self.clients[record.name] = record
        return True

    def drop_client(self, uid: str) -> list[str]:
        """Forget a PipelineClient that does not exist any more; returns its name, if it was known."""
        names = [name for name, record in self.clients.items() if record.uid == uid]
        for name in names:
            del self.clients[name]
        return names

    def put_workload(self, job_hash: str, view: WorkloadView) -> bool:
        """Take a workload (or a pod below one) over unless it is old news; returns whether it was new."""
        uid = view.metadata.uid
        known = self.workload_of_uid(uid)
        version = int(view.metadata.resource_version)
        if uid in self._deleted or (known is not None and version <= int(known.metadata.resource_version)):
            return False
        if known is not None and self._hash_of_workload[uid] != job_hash:
            self._take_out(uid)
        self._workloads.setdefault(job_hash, {})[uid] = view
        self._hash_of_workload[uid] = job_hash
        return True

    def drop_workload(self, uid: str) -> str | None:
        """Forget a workload that does not exist any more; returns the hash of its job.

        What the pods of a job's current attempt looked like is remembered until its end is written: it says why.
        """
        self._bury(uid)
        view, job_hash = self.workload_of_uid(uid), self._hash_of_workload.get(uid)
        if view is None or job_hash is None:
            return None
        self._take_out(uid)
        if isinstance(view, PodView):
            self._remember(view, job_hash)
        return job_hash

    def forget_workload(self, uid: str) -> None:
        """Remember nothing of a workload that exists; whatever is told of it next is news."""
        if uid in self._hash_of_workload:
            self._take_out(uid)

    def last_seen(self, uid: str) -> PodView | None:
        """A pod that is gone, and was the workload of a job's current attempt: as it was last seen, and ended."""
        found = self._ended.get(uid)
        return found[-1] if found else None

    def hash_of_workload(self, uid: str) -> str | None:
        """The hash of the job that a workload belongs to: of a Deployment, the one that applied it last."""
        return self._hash_of_workload.get(uid)

    def workload_of_uid(self, uid: str) -> WorkloadView | None:
        """A workload, whichever job it belongs to by now."""
        return self._workloads.get(self._hash_of_workload.get(uid, ""), {}).get(uid)

    def workload(self, job_hash: str, uid: str) -> WorkloadView | None:
        """One workload of a job."""
        return self._workloads.get(job_hash, {}).get(uid)

    def pods_below(self, job_hash: str, owner_uid: str) -> list[PodView]:
        """The pods that a workload of the job controls; those that are gone as they were last seen, and ended."""
        group = self._workloads.get(job_hash, {})
        return [
            view for view in group.values() if isinstance(view, PodView) and view.metadata.controller_uid == owner_uid
        ] + list(self._ended.get(owner_uid, ()))

    def known_jobs(self, namespace: str | None) -> list[str]:
        """UIDs of the PipelineJobs of a namespace (None: of all)."""
        return [uid for uid, job in self.jobs.items() if namespace in (None, job.namespace)]

    def known_workloads(self, view: type[WorkloadView], namespace: str | None) -> list[str]:
        """UIDs of the workloads of one type in a namespace (None: in all)."""
        return [
            uid
            for group in self._workloads.values()
            for uid, thing in group.items()
            if isinstance(thing, view) and namespace in (None, thing.metadata.namespace)
        ]

    def workloads_of(self, job_hash: str) -> Iterable[WorkloadView]:
        """Everything that carries the job's hash."""
        return list(self._workloads.get(job_hash, {}).values())

    def left_behind(self) -> list[str]:
        """The hashes of jobs that are not known, and of which there are workloads."""
        return [job_hash for job_hash in self._workloads if job_hash not in self._job_by_hash]

    def _take_out(self, uid: str) -> None:
        job_hash = self._hash_of_workload.pop(uid)
        group = self._workloads[job_hash]
        del group[uid]
        if not group:
            del self._workloads[job_hash]

    def _remember(self, pod: PodView, job_hash: str) -> None:
        job = self.job_by_hash(job_hash)
        current = job.status.workload if job is not None and not job.final else None
        if current is None or current.uid not in (pod.metadata.uid, pod.metadata.controller_uid):
            return
        owner = self.workload_of_uid(current.uid)
        if isinstance(owner, KubernetesJobView) and owner.spec.suspend:
            return  # its pods are taken away, and count for nothing
        self._ended.setdefault(current.uid, deque(maxlen=REMEMBERED_PODS)).append(_as_ended(pod))

    def _forget_ended(self, job: JobRecord) -> None:
        if job.status.workload is not None:
            self._ended.pop(job.status.workload.uid, None)

    def _count(self, job: JobRecord, step: int) -> None:
        self._tallies.setdefault(job.pipeline_uid, {}).setdefault(job.spec.run, Tally()).count(job, step)

    def _bury(self, uid: str) -> None:
        self._deleted[uid] = None
        if len(self._deleted) > REMEMBERED_DELETIONS:
            self._deleted.popitem(last=False)


def _as_ended(pod: PodView) -> PodView:
    """A pod that is gone, as it was last seen: one that had not ended was deleted."""
    if pod.status.phase in ("Succeeded", "Failed"):
        return pod
    meta = replace(pod.metadata, deletion_timestamp=pod.metadata.deletion_timestamp or "")
    return replace(pod, metadata=meta, status=replace(pod.status, phase="Failed"))
