"""/ui/namespaces/NAMESPACE/pipelines/NAME: one Pipeline, its stream, and what may be done to it.

Rule: what is shown is read from the API server as REST reads it, for the same caller; the stream is that of REST's
/watch, from the very place at which the page was read, so that nothing is missed and any replica can go on with it.
"""

import asyncio
from functools import partial
from typing import Any, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field

from task_pipeline.api.group import LABEL_PIPELINE_UID
from task_pipeline.api.resources import PIPELINE_JOBS
from task_pipeline.core.records import PipelineJobView
from task_pipeline.server import actions
from task_pipeline.server.auth.callers import Verb
from task_pipeline.server.call import Call, Reply
from task_pipeline.server.models import CancelRequest, RerunRequest
from task_pipeline.server.objects import owned
from task_pipeline.server.upstream import Object, persistently
from task_pipeline.server.web import guard, render
from task_pipeline.server.web.board import Board, decode_jobs
from task_pipeline.server.web.panel import Panel, Tab, may

PATH = "/ui/namespaces/{namespace}/pipelines/{name}"
PAGE = 500
Action = Literal["cancel", "drain", "suspend", "resume", "rerun", "rerun-all"]


class PageQuery(BaseModel):
    """Which job's panel is open."""

    model_config = ConfigDict(frozen=True)

    job: str = Field(default="", max_length=63)
    tab: Tab = "why"
    attempt: int | None = Field(default=None, ge=1, le=10_000)


class ActionForm(guard.Form):
    """What is to be done to the Pipeline."""

    action: Action = Field(description="Which action.")


class Pages:
    """The page and the actions."""

    def __init__(self, panel: Panel) -> None:
        self._panel = panel

    async def page(self, call: Call) -> Reply:
        """GET the page."""
        query: PageQuery = call.query
        thing = await owned(call, Verb.GET)
        jobs, place = await jobs_of(call, thing["metadata"])
        thing = await owned(call, Verb.GET)  # no older than the jobs
        may_act = await may(call)
        panel = None
        if query.job:
            panel = await self._panel.shown(call, thing, query.job, query.tab, query.attempt)
        board = Board(thing, jobs)
        base = url_of(thing["metadata"])
        make = partial(
            render.page, call.request, "pipeline.html", call.services.now(), board=board, head=board.head(), base=base,
            may_act=may_act, place=place, panel=panel, stream=f"{base}/stream?place={place}", open_job=query.job,
        )  # fmt: skip
        return Reply(body=await asyncio.to_thread(make))

    async def act(self, call: Call) -> Reply:
        """POST an action, then back to the page; 204 for scripts."""
        form: ActionForm = call.body
        guard.check(call.request, form)
        handler, body = _ACTIONS[form.action]
        await handler(with_body(call, body))
        place = url_of({"namespace": call.path["namespace"], "name": call.path["name"]})
        return Reply(body=render.done(call.request, place))


_ACTIONS: dict[str, tuple[Any, Any]] = {
    "cancel": (actions.cancel, CancelRequest(mode="Now")),
    "drain": (actions.cancel, CancelRequest(mode="Drain")),
    "suspend": (actions.suspend, None),
    "resume": (actions.resume, None),
    "rerun": (actions.rerun, RerunRequest(scope="Failed")),
    "rerun-all": (actions.rerun, RerunRequest(scope="All")),
}


def with_body(call: Call, body: Any) -> Call:
    """The call as REST's handler wants it: without the headers of a browser, which mean something else there."""
    return Call(call.services, call.caller, call.path, body, call.query, {}, call.request_id, call.request)


def url_of(metadata: Object) -> str:
    """The path of a Pipeline's page."""
    return f"/ui/namespaces/{quote(metadata['namespace'])}/pipelines/{quote(metadata['name'])}"


async def jobs_of(call: Call, metadata: Object) -> tuple[list[PipelineJobView], str]:
    """The PipelineJobs of a Pipeline, of all runs, and the place from which a stream goes on. Raises KubeError."""
    selector = f"{LABEL_PIPELINE_UID}={metadata['uid']}"
    jobs: list[PipelineJobView] = []
    token, place = "", ""
    while True:
        read = partial(
            call.services.cluster.list, PIPELINE_JOBS, metadata["namespace"], selector=selector, limit=PAGE,
            continue_token=token or None,
        )  # fmt: skip
        items, token, version = decode_jobs(await persistently(read))
        jobs += items
        place = place or version
        if not token:
            return jobs, place
