"""The reconciler of Pipelines: judge, divide, tell. Status writes are coalesced, because each costs the API server in
proportion to the whole object and sends it to every watcher again.
"""

import logging
from dataclasses import dataclass, replace
from typing import NamedTuple

from msgspec import structs

from task_pipeline.api.faults import FieldError, InvalidObject
from task_pipeline.api.reasons import Reason
from task_pipeline.controller import revision
from task_pipeline.controller.executor import ForeignJob
from task_pipeline.controller.jobs import Tools
from task_pipeline.controller.workqueue import Key, Of
from task_pipeline.core.clients import refusal
from task_pipeline.core.closing import Pressure
from task_pipeline.core.divider import drafts
from task_pipeline.core.finished import Cleanup
from task_pipeline.core.messages import STATUS_LENGTH, shortened
from task_pipeline.core.pipeline_decision import PipelineDecision, PipelineFacts, Urgency, decide_pipeline
from task_pipeline.core.records import PipelineRecord
from task_pipeline.core.rollup import Tally
from task_pipeline.core.waiting import Wait, wait_for
from task_pipeline.kinds import registry
from task_pipeline.kube.errors import ApiError, Forbidden, KubeError, is_transient
from task_pipeline.observability.logs import about

log = logging.getLogger(__name__)

SOON = 0.3  # seconds that an accepted, waiting Pipeline is given to be launched before that is written
BETWEEN = 0.3  # seconds between two writes of one Pipeline, at least
LAZY = 5.0  # seconds between two writes that only count
COST_FACTOR = 20  # and at least so many times as long as the last write took
LONGEST_PAUSE = 5.0  # but no longer than this: one slow answer says little about the next
NAMESPACE_PAUSE = 30.0
PATIENCE = 5.0  # seconds for which jobs keep their places, and their slots, while their creation fails

_NEAREST_FIRST = (
    Reason.GLOBAL_LIMIT,
    Reason.QUEUED,
    Reason.CLIENT_LIMIT,
    Reason.QUEUE_FULL,
    Reason.CLIENT_QUEUE_FULL,
    Reason.QUOTA_EXCEEDED,
    Reason.RETRY_BACKOFF,
    Reason.CLIENT_SUSPENDED,
)


@dataclass(slots=True)
class _Pace:
    """When a Pipeline was first seen and last written, in loop time."""

    seen: float
    written: float | None = None
    took: float = 0.0


class _Pause(NamedTuple):
    """The namespace takes no PipelineJobs: until when (loop time) none are sent, and what to say meanwhile."""

    until: float
    wait: Wait


