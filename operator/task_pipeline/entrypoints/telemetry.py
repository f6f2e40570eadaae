"""Joins the operator's work and its metrics: what is told to whom, and what is counted at each scrape."""

from collections.abc import Awaitable, Callable

from task_pipeline.cache.slim import slim_pipeline
from task_pipeline.controller.runtime import Runtime
from task_pipeline.core.places import held_since, waits_since
from task_pipeline.core.records import JobRecord, PipelineRecord
from task_pipeline.kinds.registry import KINDS
from task_pipeline.observability import catalog
from task_pipeline.observability.clients import ClientLabels
from task_pipeline.observability.history import History
from task_pipeline.observability.meters import Meters
from task_pipeline.observability.recount import Sources, recount
from task_pipeline.observability.sampling import Value
from task_pipeline.observability.trace_queue import Sender, TraceQueue, trace_outcomes

Leads = Callable[[], bool]


def observe(meters: Meters, runtime: Runtime, leads: Leads) -> Callable[[], Awaitable[list[Value]]]:
    """Let the runtime's work be counted; returns what samples the rest, in the runtime's loop.

    `leads` tells whether this replica works: only then are there gauges of Pipelines, jobs and clients.
    """
    store, scheduler = runtime.store, runtime.scheduler
    client = ClientLabels(store.clients)

    def since(job: JobRecord) -> float:
        uid = job.pipeline_uid
        return waits_since(job, store.pipelines.get(uid), runtime.accepted(uid))

    def held(job: JobRecord) -> float:
        uid = job.pipeline_uid
        return held_since(job, store.pipelines.get(uid), runtime.accepted(uid))

    history = History(meters, client, KINDS, since, scheduler.latency)
    client.begun = history.begin
    looks = meters.histogram(catalog.RECONCILE_DURATION)
    runtime.told = history.tell
    runtime.looked = lambda kind, seconds: looks.of(kind).observe(seconds)
    sources = Sources(store, scheduler.queue, client, scheduler.is_wrong, held, runtime.now)

    async def sample() -> list[Value]:
        for name in store.clients:  # also of a replica that stands by: what it will count begins with 0
            client(name)
        leading = leads()
        values = [Value(catalog.LEADER, (), int(leading)), Value(catalog.WORKQUEUE_DEPTH, (), len(runtime.work))]
        return values + (await recount(sources) if leading else [])

    return sample


def trace(meters: Meters, runtime: Runtime, sender: Sender | None) -> TraceQueue | None:
    """Let the trace of each run be sent once its end has been written; None without a sender.

    To be called after `observe`, and before anything has been listed.
    """
    outcomes = trace_outcomes(meters)
    if sender is None:
        return None
    store, count, queue = runtime.store, runtime.told, TraceQueue(sender, outcomes)
    store.keep_ends = True

    def told(before: JobRecord | PipelineRecord, after: JobRecord | PipelineRecord) -> None:
        count(before, after)
        if isinstance(after, PipelineRecord) and after.final and not before.final and not after.invalid:
            jobs = [job for job in store.jobs_of(after.uid) if job.spec.run == after.run]
            queue.tell(slim_pipeline(after), jobs)

    runtime.told = told
    return queue
