"""The ledger: writes what workers say into the status of their PipelineJobs, one step after the other.

Rule: a step is decided on a record and written with that record's version as the test; who loses the race decides
again on what is true then. A yes that needs no write is given from memory, so that polls and reports cost nothing; a no
that would end a worker's work is given only for what the API server itself has just said.
"""

import asyncio
from collections.abc import Callable
from typing import NamedTuple
from weakref import WeakValueDictionary

import msgspec
from msgspec.structs import replace

from task_pipeline.api.resources import PIPELINE_JOBS
from task_pipeline.cache.convert import job_record
from task_pipeline.core.records import JobRecord, PipelineJobView, status_patch
from task_pipeline.core.remote import Denied, Step
from task_pipeline.kube.cluster import Cluster
from task_pipeline.kube.errors import NotFound
from task_pipeline.server.board import Board
from task_pipeline.server.upstream import persistently

Decide = Callable[[JobRecord], Step | Denied]


class Name(NamedTuple):
    """What a PipelineJob is found by. One of the same name with another UID is another."""

    namespace: str
    name: str
    uid: str


class Taken(NamedTuple):
    """The record after a step, and what the step was."""

    job: JobRecord
    answer: Step | Denied


class Ledger:
    """Reads and writes PipelineJobs of `cluster`, and lets `board` know."""

    def __init__(self, cluster: Cluster, board: Board) -> None:
        self._cluster = cluster
        self.board = board
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def step(self, name: Name, decide: Decide, *, sure: bool = True) -> Taken | None:
        """Take the step that `decide` chooses, once; None when the job does not exist. Raises KubeError.

        `decide` may be asked several times, on newer and newer records. `sure` False: a no may be old news.
        """
        lock = self._locks.setdefault(name.uid, asyncio.Lock())
        fresh = False

        async def attempt() -> Taken | None:
            nonlocal fresh
            job = None if fresh else self.board.get(name.uid)
            if job is not None:
                taken = Taken(job, decide(job))
                if sure and isinstance(taken.answer, Denied):
                    job = None
            if job is None:
                job = await self._read(name)
                if job is None:
                    return None
                taken = Taken(job, decide(job))
            fresh = True  # whatever goes wrong from here on may be because we know too little
            if isinstance(taken.answer, Denied) or not taken.answer.write:
                return taken
            return await self._write(job, taken.answer)

        async with lock:
            return await persistently(attempt)

    async def read(self, name: Name) -> JobRecord | None:
        """The job as it is now; None when it does not exist. Raises KubeError."""
        return await persistently(lambda: self._read(name))

    async def _read(self, name: Name) -> JobRecord | None:
        try:
            raw = await self._cluster.get(PIPELINE_JOBS, name.namespace, name.name)
        except NotFound:
            self.board.gone(name.uid)
            return None
        view = msgspec.json.decode(raw, type=PipelineJobView)
        if view.metadata.uid != name.uid:
            self.board.gone(name.uid)
            return None
        self.board.put(view)
        return job_record(view)

    async def _write(self, job: JobRecord, step: Step) -> Taken | None:
        body = {"metadata": {"resourceVersion": str(job.rv)}, "status": status_patch(job.status, step.status)}
        try:
            meta = await self._cluster.patch_status(PIPELINE_JOBS, job.namespace, job.name, body)
        except NotFound:
            self.board.gone(job.uid)
            return None
        record = replace(job, status=step.status, rv=int(meta.resource_version))
        self.board.learn(record)
        return Taken(record, step)
