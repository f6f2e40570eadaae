"""Removes what finished Pipelines leave behind once their time to live is over: one object after the other.

Nothing waits for it, so it takes its time and never more than one connection, however much has come due while the
operator was down. What fails is asked for again by the next look at the Pipeline.
"""

import asyncio
import logging

from task_pipeline.cache.store import Store
from task_pipeline.controller.executor import Executor
from task_pipeline.controller.workqueue import Key, Of, WorkQueue
from task_pipeline.core.finished import Cleanup
from task_pipeline.core.records import PipelineRecord
from task_pipeline.kube.errors import Conflict, KubeError

log = logging.getLogger(__name__)

PAUSE = 5.0  # seconds after a failure


class Cleaner:
    """`add` from anywhere in the loop; `run` works through what has been added, in order, for ever."""

    def __init__(self, store: Store, work: WorkQueue, executor: Executor) -> None:
        self._store = store
        self._work = work
        self._executor = executor
        self._due: dict[str, Cleanup] = {}
        self._wakeup = asyncio.Event()

    def add(self, uid: str, cleanup: Cleanup) -> None:
        """Remove, in time, what `cleanup` says of the Pipeline with this UID."""
        self._due.setdefault(uid, cleanup)
        self._wakeup.set()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            while self._due:
                uid = next(iter(self._due))
                await self._try(uid, self._due[uid])
                del self._due[uid]
            self._wakeup.clear()
            await self._wakeup.wait()

    async def _try(self, uid: str, cleanup: Cleanup) -> None:
        pipeline = self._store.pipelines.get(uid)
        if pipeline is None or not pipeline.final:
            return
        try:
            await self._clean(pipeline, cleanup)
        except Conflict:  # it has changed: whether it is still to go is decided again
            self._work.add_after(Key(Of.PIPELINE, uid), PAUSE)
        except KubeError as error:
            log.warning("pipeline %s/%s: cannot be cleaned up: %s", pipeline.namespace, pipeline.name, error)
            self._work.add_after(Key(Of.PIPELINE, uid), PAUSE)

    async def _clean(self, pipeline: PipelineRecord, cleanup: Cleanup) -> None:
        if cleanup is Cleanup.PIPELINE:
            await self._executor.delete_pipeline(pipeline)
            return
        for job in self._store.jobs_of(pipeline.uid):
            if job.final and not job.deleting:
                await self._executor.delete_job(job)
