"""The runtime: builds the parts, keeps the informers and the workers going, and stops them in order.

Start: list everything, then hand out slots. Stop: hand out nothing more, let what is in flight end, cancel the rest.
In between a replica may stand by: it keeps up with the cluster, and does nothing about what it sees.
The runtime knows nothing of kopf: whoever watches Pipelines and PipelineClients delivers them to its sinks.
"""

import asyncio
import logging
from collections.abc import Callable, Container, Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from itertools import cycle
from typing import Any

from task_pipeline.api.group import LABEL_JOB_HASH, LABEL_MANAGED_BY, MANAGED_BY
from task_pipeline.api.objects import DeploymentView, KubernetesJobView, PodView
from task_pipeline.api.resources import DEPLOYMENTS, KUBERNETES_JOBS, PIPELINE_JOBS, PODS
from task_pipeline.backends.kube import KubeBackend
from task_pipeline.cache.store import Store
from task_pipeline.controller.arrivals import Arrivals
from task_pipeline.controller.cleaner import Cleaner
from task_pipeline.controller.clients import ClientReconciler
from task_pipeline.controller.events import EventWriter
from task_pipeline.controller.executor import Executor, Tell
from task_pipeline.controller.feed import ClientSink, Feed, JobSink, PipelineSink, WorkloadSink
from task_pipeline.controller.jobs import JobReconciler, Tools
from task_pipeline.controller.launcher import Launcher
from task_pipeline.controller.pipelines import PipelineReconciler
from task_pipeline.controller.scheduler import Scheduler
from task_pipeline.controller.workqueue import Key, Of, Urgency, WorkQueue
from task_pipeline.core.records import JobRecord, PipelineJobView, PipelineRecord
from task_pipeline.kube.cluster import Cluster
from task_pipeline.kube.errors import ApiError, Conflict, KubeError, is_transient
from task_pipeline.kube.informer import Informer, StreamHealth
from task_pipeline.observability.logs import about
from task_pipeline.settings import Settings

log = logging.getLogger(__name__)

DRAIN_SECONDS = 3.0
_WATCHED = (PIPELINE_JOBS, PODS, KUBERNETES_JOBS, DEPLOYMENTS)  # in each namespace, by informers in this order


