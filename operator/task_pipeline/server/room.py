"""Whether there is room in the queue for another submit.

Rule: nothing is promised and nothing is reserved. The counts are those that the operator writes into PipelineClients,
at most every ten seconds: they keep a flood out, and the window of the queue itself stays the operator's.
"""

import msgspec

from task_pipeline.api.resources import PIPELINE_CLIENTS
from task_pipeline.cache.convert import PipelineClientView
from task_pipeline.core.records import ClientRecord
from task_pipeline.server.problem import problem
from task_pipeline.server.services import Services
from task_pipeline.server.upstream import persistently

RETRY_SECONDS = 10.0


class _Clients(msgspec.Struct):
    items: tuple[PipelineClientView, ...]


async def check(services: Services, client: ClientRecord | None) -> None:
    """Raise ProblemError 429 when the queue of `client`, or the queue of all, takes no more; raises KubeError."""
    if client is not None and client.queue_size is not None:
        _check("ClientQueueFull", f"the queue of {client.name}", client.status.queued, client.queue_size)
    size = services.settings.queue_size
    if size is not None:
        _check("QueueFull", "the queue", await _queued(services), size)


def _check(reason: str, what: str, queued: int, size: int) -> None:
    if size == 0:
        raise problem(429, reason, f"{what} is closed", retry_after=RETRY_SECONDS)
    if queued >= size:
        text = f"{what} is full, {queued}/{size} jobs: submit again when some of them have ended"
        raise problem(429, reason, text, retry_after=RETRY_SECONDS)


async def _queued(services: Services) -> int:
    """How many jobs of all clients are enqueued.

    From memory where that is possible: a list that has to be the newest can wait for 100 ms in the API server until its
    cache knows that nothing has changed.
    """
    known = services.queued()
    if known is not None:
        return known
    namespace = services.settings.operator_namespace
    raw = await persistently(lambda: services.cluster.list(PIPELINE_CLIENTS, namespace, limit=0))
    return sum(client.status.queued for client in msgspec.json.decode(raw, type=_Clients).items)
