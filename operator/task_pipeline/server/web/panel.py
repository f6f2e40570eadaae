"""The side panel: one job, why it waits, what was tried, its params, its YAML and its log.

Rule: the job is found as REST finds it, for the same caller. The place in the queue is computed when it is asked for,
by the operator's own order.
"""

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from task_pipeline.api.reasons import Reason
from task_pipeline.api.states import TERMINAL, State
from task_pipeline.core.explain import Place
from task_pipeline.server import jobs, logs
from task_pipeline.server.auth.callers import Verb
from task_pipeline.server.call import Call, Reply
from task_pipeline.server.models import CancelRequest, RunQuery
from task_pipeline.server.objects import owned, shown
from task_pipeline.server.order import Orders
from task_pipeline.server.problem import ProblemError, problem
from task_pipeline.server.seed import camel
from task_pipeline.server.upstream import Object
from task_pipeline.server.web import guard, looks, render
from task_pipeline.server.web.looks import Look
from task_pipeline.server.web.yamltext import to_yaml

Tab = Literal["why", "log", "params", "yaml"]
TABS: tuple[tuple[Tab, str], ...] = (("why", "Overview"), ("log", "Log"), ("params", "Params"), ("yaml", "YAML"))
assert tuple(name for name, _ in TABS) == get_args(Tab)
MOST_RENDERINGS = 2  # texts of YAML at a time, of one process


class PanelQuery(BaseModel):
    """Which part of the job."""

    model_config = ConfigDict(frozen=True)

    tab: Tab = "why"
    attempt: int | None = Field(default=None, ge=1, le=10_000)


class JobForm(guard.Form):
    """What is to be done to the job."""

    action: Literal["cancel"] = Field(description="Which action.")


@dataclass(frozen=True, slots=True)
class Opened:
    """What the panel shows. `job` is None before its stage has been opened, and `yaml` unless it is asked for."""

    name: str
    spec: Object
    job: Object | None
    look: Look
    tab: Tab
    attempt: int | None
    why: "Why"
    yaml: str | None
    final: bool

    @property
    def status(self) -> Object:
        """The job's status, empty before there is one."""
        found: Object = {} if self.job is None else self.job.get("status", {})
        return found

    @property
    def attempts(self) -> list[Object]:
        """Its attempts, the latest first."""
        return list(reversed(self.status.get("attempts", ())))

    @property
    def ended(self) -> int:
        """The latest attempt that is over, 0 for none: those up to it print no more."""
        latest: int = self.status.get("attempt") or 0
        over = any(one["attempt"] == latest and one.get("completionTime") for one in self.attempts)
        return latest if over or self.final else max(0, latest - 1)


@dataclass(frozen=True, slots=True)
class Why:
    """Why the job is as it is. `place` is its place in the order while it waits, of `total`."""

    title: str
    reason: str
    message: str
    since: str | None = None
    place: Place | None = None
    total: int = 0


