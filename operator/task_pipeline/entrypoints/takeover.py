"""What a standby does between being elected and working."""

from task_pipeline.api.group import LABEL_MANAGED_BY, LABEL_PIPELINE_UID, MANAGED_BY
from task_pipeline.api.resources import PIPELINE_CLIENTS, PIPELINE_JOBS, PIPELINES
from task_pipeline.cache.convert import PipelineClientView, PipelineView
from task_pipeline.cache.store import Store
from task_pipeline.controller.runtime import Runtime
from task_pipeline.core.records import PipelineJobView, PipelineRecord
from task_pipeline.core.rerun import wish
from task_pipeline.entrypoints.listing import list_into
from task_pipeline.kube.cluster import Cluster
from task_pipeline.leadership.catch_up import Kept, catch_up
from task_pipeline.settings import Settings

OURS = f"{LABEL_MANAGED_BY}={MANAGED_BY}"


async def look_again(cluster: Cluster, settings: Settings, runtime: Runtime) -> int:
    """Make the Store at least as new as this call; returns how many objects it had not known as they are.

    Clients are few and are listed as a whole; of Pipelines and PipelineJobs only what was missed is read. A PipelineJob
    that began and ended unseen is not among those that live: where some are missing, all of their Pipeline are listed,
    for else they would be taken for deleted.
    """
    await _list_clients(cluster, settings.operator_namespace, runtime)
    store, namespaces = runtime.store, settings.namespaces or (None,)
    pipelines = Kept(PIPELINES, namespaces, None, PipelineView, store.pipelines.values, runtime.pipelines)
    jobs = Kept(
        PIPELINE_JOBS, namespaces, OURS, PipelineJobView, store.jobs.values, runtime.jobs, runtime.jobs.unreadable
    )
    news = await catch_up(cluster, (pipelines, jobs))
    for pipeline in [one for one in store.pipelines.values() if _lacks_jobs(store, one)]:
        known = len(store.jobs)
        selector = f"{OURS},{LABEL_PIPELINE_UID}={pipeline.uid}"
        await list_into(
            cluster, PIPELINE_JOBS, pipeline.namespace, PipelineJobView, runtime.jobs.put, selector=selector
        )
        news += len(store.jobs) - known
    return news


async def _list_clients(cluster: Cluster, namespace: str, runtime: Runtime) -> None:
    """Know every client as it is now, and none that is gone: nothing of those is launched."""
    before, listed = {client.uid for client in runtime.store.clients.values()}, set[str]()

    def put(view: PipelineClientView) -> None:
        listed.add(view.metadata.uid)
        runtime.clients.put(view)

    await list_into(cluster, PIPELINE_CLIENTS, namespace, PipelineClientView, put)
    for uid in before - listed:
        runtime.clients.gone(uid)


def _lacks_jobs(store: Store, pipeline: PipelineRecord) -> bool:
    """Whether PipelineJobs of a Pipeline that will be asked for are not in the Store."""
    if pipeline.deleting or pipeline.spec is None or (pipeline.final and wish(pipeline) is None):
        return False
    divided = -1 if pipeline.status.divided is None else pipeline.status.divided
    tally = store.tally_of(pipeline)
    stages = [(index, total, tally.stage(index)) for index, total in enumerate(pipeline.spec.stage_totals)]
    return any(
        stage.done < stage.kept or (index <= divided and stage.existing < total) for index, total, stage in stages
    )
