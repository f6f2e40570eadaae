"""The scheduler: keeps the queue in step with the Store, and hands out slots.

One serial loop decides. A slot is taken in memory the moment the launch is decided, and freed when the record says that
nothing of the job runs any more, so what is in flight is counted and nothing is counted twice. Slots are derived from
the PipelineJobs: after a restart the same slots are taken again from the same objects.

The jobs of a stage are in the order from the moment it opens, before their PipelineJobs exist (`expect`). A slot may be
given to a job that is still being created; it is launched as soon as it exists. So no worse job slips in meanwhile.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime

from task_pipeline.cache.store import Store
from task_pipeline.controller.teller import Teller
from task_pipeline.controller.workqueue import Key, Of, Urgency, WorkQueue
from task_pipeline.core.lane import Entry
from task_pipeline.core.places import job_entry, pipeline_entry, stage_entries, terms_of
from task_pipeline.core.queue import Queue
from task_pipeline.core.records import JobRecord, PipelineRecord
from task_pipeline.core.waiting import Wait, reason_of, wait_for
from task_pipeline.settings import Settings

JobHash = str
CLIENT_PAUSE = 0.5  # seconds: changes that come together are told together


class Scheduler:
    """Slots and order. Nothing is handed out before `start` (after every informer has synced).

    `accepted` gives the acceptedTime of a Pipeline by its UID, `now` the time of day.
    """

    def __init__(
        self,
        store: Store,
        work: WorkQueue,
        settings: Settings,
        accepted: Callable[[str], str],
        now: Callable[[], datetime],
    ) -> None:
        self.queue = Queue(settings.max_running_jobs, settings.queue_size)
        self.teller = Teller(self.queue, work.clock, self._wake)
        self._store = store
        self._work = work
        self._accepted = accepted
        self._now = now
        self._expected: dict[str, set[JobHash]] = {}  # by Pipeline: jobs in the order that do not exist yet
        self._given: dict[JobHash, float] = {}  # slots whose launch is under way: since when
        self._started = False
        self._scheduled = False
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def working(self) -> bool:
        """Whether slots are handed out."""
        return self._started

    def start(self) -> None:
        """Begin to hand out slots."""
        self._started = True
        self.kick()

    def stop(self) -> None:
        """Hand out nothing more."""
        self._started = False
        self.teller.stop()
        if self._alarm is not None:
            self._alarm.cancel()

    def kick(self) -> None:
        """Something has changed: decide once the current event has been dealt with."""
        if self._started and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._cycle)

    def settings_changed(self, settings: Settings) -> None:
        """Take over other limits."""
        self.queue.set_limits(settings.max_running_jobs, settings.queue_size)
        self.kick()

    def client_changed(self, name: str) -> None:
        """Take over a client's terms; work of a client that does not exist waits."""
        self.queue.set_terms(name, terms_of(self._store.clients.get(name)))
        self.kick()

    def job_changed(self, job: JobRecord, before: JobRecord | None) -> None:
        """Count the job's slot as its record has it; `before` is the record until now."""
        if before is None:
            self._arrived(job)
        self.touch(job.spec.client_id)
        if job.holds_slot:
            self.queue.take_slot(job.hash, job.spec.client_id)
        elif job.final or (before is not None and before.holds_slot):
            self._free(job.hash)

    def touch(self, client: str) -> None:
        """What the client uses may have changed: its status is written soon."""
        self._work.add_after(Key(Of.CLIENT, client), CLIENT_PAUSE)

    def job_gone(self, job_hash: JobHash) -> None:
        """The job does not exist any more and nothing of it runs."""
        self._free(job_hash)

    def offer(self, job: JobRecord, *, held: bool = False) -> None:
        """The job may be launched as soon as it is its turn; with `held` it only waits."""
        if held:
            self.queue.free_slot(job.hash)
        if not self.queue.has_slot(job.hash):
            pipeline = self._store.pipelines.get(job.pipeline_uid)
            self.queue.put(job_entry(job, pipeline, self._accepted(job.pipeline_uid), held=held))
            self.touch(job.spec.client_id)
            self.kick()

    def claim(self, job: JobRecord) -> None:
        """Something of the job lives already: it has a slot, whatever the limits say."""
        self.queue.take_slot(job.hash, job.spec.client_id)

    def keep(self, job_hash: JobHash) -> None:
        """Something runs of a job that does not exist any more. Nobody knows of which client it was."""
        self.queue.take_slot(job_hash, "")

    def withdraw(self, job: JobRecord) -> None:
        """The job may not be launched now. A slot that was given to it for a launch is taken back."""
        if job.waiting:
            self._free(job.hash)
        self.queue.remove(job.hash)

    def ask(self, pipeline: PipelineRecord) -> bool:
        """Whether the Pipeline may be divided for the first time; if not it waits here until it may."""
        if pipeline.uid not in self._expected:
            self.queue.put(pipeline_entry(pipeline, self._accepted(pipeline.uid), self._store.kept(pipeline)))
            if self._started:
                self._open_entered(pipeline.uid)
                self.kick()
        return pipeline.uid in self._expected

    def wait(self, entry_id: str) -> Wait:
        """Why something that is in the queue waits."""
        lane = self.queue.lane_of(entry_id)
        assert lane is not None
        return wait_for(self.queue, lane.client, reason_of(self.queue, lane, lane.entries[entry_id]))

    def leave(self, pipeline_uid: str) -> None:
        """The Pipeline does not want to be divided for the first time any more, or has been."""
        self.queue.remove(pipeline_uid)

    def pipeline_gone(self, pipeline_uid: str) -> None:
        """The Pipeline does not exist any more: nothing of it is in the order, and no slot is kept for it."""
        self.leave(pipeline_uid)
        self.unexpect(pipeline_uid)

    def expect(self, pipeline: PipelineRecord, stage: int) -> None:
        """The jobs of stage number `stage` are going to be created: from now on they are in the order."""
        for entry in self._missing(pipeline, stage):
            self.queue.put(entry)
        self.kick()

    def unexpect(self, pipeline_uid: str) -> None:
        """No more jobs of the Pipeline are created now; slots that were kept for them are free."""
        for job_hash in self._expected.pop(pipeline_uid, ()):
            self._free(job_hash)

    def has_slot(self, job: JobRecord) -> bool:
        """Whether the job has been given a slot."""
        return self.queue.has_slot(job.hash)

    def drift(self) -> int:
        """How many slots are taken that should not be, or not taken that should: 0, or there is a fault (O(jobs))."""
        by_record = {job.hash for job in self._store.jobs.values() if job.holds_slot}
        return sum(self.is_wrong(job_hash) for job_hash in by_record ^ self.queue.slots)

    def is_wrong(self, job_hash: JobHash) -> bool:
        """Whether the job's slot is taken and should not be, or the other way round."""
        job = self._store.job_by_hash(job_hash)
        if job is not None and job.holds_slot:
            return not self.queue.has_slot(job_hash)
        return self.queue.has_slot(job_hash) and not self._is_assumed(job_hash)

    def latency(self, job: JobRecord) -> float | None:
        """Seconds since the job was given its slot, told once; None when it had it before this process began."""
        given = self._given.pop(job.hash, None)
        return None if given is None else self._work.clock() - given

    def _is_assumed(self, job_hash: JobHash) -> bool:
        """Whether a slot belongs to a launch that is under way, or to what is left of a job that was deleted."""
        job = self._store.job_by_hash(job_hash)
        if job is None:
            lingers = any(True for _ in self._store.workloads_of(job_hash))
            return lingers or any(job_hash in expected for expected in self._expected.values())
        return job.waiting and self._work.is_due(Key(Of.JOB, job.uid))

    def _arrived(self, job: JobRecord) -> None:
        expected = self._expected.get(job.pipeline_uid)
        if expected is not None:
            expected.discard(job.hash)
            if not expected:
                del self._expected[job.pipeline_uid]

    def _missing(self, pipeline: PipelineRecord, stage: int) -> list[Entry]:
        """The jobs of a stage that do not exist, but for those that have been given a slot already."""
        accepted, now = self._accepted(pipeline.uid), self._now().timestamp()
        entries = stage_entries(pipeline, stage, accepted, now, self._store.kept(pipeline))
        missing = [entry for entry in entries if self._store.job_by_hash(entry.id) is None]
        if missing:
            self._expected[pipeline.uid] = {entry.id for entry in missing}
        for entry in missing:
            if self.queue.client_of_slot(entry.id) not in (None, entry.client):  # edited since the slot was given
                self.queue.free_slot(entry.id)
        return [entry for entry in missing if not self.queue.has_slot(entry.id)]

    def _free(self, job_hash: JobHash) -> None:
        self.queue.remove(job_hash)
        self._given.pop(job_hash, None)
        if self.queue.free_slot(job_hash):
            self.kick()

    def _cycle(self) -> None:
        self._scheduled = False
        if not self._started:
            return
        self.queue.advance(self._now().timestamp())
        self._open_entered()
        while (entry := self.queue.next()) is not None:
            if entry.is_pipeline:
                self._open(entry)
                self._work.add(Key(Of.PIPELINE, entry.id))
            else:
                self._launch(entry.id)
        self.teller.plan()
        self._plan()

    def _launch(self, job_hash: JobHash) -> None:
        self._given[job_hash] = self._work.clock()
        job = self._store.job_by_hash(job_hash)
        if job is not None:
            self._work.add(Key(Of.JOB, job.uid), Urgency.LAUNCH)

    def _open_entered(self, asking: str = "") -> None:
        """Open what has come into the window. The Pipeline that is `asking` is being looked at already."""
        while (entry := self.queue.entered()) is not None:
            self._open(entry)
            if entry.id != asking:
                self._work.add(Key(Of.PIPELINE, entry.id))

    def _open(self, entry: Entry) -> None:
        """From now on the first jobs of a Pipeline are in the order.

        One that is gone, or was edited so that it asks again, only leaves.
        """
        pipeline = self._store.pipelines.get(entry.id)
        if pipeline is None or pipeline.spec is None or pipeline.spec.client_id != entry.client:
            self.queue.remove(entry.id)
        else:
            self.queue.open(entry.id, self._missing(pipeline, pipeline.first_stage))

    def _wake(self, entry: Entry) -> bool:
        """Let somebody write why `entry` waits; False for a job that is not created yet."""
        if entry.is_pipeline:
            self._work.add(Key(Of.PIPELINE, entry.id), Urgency.LOW)
            return True
        job = self._store.job_by_hash(entry.id)
        if job is not None:
            self._work.add(Key(Of.JOB, job.uid), Urgency.LOW)
        return job is not None

    def _plan(self) -> None:
        """Come back when the next entry will have waited too long."""
        due = self.queue.next_overdue()
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if due is not None:
            seconds = max(0.0, due - self._now().timestamp())
            self._alarm = asyncio.get_running_loop().call_later(seconds, self.kick)
