"""The order of all that waits, computed from what the cluster holds by the code that the operator orders by.

Rule: positions are over everything, so who may not list Pipelines in all namespaces gets `Forbidden`, never a wrong
number. The operator's own limits are not known here: where the status of an object tells a reason, that one counts.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from task_pipeline.api.resources import PIPELINE_CLIENTS, PIPELINE_JOBS, PIPELINES, Resource
from task_pipeline.cli.backend import Order, QueueRow
from task_pipeline.kube.client import HttpCluster

if TYPE_CHECKING:
    from task_pipeline.core.explain import Place
    from task_pipeline.core.records import JobRecord, PipelineRecord

OPEN = "status.state!=DONE,status.state!=ERROR,status.state!=CANCELLED"
PAGE = 500
Wanted = tuple[str | None, str | None, str | None]  # namespace, Pipeline, client
V = TypeVar("V")


class _Meta(msgspec.Struct):
    continue_: str = msgspec.field(default="", name="continue")


class _Page(msgspec.Struct):
    metadata: _Meta
    items: list[msgspec.Raw]


async def order(api: HttpCluster, clients_in: str, wanted: Wanted) -> Order:
    """The rows that are wanted, at their places among all. Raises KubeError."""
    from task_pipeline.cache import convert  # these need pydantic, which costs a quarter of a second
    from task_pipeline.core.explain import Snapshot, what_runs_next
    from task_pipeline.core.records import PipelineJobView

    views = await _views(api, PIPELINES, None, OPEN, convert.PipelineView)
    pipelines = [convert.pipeline_record(view, None) for view in views]
    jobs = [convert.job_record(v) for v in await _views(api, PIPELINE_JOBS, None, OPEN, PipelineJobView)]
    for one in pipelines:
        if one.status.kept is not None and one.status.divided is None:  # what it took over says which jobs are left
            done = f"spec.pipeline={one.name},status.state=DONE"
            jobs += [
                convert.job_record(v) for v in await _views(api, PIPELINE_JOBS, one.namespace, done, PipelineJobView)
            ]
    clients = await _views(api, PIPELINE_CLIENTS, clients_in, None, convert.PipelineClientView)
    records = [convert.client_record(view) for view in clients]
    places = what_runs_next(Snapshot(pipelines, jobs, records, None, None), datetime.now(UTC))
    told = _Told(pipelines, jobs)
    namespace, pipeline, client = wanted
    rows = [
        told.row(place)
        for place in places
        if namespace in (None, place.namespace)
        and pipeline in (None, place.pipeline)
        and client in (None, place.client)
    ]
    return Order(rows, total=len(places))


class _Told:
    """What the status of each object says of its wait."""

    def __init__(self, pipelines: "list[PipelineRecord]", jobs: "list[JobRecord]") -> None:
        self._said: dict[tuple[str, str, str | None], tuple[str | None, str | None]] = {
            (one.namespace, one.name, None): (one.status.reason, one.status.message) for one in pipelines
        }
        for job in jobs:
            if job.waiting:
                said = job.status.reason, job.status.message
                self._said[job.namespace, job.spec.pipeline, job.spec.name] = said

    def row(self, place: "Place") -> QueueRow:
        """The place with the reason that is told, unless that is only the default."""
        reason, message = self._said.get((place.namespace, place.pipeline, place.job), (None, None))
        if reason in (None, "Queued", "StageRunning"):
            reason, message = place.reason.value, place.message
        return QueueRow(
            place.position,
            place.namespace,
            place.pipeline,
            place.job,
            place.jobs,
            place.client,
            dict(place.key),
            str(reason),
            message,
            place.since.isoformat(),
        )


async def _views(
    api: HttpCluster, resource: Resource, namespace: str | None, fields: str | None, view: type[V]
) -> list[V]:
    """All objects, decoded; one that cannot be read is passed over, as the operator does."""
    found: list[V] = []
    decode = msgspec.json.Decoder(view).decode
    token: str | None = None
    while True:
        raw: Any = await api.list(resource, namespace, fields=fields, limit=PAGE, continue_token=token)
        page = msgspec.json.decode(raw, type=_Page)
        for item in page.items:
            try:
                found.append(decode(item))
            except msgspec.ValidationError:
                continue
        token = page.metadata.continue_
        if not token:
            return found
