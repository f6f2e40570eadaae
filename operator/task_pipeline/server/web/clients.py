"""/ui/clients and /ui/clients/ID: what each client may use, what it uses, and what waits in which order.

Rule: the same rows as REST's /queue and /clients give the same caller. A client sees itself, its own places in the
order of all, and how many others wait; who may list Pipelines in all namespaces sees everything.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from task_pipeline.core.explain import Place
from task_pipeline.core.records import ClientRecord
from task_pipeline.server.call import Call, Reply
from task_pipeline.server.order import Orders, sees_everything
from task_pipeline.server.overview import Overview
from task_pipeline.server.problem import problem
from task_pipeline.server.web import render, sending

PATH = "/ui/clients"
ROWS = 200
SECONDS = 2.0


class ClientQuery(BaseModel):
    """The one client of a stream; all that may be seen if empty."""

    model_config = ConfigDict(frozen=True)

    client: str = Field(default="", max_length=253)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a caller sees. `places` are the first ROWS of `waiting`; `hidden` are others' places."""

    clients: Sequence[ClientRecord]
    places: Sequence[Place]
    waiting: int
    hidden: int
    total: int
    limit: int | None
    running: int
    size: int | None
    single: bool


class Clients:
    """The pages and their stream."""

    def __init__(self, overview: Overview, orders: Orders) -> None:
        self._overview = overview
        self._orders = orders

    async def page(self, call: Call) -> Reply:
        """GET the page, of all clients or of one."""
        name = call.path.get("id", "")
        seen = await self._seen(call, name)
        made = render.page(
            call.request, "clients.html", call.services.now(), seen=seen, name=name,
            stream=f"{PATH}-stream?client={name}" if name else f"{PATH}-stream",
        )  # fmt: skip
        return Reply(body=made)

    async def stream(self, call: Call) -> Reply:
        """GET what changes in it."""
        query: ClientQuery = call.query
        changes = sending.Changes()
        await self._seen(call, query.client)

        async def look() -> list[str]:
            seen = await self._seen(call, query.client)
            return changes.of({"slots": str(render.parts.slots(seen)), "order": str(render.parts.order(seen, None))})

        return Reply(body=await sending.follow(call, look, SECONDS))

    async def _seen(self, call: Call, name: str) -> Seen:
        """What the caller may see of the client `name`, "" for all. Raises ProblemError 403, 404, 503."""
        self._overview.require()
        everything, own = await sees_everything(call.services, call.caller), call.caller.client
        known = self._overview.store.clients
        if not everything and own is None:
            raise problem(403, "Forbidden", "only who may list Pipelines in all namespaces may read the whole queue")
        if name and (name not in known or not (everything or name == own)):
            raise problem(404, "NotFound", f"there is no client {name}")
        only = name or (None if everything else own)
        places = await self._orders.current(call.services)
        mine = [place for place in places if only in (None, place.client)]
        settings = call.services.settings
        return Seen(
            clients=[record for _, record in sorted(known.items()) if only in (None, record.name)],
            places=mine[:ROWS],
            waiting=len(mine),
            hidden=len(places) - len(mine),
            total=len(places),
            limit=settings.max_running_jobs if everything else None,
            running=sum(record.status.running for record in known.values()) if everything else 0,
            size=settings.queue_size if everything else None,
            single=bool(name),
        )
