"""What is seen of the workload of a job's current attempt, and how it is stopped.

Rule: what the watches have told is believed; that something is gone is believed only after a live look, and then it is
told by how it was last seen, for a pod that is taken away says why in its last moment. A Kubernetes Job is judged with
its pods: it is being deleted until the last of them has ended, and when somebody has removed only the Job, its pods are
what is left to stop. What workers do is judged by the status alone. The pods of a Deployment are not watched, for
their template is the user's: they are asked for once, when a rollout is slow or has failed.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from task_pipeline.api.group import LABEL_JOB_HASH
from task_pipeline.api.objects import DeploymentView, KubernetesJobView, PodView, WorkloadView
from task_pipeline.api.reasons import Reason
from task_pipeline.api.resources import PODS
from task_pipeline.api.states import State
from task_pipeline.backends.kube import BY_KIND, KubeBackend, outlives_its_job
from task_pipeline.cache.store import Store
from task_pipeline.controller.feed import Feed
from task_pipeline.controller.launcher import parsed_kind
from task_pipeline.controller.workqueue import Key, Of, WorkQueue
from task_pipeline.core import remote
from task_pipeline.core.deadlines import after
from task_pipeline.core.job_decision import LOST, WorkloadFacts
from task_pipeline.core.records import JobRecord, JobStatus, WorkloadRef
from task_pipeline.core.workload import Observation, Phase, is_remote_kind
from task_pipeline.kinds import registry
from task_pipeline.kube.errors import KubeError

log = logging.getLogger(__name__)

UNWATCHED_SECONDS = 5.0  # between two look-ups of a workload that lost the label by which it is watched
_CONTROLLER_UID = "batch.kubernetes.io/controller-uid"  # label of a Job's pods, which outlasts their owner reference
_SECONDS = len("2026-01-31T23:59:59")
_LEFT = Observation(Phase.STARTING, Reason.LOST, LOST, charged=False, permanent=True)


class _Below(NamedTuple):
    """The pods of a Deployment, asked for in this attempt when it was about to be told in this state."""

    attempt: int | None
    planned: State
    pods: Sequence[PodView]


class Workloads:
    """The workloads of PipelineJobs. Errors of `kube.errors` pass through."""

    def __init__(
        self, store: Store, feed: Feed, backend: KubeBackend, work: WorkQueue, now: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._feed = feed
        self._backend = backend
        self._work = work
        self._now = now
        self._gone: dict[str, str] = {}  # UID of a job -> UID of its workload that a live look-up did not find
        self._live: dict[str, WorkloadView] = {}  # UID of a job -> its workload, found live, that no watch tells of
        self._below: dict[str, _Below] = {}  # by UID of the job

    def forget(self, uid: str) -> None:
        """The job with this UID is over or gone."""
        self._gone.pop(uid, None)
        self._live.pop(uid, None)
        self._below.pop(uid, None)

    def facts(self, job: JobRecord) -> WorkloadFacts:
        """What a decision about the job may know of its workload."""
        reference = job.status.workload
        if remote.is_remote(job.status):
            lost_at = remote.lost_at(job.status)
            seen = remote.judge(job, self._now())
            return WorkloadFacts(seen, stoppable=lost_at is not None, ends_by_itself=lost_at)
        if reference is None or not job.holds_slot:
            return WorkloadFacts(gone=reference is None)
        stoppable = not outlives_its_job(BY_KIND[reference.kind])
        found = self._live.pop(job.uid, None)
        view = self._store.workload_of_uid(reference.uid) or found
        if view is None or view.metadata.uid != reference.uid:
            gone = self._gone.get(job.uid) == reference.uid
            left = self._left(job, reference) if gone else []
            if left:
                return WorkloadFacts(_LEFT, deletion=_latest(pod.metadata.deletion_timestamp for pod in left))
            last = self._store.last_seen(reference.uid) if gone and BY_KIND[reference.kind] is PODS else None
            end = None if last is None else self._observe(job, last, ())
            return WorkloadFacts(end, gone=gone, stoppable=stoppable)
        pods = self._store.pods_below(job.hash, view.metadata.uid)
        return WorkloadFacts(self._observe(job, view, pods), deletion=_deletion(view, pods), stoppable=stoppable)

    async def confirm(self, job: JobRecord) -> None:
        """The recorded workload is not in the Store: ask once, live, whether it exists."""
        reference = job.status.workload
        assert reference is not None
        view = await self._backend.find(BY_KIND[reference.kind], job.namespace, reference.name, reference.uid)
        if view is None:
            self._gone[job.uid] = reference.uid
        elif self._store.workload_of_uid(reference.uid) is None:
            self._feed.workload(view)
            if self._store.workload_of_uid(reference.uid) is None:
                self._live[job.uid] = view
                self._work.add_after(Key(Of.JOB, job.uid), UNWATCHED_SECONDS)
        self._work.add(Key(Of.JOB, job.uid))

    async def stop(self, job: JobRecord) -> None:
        """Delete the workload, or what is left of it, with its grace period."""
        reference = job.status.workload
        if reference is None:
            return
        resource = BY_KIND[reference.kind]
        if await self._backend.stop(resource, job.namespace, reference.name, reference.uid):
            return
        self._feed.workload_gone(reference.uid)
        for pod in self._left(job, reference):
            meta = pod.metadata
            if meta.deletion_timestamp is None and not await self._backend.stop(
                PODS, job.namespace, meta.name, meta.uid
            ):
                self._feed.workload_gone(meta.uid)

    async def tidy(self, job: JobRecord) -> None:
        """A pod whose main container has ended but which an injected container keeps alive is removed."""
        reference = job.status.workload
        self.forget(job.uid)
        if reference is None:
            return
        view = self._store.workload(job.hash, reference.uid)
        if isinstance(view, PodView) and view.metadata.deletion_timestamp is None and _still_runs(view):
            await self.stop(job)

    async def look_closer(self, job: JobRecord, planned: JobStatus) -> bool:
        """Ask for the pods of a Deployment before its rollout is told as slow or failed; True if that was done now.

        They make the message better, so a failure to get them is no reason to hold it back. That another job has
        applied the Deployment is told only when it is so now: a watch may show it as it was before this job.
        """
        reference = job.status.workload
        if reference is not None and planned.reason == Reason.CONFLICT and planned.state is State.ERROR:
            view = await self._backend.find(BY_KIND[reference.kind], job.namespace, reference.name, reference.uid)
            if view is not None:
                self._feed.workload(view)
            return True
        if reference is None or not outlives_its_job(BY_KIND[reference.kind]) or not _is_trouble(job.status, planned):
            return False
        known = self._below.get(job.uid)
        if known is not None and (known.attempt, known.planned) == (job.status.attempt, planned.state):
            return False
        pods: Sequence[PodView] = ()
        try:
            pods = await self._backend.pods_of(job.namespace, reference.name)
        except KubeError as error:
            log.info("pods of Deployment %s/%s: %s", job.namespace, reference.name, error)
        self._below[job.uid] = _Below(job.status.attempt, planned.state, pods)
        return True

    def _observe(self, job: JobRecord, view: WorkloadView, pods: Sequence[PodView]) -> Observation:
        if isinstance(view, DeploymentView):
            replaced = self._replaced(job, view)
            if replaced is not None:
                return replaced
            asked = self._below.get(job.uid)
            pods = asked.pods if asked is not None and asked.attempt == job.status.attempt else ()
        found = registry.find(job.spec.kind, job.spec.version)
        if isinstance(found, str) or is_remote_kind(found[0]):
            return Observation(Phase.RUNNING, message=found if isinstance(found, str) else "")
        seen = found[0].observe(view, pods)
        if isinstance(view, DeploymentView):
            return self._of_this_rollout(job, view, seen)
        return _with_hint(job, seen) if seen.phase is Phase.FAILED and seen.exit_code else seen

    def _replaced(self, job: JobRecord, view: DeploymentView) -> Observation | None:
        """The end of a job whose Deployment another job has applied since: what rolls out now is the other's."""
        holder = view.metadata.labels.get(LABEL_JOB_HASH, job.hash)
        if holder == job.hash:
            return None
        other = self._store.job_by_hash(holder)
        who = "another PipelineJob" if other is None else f"job {other.spec.name} of Pipeline {other.spec.pipeline}"
        message = f"{who} has applied Deployment {view.metadata.name} meanwhile, so what rolls out is not this job's"
        return Observation(Phase.FAILED, Reason.CONFLICT, message, permanent=True)

    def _of_this_rollout(self, job: JobRecord, view: DeploymentView, seen: Observation) -> Observation:
        """`seen`, unless it is the failure of an earlier rollout, which Kubernetes keeps until there is progress.

        Without any progress it stands for this one too, once this one's own time is over.
        """
        began = job.status.start_time
        if seen.reason is not Reason.PROGRESS_DEADLINE_EXCEEDED or began is None:
            return seen
        over = after(began, view.spec.progress_deadline_seconds)
        if _is_after(seen.completion_time, began) or over is None or over <= self._now():
            return seen
        self._work.add_after(Key(Of.JOB, job.uid), (over - self._now()).total_seconds())
        return Observation(Phase.RUNNING, message=f"no progress yet; before this rollout: {seen.message}")

    def _left(self, job: JobRecord, reference: WorkloadRef) -> list[PodView]:
        """Pods that live on although the Job they belong to is gone."""
        pods = (view for view in self._store.workloads_of(job.hash) if isinstance(view, PodView))
        return [pod for pod in pods if _is_alive(pod) and reference.uid in _owners(pod)]