class Panel:
    """The panel, its actions and its log."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._renderings = asyncio.Semaphore(MOST_RENDERINGS)

    async def fragment(self, call: Call) -> Reply:
        """GET the panel alone, for scripts."""
        query: PanelQuery = call.query
        thing = await owned(call, Verb.GET)
        opened = await self.shown(call, thing, call.path["job"], query.tab, query.attempt)
        base = f"/ui/namespaces/{call.path['namespace']}/pipelines/{call.path['name']}"
        values: dict[str, Any] = {"panel": opened, "base": base, "may_act": await may(call)}
        make = partial(render.page, call.request, "panel.html", call.services.now(), **values)
        return Reply(body=await asyncio.to_thread(make))

    async def shown(self, call: Call, thing: Object, name: str, tab: Tab, attempt: int | None) -> Opened:
        """What the panel shows of the job `name` of the Pipeline `thing`. Raises ProblemError 404, KubeError."""
        found = next((job for job in thing["spec"]["jobs"] if job["name"] == name), None)
        if found is None:
            raise problem(404, "NotFound", f"the Pipeline {thing['metadata']['name']} has no job {name}")
        job = await _found(call, name)
        spec = _plain(found)
        status: Object = {"state": State.READY.value} if job is None else job.get("status", {})
        state, reason = status.get("state", ""), status.get("reason")
        seen = looks.job_look(state, reason, bool(spec["allowFailure"]))
        if job is None:
            seen = looks.NOT_RUN if thing.get("status", {}).get("state") in TERMINAL else looks.NOT_STARTED
        return Opened(
            name=name,
            spec=spec,
            job=job,
            look=seen,
            tab=tab,
            attempt=attempt or status.get("attempt"),
            why=await self._why(call, thing, spec, job),
            yaml=await self._yaml(tab, found, job),
            final=state in TERMINAL,
        )

    async def cancel(self, call: Call) -> Reply:
        """POST: cancel the job, then back to the panel; 204 for scripts."""
        form: JobForm = call.body
        guard.check(call.request, form)
        await jobs.cancel_job(_as_rest(call, RunQuery(), CancelRequest(mode="Now")))
        path = f"/ui/namespaces/{call.path['namespace']}/pipelines/{call.path['name']}"
        return Reply(body=render.done(call.request, f"{path}?job={call.path['job']}"))

    async def log(self, call: Call) -> Reply:
        """GET the log, as REST gives it."""
        return await logs.get_logs(_as_rest(call, call.query))

    async def _why(self, call: Call, thing: Object, spec: Object, job: Object | None) -> Why:
        if job is None:
            return _why_absent(thing, spec)
        status = job.get("status", {})
        state, reason = status.get("state", ""), str(status.get("reason", ""))
        message = str(status.get("message") or "")
        if state == State.READY and reason != Reason.STOPPING:
            place, total = await self._place(call, spec["name"])
            if place is not None and not message:
                reason, message = place.reason.value, place.message or ""
            since = job["metadata"].get("creationTimestamp")
            return Why("Why it waits", reason, message, since, place, total)
        titles = {State.ERROR: "Why it failed", State.CANCELLED: "Why it was cancelled", State.DONE: "How it ended"}
        return Why(titles.get(state, "What it does"), reason, message)

    async def _yaml(self, tab: Tab, spec: Object, job: Object | None) -> str | None:
        if tab not in ("params", "yaml"):
            return None
        async with self._renderings:
            wanted = spec.get("params", {}) if tab == "params" else spec if job is None else shown(job)
            return await asyncio.to_thread(to_yaml, wanted)

    async def _place(self, call: Call, name: str) -> tuple[Place | None, int]:
        """Its place in the order of all that waits; none while that is not known."""
        try:
            places = await self._orders.current(call.services)
        except ProblemError:
            return None, 0
        path = call.path
        wanted = (path["namespace"], path["name"], name)
        found = (one for one in places if (one.namespace, one.pipeline, one.job) == wanted)
        return next(found, None), len(places)


def _plain(spec: Object) -> Object:
    """A job of a spec in the contract's own spelling, with the defaults that pages show."""
    return {"priority": 10, "retryAttempt": 0, "allowFailure": False, **camel({"jobs": [spec]})[0]["jobs"][0]}


def _why_absent(thing: Object, spec: Object) -> Why:
    """Why there is no PipelineJob."""
    status = thing.get("status", {})
    if status.get("cleanupTime"):
        return Why("Where it is", "Removed", "It was removed some time after the end of the Pipeline.")
    if status.get("state") in TERMINAL:
        return Why("Why it did not run", status.get("reason", ""), status.get("message", ""))
    stage = status.get("stage")
    if stage is None:
        return Why("Why it waits", status.get("reason") or "Queued", status.get("message") or "")
    text = f"stage {spec['stage']} opens when the stages before it are over; {stage} is open now"
    return Why("Why it waits", Reason.STAGE_NOT_REACHED.value, text)


async def _found(call: Call, name: str) -> Object | None:
    """The PipelineJob, None while there is none."""
    path = {**call.path, "job": name}
    asked = Call(call.services, call.caller, path, None, RunQuery(), {}, call.request_id, call.request)
    try:
        return await jobs.find_job(asked, Verb.GET)
    except ProblemError as error:
        if error.reason == "NotStarted":
            return None
        raise


async def may(call: Call) -> bool:
    """Whether the caller, who may see the Pipeline, may also act on it. Raises ProblemError 503."""
    try:
        await call.services.authorizer.authorize(call.caller, Verb.UPDATE, call.path["namespace"])
    except ProblemError as error:
        if error.status in (403, 404):
            return False
        raise
    return True


def _as_rest(call: Call, query: Any, body: Any = None) -> Call:
    """The call as REST's handlers want it: without a browser's headers, which mean something else there."""
    return Call(call.services, call.caller, call.path, body, query, {}, call.request_id, call.request)
