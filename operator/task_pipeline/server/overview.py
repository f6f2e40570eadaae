"""What one server process remembers of the cluster, so that questions about the queue cost the API server nothing.

Rule: it is fed by watches alone and decides nothing. Until the first lists are read it knows nothing, and says so.
"""

from typing import Any

from aiohttp import web

from task_pipeline.api.group import LABEL_MANAGED_BY, MANAGED_BY
from task_pipeline.api.resources import PIPELINE_CLIENTS, PIPELINE_JOBS, PIPELINES
from task_pipeline.cache.convert import PipelineClientView, PipelineView, client_record, job_record, pipeline_record
from task_pipeline.cache.store import Store
from task_pipeline.core.explain import Snapshot
from task_pipeline.core.records import PipelineJobView
from task_pipeline.kube.cluster import Cluster
from task_pipeline.kube.informer import Informer, StreamHealth
from task_pipeline.server.problem import problem
from task_pipeline.server.watching import Watching
from task_pipeline.settings import Settings


class Overview:
    """Records of all Pipelines, PipelineJobs and PipelineClients that the settings' namespaces hold."""

    def __init__(self, cluster: Cluster, settings: Settings) -> None:
        self.store = Store()
        self.news = News()
        self._settings = settings
        ours = f"{LABEL_MANAGED_BY}={MANAGED_BY}"
        own, sink = settings.operator_namespace, _Clients(self.store)
        informers: list[Informer[Any]] = [Informer(cluster, PIPELINE_CLIENTS, PipelineClientView, sink, namespace=own)]
        for one in settings.namespaces or (None,):
            pipelines, jobs = _Pipelines(self.store, self.news), _Jobs(self.store)
            informers.append(Informer(cluster, PIPELINES, PipelineView, pipelines, namespace=one))
            informers.append(Informer(cluster, PIPELINE_JOBS, PipelineJobView, jobs, namespace=one, selector=ours))
        self._watching = Watching(informers)

    def serve(self, app: web.Application) -> None:
        """Let it live as long as the application."""
        app.cleanup_ctx.append(self._watching.alive)

    def streams(self) -> list[tuple[str, StreamHealth]]:
        """What is known of each watch, with the name of its resource."""
        return [(one.resource.plural, one.health) for one in self._watching.informers]

    async def synced(self) -> None:
        """Wait until everything has been listed."""
        await self._watching.synced()

    def snapshot(self) -> Snapshot:
        """All records as they are known now. Raises ProblemError 503 before they have been read."""
        self.require()
        return Snapshot(
            list(self.store.pipelines.values()),
            list(self.store.jobs.values()),
            list(self.store.clients.values()),
            self._settings.max_running_jobs,
            self._settings.queue_size,
        )

    def require(self) -> None:
        """Return when everything has been read once. Raises ProblemError 503 before that."""
        if not self._watching.is_synced:
            raise problem(503, "NotReady", "the server has not read the cluster yet: ask again", retry_after=1)

    def queued(self) -> int | None:
        """How many jobs of all clients are enqueued, as the operator counts them; None before they have been read."""
        if not self._watching.is_synced:
            return None
        return sum(client.status.queued for client in self.store.clients.values())


class News:
    """Counts what the watches bring of Pipelines, so that who shows them knows whether to look again."""

    def __init__(self) -> None:
        self.pipelines = 0


class _Pipelines:
    """Where the informer of Pipelines delivers."""

    def __init__(self, store: Store, news: News) -> None:
        self._store = store
        self._news = news

    def put(self, view: PipelineView) -> None:
        self._news.pipelines += 1
        self._store.put_pipeline(pipeline_record(view, self._store.pipelines.get(view.metadata.uid)))

    def gone(self, uid: str) -> None:
        self._news.pipelines += 1
        self._store.drop_pipeline(uid)


class _Jobs:
    """Where the informer of PipelineJobs delivers."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, view: PipelineJobView) -> None:
        self._store.put_job(job_record(view))

    def gone(self, uid: str) -> None:
        self._store.drop_job(uid)


class _Clients:
    """Where the informer of PipelineClients delivers."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, view: PipelineClientView) -> None:
        self._store.put_client(client_record(view))

    def gone(self, uid: str) -> None:
        self._store.drop_client(uid)
