"""The scheduler: keeps the queue and the gate in step with the Store, and hands out slots.

One serial loop decides. A slot is taken in memory the moment the launch is decided, and freed when the record says that
nothing of the job runs any more, so what is in flight is counted and nothing is counted twice. Slots are derived from
the PipelineJobs: after a restart the same slots are taken again from the same objects.
"""

import asyncio
from collections.abc import Callable

from task_pipeline.api.reasons import Reason
from task_pipeline.api.states import State
from task_pipeline.cache.store import Store
from task_pipeline.controller.workqueue import Key, Of, Urgency, WorkQueue
from task_pipeline.core.gate import Gate
from task_pipeline.core.ordering import OrderKey
from task_pipeline.core.queue import Queue
from task_pipeline.core.records import JobRecord, PipelineRecord
from task_pipeline.settings import Settings


class Scheduler:
    """Slots and order. Nothing is handed out before `start` (after every informer has synced)."""

    def __init__(self, store: Store, work: WorkQueue, settings: Settings, accepted: Callable[[str], str]) -> None:
        self.queue = Queue(settings.max_running_jobs)
        self.gate = Gate(settings.queue_size)
        self._store = store
        self._work = work
        self._accepted = accepted
        self._entering: dict[str, int] = {}  # let through the gate, jobs not all created yet
        self._started = False
        self._scheduled = False

    def start(self) -> None:
        """Begin to hand out slots."""
        self._started = True
        self.kick()

    def stop(self) -> None:
        """Hand out nothing more."""
        self._started = False

    def kick(self) -> None:
        """Something has changed: decide once the current event has been dealt with."""
        if self._started and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._cycle)

    def client_changed(self, name: str) -> None:
        """Take over a client's settings; work of a client that does not exist waits."""
        client = self._store.clients.get(name)
        if client is None:
            self.queue.set_client(name, priority=10, limit=0, suspended=True)
        else:
            self.queue.set_client(
                name,
                priority=client.priority,
                limit=client.max_running_jobs,
                suspended=client.suspend or not client.valid,
            )
        self.kick()

    def job_changed(self, job: JobRecord, before: JobRecord | None) -> None:
        """Count the job's slot as its record has it; `before` is the record until now."""
        if _holds_slot(job):
            self.queue.take_slot(job.uid, job.spec.client_id)
        elif job.final or (before is not None and _holds_slot(before)):
            self._free(job.uid)
        self._ask_gate()

    def job_gone(self, uid: str) -> None:
        """The job does not exist any more and nothing of it runs."""
        self._free(uid)
        self._ask_gate()

    def offer(self, job: JobRecord) -> None:
        """The job may be launched as soon as it is its turn."""
        if self.queue.has_slot(job.uid):
            return
        self.queue.put(job.uid, job.spec.client_id, self._job_key(job))
        self.kick()

    def withdraw(self, job: JobRecord) -> None:
        """The job may not be launched now. A slot that was given to it for a launch is taken back."""
        if job.status.state is State.READY and job.status.reason != Reason.STOPPING:
            self._free(job.uid)
        self.queue.remove(job.uid)

    def ask(self, pipeline: PipelineRecord, jobs: int, best: int) -> bool:
        """Whether the Pipeline may enqueue its first `jobs` jobs, the best of priority `best`; it waits here if not."""
        if pipeline.uid in self._entering:
            return True
        assert pipeline.spec is not None
        client = self._store.clients.get(pipeline.spec.client_id)
        key = OrderKey(pipeline.spec.priority, 0, best, self._accepted(pipeline.uid), 0, pipeline.uid)
        self.gate.put(pipeline.uid, client.priority if client else 10, key, jobs)
        if self._started:
            self._open_gate()
        return pipeline.uid in self._entering

    def leave(self, pipeline_uid: str) -> None:
        """The Pipeline has all of its first jobs, or does not want them any more."""
        if self._entering.pop(pipeline_uid, None) is not None:
            self._ask_gate()
        self.gate.remove(pipeline_uid)

    def has_slot(self, job: JobRecord) -> bool:
        """Whether the job has been given a slot."""
        return self.queue.has_slot(job.uid)

    def _ask_gate(self) -> None:
        """There may be room in the queue: let the gate be asked, if anybody waits there."""
        if len(self.gate):
            self.kick()

    def _free(self, uid: str) -> None:
        self.queue.remove(uid)
        if self.queue.free_slot(uid):
            self.kick()

    def _cycle(self) -> None:
        self._scheduled = False
        while self._started:
            uid = self.queue.next()
            if uid is None:
                break
            self._work.add(Key(Of.JOB, uid), Urgency.LAUNCH)
        self._open_gate()

    def _open_gate(self) -> None:
        while True:
            entering = sum(self._entering.values())
            passed = self.gate.next(self._store.enqueued + entering)
            if passed is None:
                return
            uid, jobs = passed
            self._entering[uid] = jobs
            self._work.add(Key(Of.PIPELINE, uid))

    def _job_key(self, job: JobRecord) -> OrderKey:
        pipeline = self._store.pipelines.get(job.pipeline_uid)
        known = pipeline.spec if pipeline is not None else None  # its priority may have been edited since the division
        return OrderKey(
            job.spec.pipeline_priority if known is None else known.priority,
            job.spec.stage_index,
            job.spec.priority,
            self._accepted(job.pipeline_uid),
            job.spec.index,
            job.uid,
        )


def _holds_slot(job: JobRecord) -> bool:
    return job.status.state is State.IN_PROGRESS or (
        job.status.state is State.READY and job.status.reason == Reason.STOPPING
    )
