"""GET /queue, /clients/{id}, /clients/{id}/queue: what runs next and why, and what a client has and uses.

Rule: the order is computed by the code that the operator orders by, from what the cluster holds, at most once a second.
Whoever may see all Pipelines sees every row. A client sees its own rows, at their true positions, and of the others how
many there are.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from task_pipeline.api.common import Text
from task_pipeline.core.explain import Place, what_runs_next
from task_pipeline.core.records import ClientRecord
from task_pipeline.server.answers import Answer
from task_pipeline.server.auth.callers import EVERY_NAMESPACE, Caller, CallerKind
from task_pipeline.server.call import Call, Reply
from task_pipeline.server.overview import Overview
from task_pipeline.server.problem import problem
from task_pipeline.server.routes import API, Access, Route
from task_pipeline.server.services import Services
from task_pipeline.server.visibility import may_list

FRESH = timedelta(seconds=1)
MAX_ROWS = 1000


class QueueQuery(BaseModel):
    """Which part of the order."""

    model_config = ConfigDict(frozen=True)

    limit: Annotated[int, Field(ge=1, le=MAX_ROWS)] = Field(default=100, description="How many rows, from the first.")
    pipeline: Annotated[str, Field(max_length=253)] | None = Field(
        default=None, description="Only rows of Pipelines of this name."
    )
    namespace: Annotated[str, Field(max_length=63)] | None = Field(
        default=None, description="Only rows of this namespace."
    )


class Row(Answer):
    """One place in the order."""

    position: int = Field(description="From 1, counting the rows of everybody.")
    namespace: str
    pipeline: str
    job: str | None = Field(default=None, description="Absent for a Pipeline that waits as a whole.")
    jobs: int = Field(description="How many jobs wait at this place.")
    client: str
    key: dict[str, int | str] = Field(description="What was compared, in the order of the comparison.")
    reason: str
    message: str | None = None
    since: str = Field(description="Since when it waits.")


class Order(Answer):
    """What waits, first what runs first."""

    items: list[Row]
    total: int = Field(description="How many rows there are, those of others included.")
    hidden: int = Field(description="How many of them are others' and not shown.")


class ClientView(Answer):
    """A client: what it may use, and what it uses."""

    name: str
    priority: int
    running: int
    queued: int
    max_running_jobs: int | None = Field(default=None, description="Absent: unlimited.")
    queue_size: int | None = Field(default=None, description="Absent: unlimited.")
    suspended: bool
    max_wait_seconds: float | None = None
    namespaces: list[Text]
    allowed_kinds: list[str] | None = None
    highest_priority: int | None = None


class Orders:
    """The routes about the order, over one Overview."""

    def __init__(self, overview: Overview) -> None:
        self._overview = overview
        self._places: Sequence[Place] = ()
        self._made: Any = None
        self._making = asyncio.Lock()

    @property
    def routes(self) -> tuple[Route, ...]:
        """The three routes."""
        client = f"{API}/clients/{{id}}"
        order: dict[int, type[BaseModel] | None] = {200: Order}
        return (
            Route("GET", f"{API}/queue", self.queue, Access.CALLER, "What runs next, and why", query=QueueQuery,
                  answers=order, problems=frozenset({400})),
            Route("GET", f"{client}/queue", self.queue_of_client, Access.CALLER, "What of a client runs next, and why",
                  query=QueueQuery, answers=order, problems=frozenset({400, 404})),
            Route("GET", client, self.client, Access.CALLER, "A client's limits and what it uses",
                  answers={200: ClientView}, problems=frozenset({404})),
        )  # fmt: skip

    async def queue(self, call: Call) -> Reply:
        """The order, as far as the caller may see it."""
        everything = await sees_everything(call.services, call.caller)
        own = call.caller.client
        if not everything and own is None:
            raise problem(403, "Forbidden", "only who may list Pipelines in all namespaces may read the whole queue")
        return Reply(body=_order(await self.current(call.services), call.query, None if everything else own))

    async def queue_of_client(self, call: Call) -> Reply:
        """The rows of one client."""
        client = await self._client(call)
        return Reply(body=_order(await self.current(call.services), call.query, client.name))

    async def client(self, call: Call) -> Reply:
        """The client itself."""
        record = await self._client(call)
        return Reply(
            body=ClientView(
                name=record.name,
                priority=record.priority,
                running=record.status.running,
                queued=record.status.queued,
                max_running_jobs=record.max_running_jobs,
                queue_size=record.queue_size,
                suspended=record.suspend,
                max_wait_seconds=record.max_wait_seconds,
                namespaces=sorted(record.namespaces),
                allowed_kinds=None if record.allowed_kinds is None else sorted(record.allowed_kinds),
                highest_priority=record.highest_priority,
            )
        )

    async def _client(self, call: Call) -> ClientRecord:
        """The client of the path, if the caller is it or sees everything; 404 in every other case."""
        name = call.path["id"]
        self._overview.snapshot()
        found = self._overview.store.clients.get(name)
        own = call.caller.client == name
        if found is None or not (own or await sees_everything(call.services, call.caller)):
            raise problem(404, "NotFound", f"there is no client {name}")
        return found

    async def current(self, services: Services) -> Sequence[Place]:
        """The order, no older than FRESH; computed off the event loop, by one request for all that ask meanwhile."""
        async with self._making:
            now = services.now()
            if self._made is None or now - self._made > FRESH:
                snapshot = self._overview.snapshot()
                self._places = await asyncio.to_thread(what_runs_next, snapshot, now)
                self._made = now
            return self._places


def _order(places: Sequence[Place], query: QueueQuery, client: str | None) -> Order:
    mine = [place for place in places if client in (None, place.client)]
    wanted = [
        place
        for place in mine
        if query.pipeline in (None, place.pipeline) and query.namespace in (None, place.namespace)
    ]
    rows = [_row(place) for place in wanted[: query.limit]]
    return Order(items=rows, total=len(places), hidden=len(places) - len(mine))


def _row(place: Place) -> Row:
    return Row(
        position=place.position,
        namespace=place.namespace,
        pipeline=place.pipeline,
        job=place.job,
        jobs=place.jobs,
        client=place.client,
        key=dict(place.key),
        reason=place.reason.value,
        message=place.message,
        since=place.since.isoformat(),
    )


async def sees_everything(services: Services, caller: Caller) -> bool:
    """Whether the caller may see the rows of everybody. Raises ProblemError 503."""
    return caller.kind is CallerKind.ACCOUNT and await may_list(services, caller, EVERY_NAMESPACE)