class Runtime:
    """One operator process, without the watcher of Pipelines and PipelineClients.

    `now` tells the time of day (UTC), `clock` the monotonic time that waiting is measured in.
    """

    def __init__(
        self,
        cluster: Cluster,
        settings: Settings,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.store = Store()
        self.work = WorkQueue(clock or asyncio.get_running_loop().time)
        arrivals = Arrivals(self.store, now)
        self._settings = settings
        self.scheduler = Scheduler(self.store, self.work, settings, arrivals.accepted, now)
        feed = Feed(self.store, self.scheduler, self.work, now)
        self.events = EventWriter(cluster, now, self.work.clock)
        executor = Executor(cluster, self.store, feed, self._tell)
        backend = KubeBackend(cluster)
        cleaner = self._cleaner = Cleaner(self.store, self.work, executor, now)
        tools = Tools(
            store=self.store,
            scheduler=self.scheduler,
            work=self.work,
            feed=feed,
            executor=executor,
            launcher=Launcher(
                backend, executor, feed, lambda: self._settings.kind_defaults, now, self.scheduler.teller.spend
            ),
            backend=backend,
            arrivals=arrivals,
            cleaner=cleaner,
            settings=lambda: self._settings,
            now=now,
        )
        self._of_pipelines, self._of_jobs = PipelineReconciler(tools), JobReconciler(tools)
        self._feed = feed
        self.now, self.accepted = now, arrivals.accepted
        self.told: Tell = lambda before, after: None
        """Told of every status that has been written, after the Events."""
        self.looked: Callable[[str, float], None] = lambda kind, seconds: None
        """Told of every look at an object: its kind, and how long it took."""
        self._reconcile = {
            Of.PIPELINE: self._of_pipelines.reconcile,
            Of.JOB: self._of_jobs.reconcile,
            Of.CLIENT: ClientReconciler(tools).reconcile,
        }
        self.pipelines = PipelineSink(feed, self.store)
        self.clients = ClientSink(feed, settings.operator_namespace)
        self.jobs = JobSink(feed)
        self.informers = _informers(cluster, feed, self.store, settings.namespaces)
        self._limit = asyncio.Semaphore(settings.workers)
        self._tasks: set[asyncio.Task[None]] = set()
        self._background: list[asyncio.Task[None]] = []
        self._worker: asyncio.Task[None] | None = None

    async def sync(self) -> None:
        """Start the informers and wait until each has delivered its first list."""
        self._background += [
            asyncio.create_task(informer.run(), name=f"informer-{number}")
            for number, informer in enumerate(self.informers)
        ]
        await asyncio.gather(*(informer.synced.wait() for informer in self.informers))

    def stand_by(self) -> None:
        """Keep up with the cluster and write nothing; to be called once everything has been delivered."""
        self._take_keys(self._let_go(), "standby")

    def start(self) -> None:
        """Begin to work; to be called once everything has been delivered at least once, or after `stand_by`."""
        stood_by = self._worker is not None
        self._feed.stage_over = self._stage_over
        self._feed.keep_remnants()
        self._rank()
        self._background.append(asyncio.create_task(self.events.run(), name="events"))
        self._background.append(asyncio.create_task(self._cleaner.run(), name="cleaner"))
        self._take_keys(self._dispatch(), "dispatch")
        if stood_by:
            self._look_at_all()
        self.work.set_back()
        self._feed.look_at_endings()
        self.scheduler.start()

    def _take_keys(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """From now on the keys of the work queue are taken by `work`, and by nobody else."""
        if self._worker is not None:
            self._background.remove(self._worker)
            self._worker.cancel()
        self._worker = asyncio.create_task(work, name=name)
        self._background.append(self._worker)

    async def _let_go(self) -> None:
        """What a standby does with keys. Those of what exists are dropped: `start` looks at all of it. Those of what is
        gone are worked on, which writes nothing: it is forgotten.
        """
        store = self.store
        known: dict[Of, Container[str]] = {
            Of.PIPELINE: store.pipelines,
            Of.JOB: store.jobs,
            Of.CLIENT: store.clients,
        }
        while True:
            key = await self.work.get()
            if key.uid in known[key.of]:
                self.work.done(key)
            else:
                await self._work(key)

    def _look_at_all(self) -> None:
        """Everything that exists is due, as after a start; what is over comes last."""
        for pipeline in self.store.pipelines.values():
            self.work.add(Key(Of.PIPELINE, pipeline.uid), Urgency.LOW if pipeline.final else Urgency.NORMAL)
        for job in self.store.jobs.values():
            self.work.add(Key(Of.JOB, job.uid), Urgency.LOW if job.final else Urgency.NORMAL)
        for name in self.store.clients:
            self.scheduler.touch(name)

    def settings_changed(self, settings: Settings) -> None:
        """Go on with other settings; limits count from the next decision on, times for what runs or is over too."""
        before, self._settings = self._settings, settings
        self.scheduler.settings_changed(settings)
        for job in self.store.jobs.values():
            if job.holds_slot:
                self.work.add(Key(Of.JOB, job.uid))
        if settings.ttl_seconds_after_finished != before.ttl_seconds_after_finished:
            for pipeline in self.store.pipelines.values():
                if pipeline.final:
                    self.work.add(Key(Of.PIPELINE, pipeline.uid), Urgency.LOW)

    def _rank(self) -> None:
        """Put all that waits into the order before the first slot is handed out, so that it is the order of before."""
        arrived = sorted(self.store.pipelines.values(), key=lambda one: (one.created, one.namespace, one.name))
        places = [(self._of_pipelines.rank, pipeline.uid) for pipeline in arrived]
        places += [(self._of_jobs.rank, job.uid) for job in self.store.jobs.values() if not job.final]
        for rank, uid in places:
            _try(rank, uid)

    def _stage_over(self, pipeline_uid: str) -> None:
        """Put the jobs of the next stage into the order before the slot of the last job goes to another."""
        _try(self._of_pipelines.rank, pipeline_uid)

    async def stop(self) -> None:
        """Launch nothing more, let what is in flight end for a few seconds, then end everything."""
        self.scheduler.stop()
        if self._worker is not None:
            self._worker.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=DRAIN_SECONDS)
        await self.kill()

    async def kill(self) -> None:
        """End everything at once, whatever is in flight."""
        self.scheduler.stop()
        tasks = (*self._tasks, *self._background)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def streams(self) -> list[tuple[str, StreamHealth]]:
        """What is known of each watch, with the name of its resource."""
        return [(resource.plural, one.health) for resource, one in zip(cycle(_WATCHED), self.informers, strict=False)]

    @property
    def idle(self) -> bool:
        """Nothing is being worked on and nothing is due."""
        return self.work.idle and not self._tasks

    async def died(self) -> None:
        """Wait until a part that should run for ever has ended; `fault` says which."""
        await asyncio.wait(self._background, return_when=asyncio.FIRST_COMPLETED)

    def fault(self) -> str | None:
        """Why this process should be restarted, None when it is fine: a part of it has died."""
        dead = [task.get_name() for task in self._background if task.done()]
        return f"not running any more: {', '.join(dead)}" if dead else None

    async def _dispatch(self) -> None:
        while True:
            await self._limit.acquire()
            key = await self.work.get()
            task = asyncio.create_task(self._work(key))
            self._tasks.add(task)
            task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._limit.release()

    async def _work(self, key: Key) -> None:
        failed, pause, began = True, None, self.work.clock()
        try:
            await self._reconcile[key.of](key.uid)
            failed = False
        except Conflict:  # the watch is about to tell what it was about, and brings the key back at once
            pass
        except KubeError as error:
            pause = error.retry_after if isinstance(error, ApiError) else None
            log.log(
                logging.WARNING if is_transient(error) else logging.ERROR,
                "%s: %s; trying again", self._title(key), error, extra=about(self._record(key)),
            )  # fmt: skip
        except Exception:
            log.exception("%s: a fault in the operator; trying again", self._title(key), extra=about(self._record(key)))
        finally:
            self.looked(key.of.value, self.work.clock() - began)
            self.work.done(key, failed=failed, pause=pause)

    def _tell(self, before: JobRecord | PipelineRecord, after: JobRecord | PipelineRecord) -> None:
        self.events.tell(before, after)
        self.told(before, after)

    def _record(self, key: Key) -> JobRecord | PipelineRecord | None:
        return self.store.jobs.get(key.uid) or self.store.pipelines.get(key.uid)

    def _title(self, key: Key) -> str:
        if key.of is Of.CLIENT:
            return f"client {key.uid}"
        if key.of is Of.PIPELINE:
            pipeline = self.store.pipelines.get(key.uid)
            return f"pipeline {pipeline.namespace}/{pipeline.name}" if pipeline else "a pipeline that is gone"
        job = self.store.jobs.get(key.uid)
        return f"job {job.spec.name} of {job.namespace}/{job.spec.pipeline}" if job else "a job that is gone"


def _try(rank: Callable[[str], None], uid: str) -> None:
    """Give something its place; whoever looks at it next meets the same fault, and tells it."""
    with suppress(Exception):
        rank(uid)


def _informers(cluster: Cluster, feed: Feed, store: Store, namespaces: tuple[str, ...]) -> list[Informer[Any]]:
    """One informer for each resource that PipelineJobs live in, for every watched namespace."""
    informers: list[Informer[Any]] = []
    for namespace in namespaces or (None,):
        informers += [
            _jobs(cluster, feed, store, namespace),
            _workloads(cluster, PODS, PodView, feed, store, namespace),
            _workloads(cluster, KUBERNETES_JOBS, KubernetesJobView, feed, store, namespace),
            _workloads(cluster, DEPLOYMENTS, DeploymentView, feed, store, namespace),
        ]
    return informers


def _jobs(cluster: Cluster, feed: Feed, store: Store, namespace: str | None) -> Informer[Any]:
    ours = f"{LABEL_MANAGED_BY}={MANAGED_BY}"
    sink = JobSink(feed)
    informer = Informer(cluster, PIPELINE_JOBS, PipelineJobView, sink, namespace=namespace, selector=ours)
    informer.known_elsewhere = partial(store.known_jobs, namespace)
    informer.unreadable = sink.unreadable
    return informer


def _workloads(
    cluster: Cluster, resource: Any, view: Any, feed: Feed, store: Store, namespace: str | None
) -> Informer[Any]:
    sink: WorkloadSink[Any] = WorkloadSink(feed)
    informer: Informer[Any] = Informer(cluster, resource, view, sink, namespace=namespace, selector=LABEL_JOB_HASH)
    informer.known_elsewhere = partial(store.known_workloads, view, namespace)
    return informer
