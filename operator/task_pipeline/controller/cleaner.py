"""Removes what finished Pipelines leave behind once their time to live is over: one object after the other.

Nothing waits for it, so it takes its time and never more than one connection, however much has come due while the
operator was down. By its turn a Pipeline may have been edited or have run again: a decision counts for the version of
the Pipeline that it was made for, and for no other. What fails is asked for again by the next look at the Pipeline.
That its PipelineJobs go is written before the first of them does, so that no rerun counts on one that is about to go.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from msgspec.structs import replace

from task_pipeline.api.times import format_time
from task_pipeline.cache.store import Store
from task_pipeline.controller.executor import Executor
from task_pipeline.controller.workqueue import Key, Of, WorkQueue
from task_pipeline.core.finished import Cleanup
from task_pipeline.core.records import PipelineRecord
from task_pipeline.kube.errors import Conflict, KubeError, is_transient

log = logging.getLogger(__name__)

PAUSE = 5.0  # seconds after a failure
REFUSED_PAUSE = 600.0  # seconds after a refusal that will last, by missing rights or a policy


class _Due(NamedTuple):
    cleanup: Cleanup
    version: int  # of the Pipeline that this was decided on


class Cleaner:
    """`add` from anywhere in the loop; `run` works through what has been added, in order, for ever."""

    def __init__(self, store: Store, work: WorkQueue, executor: Executor, now: Callable[[], datetime]) -> None:
        self._now = now
        self._store = store
        self._work = work
        self._executor = executor
        self._due: dict[str, _Due] = {}  # by UID of the Pipeline
        self._wakeup = asyncio.Event()

    def add(self, pipeline: PipelineRecord, cleanup: Cleanup) -> None:
        """Remove, in time, what `cleanup` says of the Pipeline, unless it changes before."""
        self._due[pipeline.uid] = _Due(cleanup, pipeline.rv)
        self._wakeup.set()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            while self._due:
                uid, due = next(iter(self._due.items()))
                await self._try(uid, due)
                if self._due[uid] == due:
                    del self._due[uid]
            self._wakeup.clear()
            await self._wakeup.wait()

    async def _try(self, uid: str, due: _Due) -> None:
        pipeline = self._store.pipelines.get(uid)
        if pipeline is None:
            return
        again = PAUSE
        try:
            if await self._clean(pipeline, due):
                return
        except Conflict:  # it has changed, and the watch has not told yet
            pass
        except KubeError as error:
            log.warning("pipeline %s/%s: cannot be cleaned up: %s", pipeline.namespace, pipeline.name, error)
            again = PAUSE if is_transient(error) else REFUSED_PAUSE
        self._work.add_after(Key(Of.PIPELINE, uid), again)

    async def _clean(self, pipeline: PipelineRecord, due: _Due) -> bool:
        """Remove what is due; False when there may be more to do, or something else."""
        if not self._is_as_decided(pipeline.uid, due):
            return False
        if due.cleanup is Cleanup.PIPELINE:
            await self._executor.delete_pipeline(pipeline)
            return True
        if pipeline.status.cleanup_time is None:
            told = replace(pipeline.status, cleanup_time=format_time(self._now()))
            await self._executor.pipeline_status(pipeline, told)  # the answer to it brings the Pipeline back
            return True
        ended = [job for job in self._store.jobs_of(pipeline.uid) if job.final and not job.deleting]
        for job in ended:
            if not self._is_as_decided(pipeline.uid, due):
                return False
            await self._executor.delete_job(job)
        return not ended

    def _is_as_decided(self, uid: str, due: _Due) -> bool:
        pipeline = self._store.pipelines.get(uid)
        return pipeline is not None and pipeline.rv == due.version
