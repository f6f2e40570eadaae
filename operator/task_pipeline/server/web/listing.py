"""/ui: the Pipelines that the caller may see, newest first, with filters that stand in the URL."""

from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Literal
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field

from task_pipeline.api.states import State
from task_pipeline.core.records import PipelineRecord
from task_pipeline.server import places
from task_pipeline.server.call import Call, Reply
from task_pipeline.server.visibility import are_part
from task_pipeline.server.web import looks, render, sending
from task_pipeline.server.web.board import stage_looks
from task_pipeline.server.web.looks import Look
from task_pipeline.server.web.shelf import Shelf, Shown, client_of, narrowed, scope_of

ROWS = 50
MAX_PAGES = 1000
MAX_DOTS = 16  # stages of a row that are drawn
SECONDS = 1.0  # between two looks of a stream
PATH = "/ui"


class ListQuery(BaseModel):
    """The filters; what is empty filters nothing."""

    model_config = ConfigDict(frozen=True)

    namespace: Annotated[str, Field(max_length=63)] = ""
    client: Annotated[str, Field(max_length=253)] = ""
    state: Literal["", State.READY, State.IN_PROGRESS, State.DONE, State.ERROR, State.CANCELLED] = ""
    q: Annotated[str, Field(max_length=253)] = ""
    page: Annotated[int, Field(ge=1, le=MAX_PAGES)] = 1

    def url(self, path: str = PATH, **other: str | int) -> str:
        """The URL of this list with other filters; a change leads to its first page."""
        values = {**self.model_dump(mode="json"), "page": 1, **other}
        query = urlencode({name: value for name, value in values.items() if value not in ("", 1)})
        return f"{path}?{query}" if query else path


@dataclass(frozen=True, slots=True)
class Row:
    """One Pipeline of the list. `stages` are (name, look, done of total)."""

    record: PipelineRecord
    look: Look
    client: str
    stages: tuple[tuple[str, Look, str], ...]
    more: int

    @property
    def graph(self) -> str:
        """The stages in words."""
        rest = f", and {self.more} more" if self.more else ""
        return ", ".join(f"{name} {look.word}{extent}" for name, look, extent in self.stages) + rest


class Listing:
    """The page and its stream."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def page(self, call: Call) -> Reply:
        """GET the page."""
        query: ListQuery = call.query
        scope = await scope_of(call.services, call.caller)
        found = [None] if scope.namespaces is None else list(scope.namespaces)
        part = places.MOST if await are_part(call.services, call.caller, found) else None
        shown = self._shelf.shown(scope)
        rows, more = _rows(shown, query)
        names = sorted({record.namespace for record in shown.records})
        clients = sorted({client_of(record) for record in shown.records} - {""})
        made = render.page(
            call.request, "list.html", call.services.now(), query=query, rows=rows, more=more, places=names,
            part=part, clients=clients, states=_states(shown), total=len(shown.records),
            stream=query.url(f"{PATH}/stream", page=query.page),
        )  # fmt: skip
        return Reply(body=made)

    async def stream(self, call: Call) -> Reply:
        """GET what changes in the page: all rows at first, then those that changed."""
        query: ListQuery = call.query
        await scope_of(call.services, call.caller)
        changes, edition, order = sending.Changes(), -1, [""]

        async def look() -> list[str] | None:
            nonlocal edition, order
            if edition == self._shelf.edition:
                return None
            shown = self._shelf.shown(await scope_of(call.services, call.caller))
            if edition == shown.edition:
                return None
            edition = shown.edition
            rows, _ = _rows(shown, query)
            parts = {row.record.uid: str(render.parts.row(row, None)) for row in rows}
            head = {"states": str(render.parts.states(query, _states(shown), len(shown.records)))}
            changed, known = changes.of(parts | head), order
            order = list(parts)
            return changed if order == known else [*head.values(), str(render.parts.rows(rows, None))]

        return Reply(body=await sending.follow(call, look, SECONDS))


def _rows(shown: Shown, query: ListQuery) -> tuple[list[Row], bool]:
    """The rows of the page, and whether there is another page."""
    found = narrowed(shown.records, namespace=query.namespace, client=query.client, state=query.state, text=query.q)
    first = (query.page - 1) * ROWS
    wanted = list(islice(found, first, first + ROWS + 1))
    return [row_of(record) for record in wanted[:ROWS]], len(wanted) > ROWS


def _states(shown: Shown) -> list[tuple[str, Look, int]]:
    return [(state.value, looks.look(state.value), shown.states[state]) for state in State]


def row_of(record: PipelineRecord) -> Row:
    """The row of a Pipeline."""
    status = record.status
    seen = zip(status.stages, stage_looks(status), strict=True)
    known = [(one.name, look, f" {one.done} of {one.total}") for one, look in seen]
    if not known and record.spec is not None:
        absent = looks.NOT_RUN if record.final else looks.NOT_STARTED
        known = [(name, absent, "") for name in record.spec.stages]
    look = looks.look(status.state, status.reason)
    return Row(record, look, client_of(record), tuple(known[:MAX_DOTS]), max(0, len(known) - MAX_DOTS))