class PipelineReconciler:
    """`reconcile(uid)` takes the next step for one Pipeline; errors of `kube.errors` pass through."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._paces: dict[str, _Pace] = {}
        self._faults: dict[str, tuple[int, str | None]] = {}
        self._closing: dict[str, Pressure] = {}  # what the jobs have been told of
        self._failing: dict[str, float] = {}  # since when (loop time) the creation of PipelineJobs fails
        self._pauses: dict[str, _Pause] = {}

    async def reconcile(self, uid: str) -> None:
        """Look at the Pipeline once."""
        tools = self._tools
        pipeline = tools.store.pipelines.get(uid)
        if pipeline is None:
            self._forget(uid)
            return
        await self._revise(pipeline)
        pipeline = tools.store.pipelines.get(uid)
        if pipeline is None:
            self._forget(uid)
            return
        decision = decide_pipeline(self._facts(pipeline), tools.now())
        while decision.divide is not None and self._pause_of(uid) is None:
            await self._divide(pipeline, decision.divide)
            pipeline = tools.store.pipelines.get(uid, pipeline)
            decision = decide_pipeline(self._facts(pipeline), tools.now())
        tools.scheduler.unexpect(uid)
        self._failing.pop(uid, None)
        self._close(uid, decision)
        if decision.wake is not None:
            tools.work.add_after(Key(Of.PIPELINE, uid), (decision.wake - tools.now()).total_seconds())
        await self._tell(pipeline, decision)
        if decision.cleanup is not Cleanup.NONE:
            tools.cleaner.add(pipeline, decision.cleanup)

    def rank(self, uid: str) -> None:
        """Give the Pipeline, or the jobs of the stage that it opens now, their places, and do nothing else."""
        pipeline = self._tools.store.pipelines[uid]
        if self._tools.arrivals.is_current(pipeline):
            self._tools.arrivals.remember(pipeline)
        decision = decide_pipeline(self._facts(pipeline), self._tools.now())
        if decision.divide is not None:
            self._tools.scheduler.expect(pipeline, decision.divide)

    def _close(self, uid: str, decision: PipelineDecision) -> None:
        """Let every job look at itself, once, when something else than before ends them from outside."""
        if decision.closing is None:
            self._closing.pop(uid, None)
        elif self._closing.get(uid) != decision.closing:
            self._closing[uid] = decision.closing
            self._tools.feed.wake_jobs(uid)

    async def _revise(self, pipeline: PipelineRecord) -> None:
        """A spec that was edited before the first launch replaces the old one: what was made for that is removed."""
        tools = self._tools
        over = pipeline.deleting or pipeline.final or pipeline.started
        if over:
            tools.arrivals.close(pipeline.uid)
            return
        if tools.arrivals.is_current(pipeline):
            tools.arrivals.remember(pipeline)
            return
        jobs = [job for job in tools.store.jobs_of(pipeline.uid) if job.spec.run == pipeline.run]
        if not jobs or any(revision.has_begun(job) or tools.scheduler.has_slot(job) for job in jobs):
            return
        wrong = self._faults_of(pipeline) is not None or self._refusal_of(pipeline) is not None
        wanted = revision.wanted(pipeline, None if wrong else pipeline.spec)
        before = revision.wanted(pipeline, tools.arrivals.made_for(pipeline.uid))
        outdated = revision.outdated(jobs, wanted, before)
        if not outdated and len(jobs) == len(wanted):
            tools.arrivals.confirm(pipeline)
            return
        tools.arrivals.undo(pipeline)
        for job in outdated:
            tools.scheduler.withdraw(job)
        await tools.executor.remove_jobs(outdated)

    def _refusal_of(self, pipeline: PipelineRecord) -> str | None:
        client = self._tools.store.clients.get(pipeline.spec.client_id) if pipeline.spec is not None else None
        if client is None and pipeline.run > 1:
            return None  # as in a run that has begun: it waits until there is one again
        return refusal(client, pipeline)

    def _facts(self, pipeline: PipelineRecord) -> PipelineFacts:
        tools = self._tools
        faults, refused = self._faults_of(pipeline), self._refusal_of(pipeline)
        tally = tools.store.tally_of(pipeline)
        facts = PipelineFacts(
            pipeline=pipeline,
            tally=tally,
            faults=faults,
            refusal=refused,
            fits=False,
            wait=Wait(Reason.QUEUED, None),
            accepted=tools.arrivals.accepted(pipeline.uid),
            divided=tools.arrivals.divided(pipeline),
            jobs=tools.store.has_jobs(pipeline.uid),
            remnants=tools.feed.has_remnants(pipeline.uid),
            ttl=tools.settings().ttl_seconds_after_finished,
        )
        exists = pipeline.uid in tools.store.pipelines
        asks = exists and tally.untouched and facts.divided < 0 and not pipeline.final and _wants_in(pipeline)
        pause = self._pause_of(pipeline.uid)
        if faults is None and refused is None and asks and pause is None:
            fits = tools.scheduler.ask(pipeline)
            return replace(facts, fits=fits, wait=facts.wait if fits else self._wait_outside(pipeline))
        tools.scheduler.leave(pipeline.uid)
        if pause is None:
            return replace(facts, wait=self._wait_inside(pipeline, tally))
        return replace(facts, wait=pause.wait, hindrance=pause.wait.message or "")

    def _wait_outside(self, pipeline: PipelineRecord) -> Wait:
        """Why a Pipeline that is not divided waits: what it told already, until it may tell something else."""
        scheduler = self._tools.scheduler
        granted = scheduler.teller.granted(pipeline.uid)
        if granted is not None:
            return granted
        return _told(pipeline) or scheduler.wait(pipeline.uid)

    def _wait_inside(self, pipeline: PipelineRecord, tally: Tally) -> Wait:
        """Why a divided Pipeline waits: for what the job waits for that is nearest to its start."""
        reason = next((reason for reason in _NEAREST_FIRST if tally.waits.get(reason)), Reason.QUEUED)
        told = _told(pipeline)
        if pipeline.spec is None or (told is not None and told.reason is reason):
            return told or Wait(reason, None)
        return wait_for(self._tools.scheduler.queue, pipeline.spec.client_id, reason)

    def _faults_of(self, pipeline: PipelineRecord) -> str | None:
        """Every fault of the spec as one text, judged once per generation; None when it is fine or has started.

        What was accepted before a restart is not judged again: with thousands waiting, that would hold up the first
        launch. Should other rules hold now, the launch says so.
        """
        if pipeline.spec is None:
            return pipeline.fault
        if pipeline.status.start_time is not None or _is_accepted(pipeline):
            return None
        known = self._faults.get(pipeline.uid)
        if known is None or known[0] != pipeline.generation:
            known = (pipeline.generation, self._judge_params(pipeline))
            self._faults[pipeline.uid] = known
        return known[1]

    def _judge_params(self, pipeline: PipelineRecord) -> str | None:
        assert pipeline.spec is not None
        defaults = self._tools.settings().kind_defaults
        faults: list[FieldError] = []
        for index, job in enumerate(pipeline.spec.jobs):
            for path, message, *_ in registry.check_params(job.kind, job.version, job.effective_params, defaults):
                of_kind = f"{job.kind} {job.version}: " if path.startswith("params") else ""
                faults.append(FieldError(f"spec.jobs[{index}].{path}", of_kind + message, job.name))
        return str(InvalidObject(faults)) if faults else None

    async def _divide(self, pipeline: PipelineRecord, stage: int) -> None:
        """Create the PipelineJobs of a stage, or begin a pause when the namespace does not take any."""
        self._tools.scheduler.expect(pipeline, stage)
        try:
            await self._tools.executor.create_jobs(pipeline, drafts(pipeline, stage, self._tools.store.kept(pipeline)))
        except BaseException as error:
            if not self._will_pass(pipeline.uid, error):
                self._tools.scheduler.unexpect(pipeline.uid)
            said = _lasting(error)
            if said is None:
                raise
            log.warning("pipeline %s/%s: %s", pipeline.namespace, pipeline.name, said)
            over_quota = isinstance(error, Forbidden) and error.is_quota
            reason = Reason.QUOTA_EXCEEDED if over_quota else Reason.QUEUED
            wait = Wait(reason, shortened(f"PipelineJobs cannot be created: {said}", STATUS_LENGTH))
            self._pauses[pipeline.uid] = _Pause(self._tools.work.clock() + NAMESPACE_PAUSE, wait)
            return
        revised = self._tools.arrivals.is_undone(pipeline)
        self._tools.arrivals.divide(pipeline, stage)
        if revised:
            self._tools.feed.wake_jobs(pipeline.uid)

    def _pause_of(self, uid: str) -> _Pause | None:
        """The pause that the Pipeline has to make; looked at again when it is over."""
        pause = self._pauses.get(uid)
        if pause is None:
            return None
        left = pause.until - self._tools.work.clock()
        if left <= 0:
            del self._pauses[uid]
            return None
        self._tools.work.add_after(Key(Of.PIPELINE, uid), left)
        return pause

    def _will_pass(self, uid: str, error: BaseException) -> bool:
        """Whether creation will succeed so soon that nothing worse is to start meanwhile."""
        clock = self._tools.work.clock
        pause = (isinstance(error, ApiError) and error.retry_after) or 0.0
        failing = clock() - self._failing.setdefault(uid, clock())
        return isinstance(error, KubeError) and is_transient(error) and failing + pause < PATIENCE

    async def _tell(self, pipeline: PipelineRecord, decision: PipelineDecision) -> None:
        if decision.urgency is Urgency.NONE:
            return
        clock = self._tools.work.clock
        pace = self._paces.setdefault(pipeline.uid, _Pace(seen=clock()))
        wait = _due(pace, decision.urgency) - clock()
        if wait > 0:
            self._tools.work.add_after(Key(Of.PIPELINE, pipeline.uid), wait)
            return
        if decision.urgency is Urgency.WAIT and not self._tools.scheduler.teller.spend():
            self._tools.work.add_after(Key(Of.PIPELINE, pipeline.uid), LAZY)
            return
        began = clock()
        await self._tools.executor.pipeline_status(pipeline, decision.status)
        pace.written, pace.took = clock(), clock() - began
        if pipeline.status.state is not decision.status.state:
            _log(pipeline, decision)

    def _forget(self, uid: str) -> None:
        self._paces.pop(uid, None)
        self._faults.pop(uid, None)
        self._closing.pop(uid, None)
        self._failing.pop(uid, None)
        self._pauses.pop(uid, None)
        self._tools.scheduler.pipeline_gone(uid)
        self._tools.arrivals.forget(uid)
        self._tools.work.forget(Key(Of.PIPELINE, uid))


def _lasting(error: BaseException) -> str | None:
    """What was said against the creation of PipelineJobs, unless it will pass by itself in a moment."""
    if isinstance(error, ForeignJob):
        return str(error)
    return error.message if isinstance(error, ApiError) and not is_transient(error) else None


def _told(pipeline: PipelineRecord) -> Wait | None:
    """The reason for its wait that an accepted Pipeline gives. Where none needs words, the status tells of the stage;
    the condition tells of nothing but the wait.
    """
    status = pipeline.status
    reason = next((reason for reason in _NEAREST_FIRST if reason == status.reason), None)
    if reason is None or status.accepted_time is None:
        return None
    message = next((one.message for one in status.conditions if one.type == "Succeeded"), None)
    return Wait(reason, message or None)


def _is_accepted(pipeline: PipelineRecord) -> bool:
    """Whether the spec as it is now has been accepted."""
    status = pipeline.status
    return status.accepted_time is not None and status.observed_generation == pipeline.generation and not pipeline.final


def _wants_in(pipeline: PipelineRecord) -> bool:
    return (
        not pipeline.deleting
        and pipeline.spec is not None
        and not pipeline.spec.suspend
        and pipeline.spec.cancel is None
    )


def _due(pace: _Pace, urgency: Urgency) -> float:
    """The loop time from which a change of this urgency may be written."""
    if urgency is Urgency.END:
        return 0.0
    if pace.written is None:
        return pace.seen + SOON if urgency < Urgency.NOW else 0.0
    pause = LAZY if urgency is Urgency.LAZY else BETWEEN
    return pace.written + max(pause, min(LONGEST_PAUSE, COST_FACTOR * pace.took))


def _log(pipeline: PipelineRecord, decision: PipelineDecision) -> None:
    status = decision.status
    level = logging.WARNING if status.reason in (Reason.INVALID_SPEC, Reason.CLIENT_NOT_ALLOWED) else logging.INFO
    log.log(
        level, "pipeline %s/%s: %s %s", pipeline.namespace, pipeline.name, status.state, status.reason,
        extra=about(structs.replace(pipeline, status=status)),
    )  # fmt: skip