def _owners(pod: PodView) -> tuple[str | None, str | None]:
    return pod.metadata.controller_uid, pod.metadata.labels.get(_CONTROLLER_UID)


def _is_alive(pod: PodView) -> bool:
    return pod.status.phase not in ("Succeeded", "Failed")


def _deletion(view: WorkloadView, pods: Sequence[PodView]) -> str | None:
    """When the last of the workload must have ended because it is being deleted; None while it is not.

    A Job that has failed waits for its last pods, so if those are being deleted, so is it.
    """
    own = view.metadata.deletion_timestamp
    if not isinstance(view, KubernetesJobView):
        return own
    alive = [pod for pod in pods if _is_alive(pod)]
    failing = any(one.type == "FailureTarget" and one.status == "True" for one in view.status.conditions)
    if own is None and (not failing or not alive or any(pod.metadata.deletion_timestamp is None for pod in alive)):
        return None
    return _latest([own, *(pod.metadata.deletion_timestamp for pod in pods)])


def _is_after(moment: str | None, start: str) -> bool:
    """Whether `moment`, in whole seconds, is after `start`; both are UTC. What is not known is."""
    return moment is None or moment[:_SECONDS] > start[:_SECONDS]


def _latest(moments: Iterable[str | None]) -> str | None:
    """The last of the moments that are given; all are of one form, the API server's."""
    return max((moment for moment in moments if moment is not None), default=None)


def _still_runs(pod: PodView) -> bool:
    """Whether a container runs. The phase does not tell: it stays Running until the kubelet has tidied up as well."""
    return any(container.state.running is not None for container in pod.status.container_statuses)


def _is_trouble(status: JobStatus, planned: JobStatus) -> bool:
    """Whether the planned status tells of a rollout that has failed, or for the first time that it is slow."""
    if planned.state is State.IN_PROGRESS:
        return planned.reason == Reason.RUNNING and planned.message is not None and status.message is None
    return planned.reason in (Reason.RETRY_BACKOFF, Reason.PROGRESS_DEADLINE_EXCEEDED, Reason.TIMEOUT)


def _with_hint(job: JobRecord, end: Observation) -> Observation:
    """`end` with what its kind knows of such ends from the params."""
    parsed = parsed_kind(job)
    hint = None if isinstance(parsed, str) else getattr(parsed[0], "hint", None)
    text = "" if hint is None or isinstance(parsed, str) else str(hint(parsed[1], end))
    return replace(end, message=f"{end.message}; {text}") if text else end
