"""The reconciler of PipelineJobs: gather facts, ask the core, carry the answer out, one step at a time."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from msgspec.structs import replace

from task_pipeline.api.reasons import Reason
from task_pipeline.api.states import State
from task_pipeline.backends.kube import BY_KIND, RESOURCE_OF, KubeBackend, outlives_its_job
from task_pipeline.cache.store import Store
from task_pipeline.controller.arrivals import Arrivals
from task_pipeline.controller.cleaner import Cleaner
from task_pipeline.controller.executor import Executor
from task_pipeline.controller.feed import Feed, is_claimless, is_stray
from task_pipeline.controller.launcher import Launcher, parsed_kind
from task_pipeline.controller.scheduler import Scheduler
from task_pipeline.controller.workloads import Workloads
from task_pipeline.controller.workqueue import Key, Of, WorkQueue
from task_pipeline.core import closing
from task_pipeline.core.attempts import begin_stop, pending_stop
from task_pipeline.core.job_decision import Action, JobDecision, JobFacts, decide_job
from task_pipeline.core.messages import STATUS_LENGTH, shortened
from task_pipeline.core.records import JobRecord, JobStatus, PipelineRecord, WorkloadRef
from task_pipeline.core.stages import judge
from task_pipeline.kube.errors import ApiError, Conflict, is_transient
from task_pipeline.observability.logs import about
from task_pipeline.settings import Settings

log = logging.getLogger(__name__)

ORPHAN_SECONDS = 30.0  # how long the garbage collector may take to remove the jobs of a deleted Pipeline
COPY_PAUSE = 5.0  # seconds before another try to write a copied priority, when the budget was used up


@dataclass(frozen=True, slots=True)
class Tools:
    """What the reconcilers work with."""

    store: Store
    scheduler: Scheduler
    work: WorkQueue
    feed: Feed
    executor: Executor
    launcher: Launcher
    backend: KubeBackend
    arrivals: Arrivals
    cleaner: Cleaner
    settings: Callable[[], Settings]
    now: Callable[[], datetime]


class JobReconciler:
    """`reconcile(uid)` takes the next step for one PipelineJob; errors of `kube.errors` pass through."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._workloads = Workloads(tools.store, tools.feed, tools.backend, tools.work, tools.now)
        self._orphaned_at: dict[str, float] = {}  # UID of a job -> loop time at which its Pipeline was missed

    async def reconcile(self, uid: str) -> None:
        """Look at the job once; the work queue brings it back when something changes or the time has come."""
        tools = self._tools
        job = tools.store.jobs.get(uid)
        if job is None:
            tools.work.forget(Key(Of.JOB, uid))
            self._orphaned_at.pop(uid, None)
            self._workloads.forget(uid)
            tools.launcher.forget(uid)
            tools.feed.remnant(uid)
            return
        if uid in tools.store.unreadable_jobs:
            return
        if job.final and job.pipeline_uid in tools.store.pipelines:
            tools.work.cancel_later(Key(Of.JOB, uid))
            await self._remove_strays(job)
            return
        now = tools.now()
        decision = decide_job(self._facts(job, now), now)
        if decision.status is not None and await self._workloads.look_closer(job, decision.status):
            now = tools.now()
            decision = decide_job(self._facts(job, now), now)
        self._tell_scheduler(job, decision)
        await self._act(job, decision)
        await self._remove_strays(job)
        if decision.eligible and decision.status is None:
            await self._copy_priority(job)
        if decision.wake is not None:
            tools.work.add_after(Key(Of.JOB, uid), (decision.wake - tools.now()).total_seconds())

    async def _copy_priority(self, job: JobRecord) -> None:
        """Show in a waiting job the priority that it is ranked by: its Pipeline's."""
        pipeline = self._tools.store.pipelines.get(job.pipeline_uid)
        wanted = job.spec.pipeline_priority if pipeline is None or pipeline.spec is None else pipeline.spec.priority
        if wanted == job.spec.pipeline_priority:
            return
        if self._tools.scheduler.teller.spend():
            await self._tools.executor.job_pipeline_priority(job, wanted)
        else:
            self._tools.work.add_after(Key(Of.JOB, job.uid), COPY_PAUSE)

    def rank(self, uid: str) -> None:
        """Put the job into the order if it may start, and do nothing else."""
        job = self._tools.store.jobs[uid]
        if uid in self._tools.store.unreadable_jobs:
            return
        now = self._tools.now()
        self._tell_scheduler(job, decide_job(self._facts(job, now), now))

    def _facts(self, job: JobRecord, now: datetime) -> JobFacts:
        tools, settings = self._tools, self._tools.settings()
        pipeline = tools.store.pipelines.get(job.pipeline_uid)
        return JobFacts(
            job=job,
            workload=self._workloads.facts(job),
            closing=None if pipeline is None else self._closing(job, pipeline, now),
            orphaned=pipeline is None and self._is_left_behind(job),
            alone=pipeline is None or tools.arrivals.is_undone(pipeline),
            suspended=pipeline is not None and pipeline.spec is not None and pipeline.spec.suspend,
            admitted=tools.scheduler.has_slot(job),
            wait=tools.scheduler.teller.granted(job.hash),
            timeouts=settings.timeouts,
            backoff=settings.backoff,
            pause=tools.launcher.pause_of(job),
            unclaimed=self._unclaimed(job) if job.waiting else None,
        )

    def _unclaimed(self, job: JobRecord) -> WorkloadRef | None:
        """The workload of the next attempt: left by a launch whose answer, or whose teller, was lost."""
        for view in self._tools.store.workloads_of(job.hash):
            if is_claimless(view, job):
                return WorkloadRef(kind=RESOURCE_OF[type(view)].kind, name=view.metadata.name, uid=view.metadata.uid)
        return None

    def _is_left_behind(self, job: JobRecord) -> bool:
        """Whether a job without its Pipeline is ours to remove: the garbage collector is given time to do it."""
        if not job.owned:
            return True
        clock, key = self._tools.work.clock, Key(Of.JOB, job.uid)
        waited = clock() - self._orphaned_at.setdefault(job.uid, clock())
        if waited < ORPHAN_SECONDS:
            self._tools.work.add_after(key, ORPHAN_SECONDS - waited)
        return waited >= ORPHAN_SECONDS

    def _closing(self, job: JobRecord, pipeline: PipelineRecord, now: datetime) -> closing.Closing | None:
        if pipeline.spec is None:
            return None
        tally = self._tools.store.tally_of(pipeline)
        barrier = judge(pipeline.spec.stage_totals, self._tools.arrivals.divided(pipeline), tally)
        return closing.of_job(job, pipeline, barrier, now)

    def _tell_scheduler(self, job: JobRecord, decision: JobDecision) -> None:
        if decision.eligible or decision.held:
            self._tools.scheduler.offer(job, held=decision.held)
        elif decision.action is Action.ADOPT:
            self._tools.scheduler.claim(job)
        elif decision.action is not Action.LAUNCH:
            self._tools.scheduler.withdraw(job)

    async def _act(self, job: JobRecord, decision: JobDecision) -> None:
        match decision.action:
            case Action.LAUNCH:
                await self._tools.launcher.launch(job)
                if self._tools.launcher.pause_of(job) is not None:
                    self._tools.work.add(Key(Of.JOB, job.uid))
                return
            case Action.REMOVE:
                await self._remove(job)
                return
            case Action.CONFIRM:
                await self._workloads.confirm(job)
                return
            case Action.STOP:
                await self._workloads.stop(job)
        if decision.status is not None:
            await self._write(job, decision.status)

    async def _write(self, job: JobRecord, status: JobStatus) -> None:
        deployment = _to_roll_back(job, status)
        if deployment is not None:
            status = await self._roll_back(job, status, deployment)
        written = await self._tools.executor.job_status(job, status)
        if written is not None and written.final:
            self._log_end(written)
            await self._workloads.tidy(written)

    def _log_end(self, job: JobRecord) -> None:
        level = logging.DEBUG if job.status.state is State.DONE else logging.INFO
        log.log(
            level, "job %s of %s/%s: %s %s",
            job.spec.name, job.namespace, job.spec.pipeline, job.status.state, job.status.reason, extra=about(job),
        )  # fmt: skip

    async def _remove(self, job: JobRecord) -> None:
        """The Pipeline is gone: stop what runs and delete the PipelineJob."""
        reference = job.status.workload
        if reference is not None and not job.final and not outlives_its_job(BY_KIND[reference.kind]):
            await self._workloads.stop(job)
        if not job.deleting:
            await self._tools.executor.delete_job(job)

    async def _remove_strays(self, job: JobRecord) -> None:
        """Stop what runs for the job and is not what its status tells of, such as what came of a launch whose answer
        was lost while the job was ended.
        """
        for view in self._tools.store.workloads_of(job.hash):
            meta = view.metadata
            wrong = is_stray(view, job) or (job.final and is_claimless(view, job))
            if wrong and meta.deletion_timestamp is None:
                await self._tools.backend.stop(RESOURCE_OF[type(view)], job.namespace, meta.name, meta.uid)

    async def _roll_back(self, job: JobRecord, status: JobStatus, reference: WorkloadRef) -> JobStatus:
        """Take a Deployment back, and tell it with its failure.

        The failure is remembered first: else, after a crash, the old revision's success would be taken for the job's.
        What is refused for good is told, and holds the end of the job back no longer.
        """
        if pending_stop(job.status) is None:
            ended = status.attempts[-1]
            return begin_stop(job.status, Reason(status.reason), ended.message or "")
        mark = f"{job.hash}-{job.status.attempt}"
        try:
            done = await self._tools.backend.roll_back(job.namespace, reference.name, reference.uid, mark)
        except ApiError as error:
            if is_transient(error) or isinstance(error, Conflict):
                raise
            done = f"the rollback was refused: {error.message}"
        return replace(status, message=shortened(f"{status.message or status.reason}; {done}", STATUS_LENGTH))


def _to_roll_back(job: JobRecord, status: JobStatus) -> WorkloadRef | None:
    """The Deployment that is to go back before the failure `status` is told; not one that another job has applied."""
    reference = job.status.workload
    if status.state is not State.ERROR or status.reason == Reason.CONFLICT or reference is None:
        return None
    return reference if _wants_rollback(job, reference) else None


def _wants_rollback(job: JobRecord, reference: WorkloadRef) -> bool:
    if not outlives_its_job(BY_KIND[reference.kind]):
        return False
    parsed = parsed_kind(job)
    wants = None if isinstance(parsed, str) else getattr(parsed[0], "rollback_on_failure", None)
    return wants is not None and not isinstance(parsed, str) and bool(wants(parsed[1]))
