"""The backend over the Kubernetes API, with the user's own kubeconfig and rights."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import orjson

from task_pipeline.api.group import API_VERSION, LABEL_PIPELINE_UID, PIPELINE_KIND
from task_pipeline.api.resources import PIPELINE_CLIENTS, PIPELINE_JOBS, PIPELINES, Resource
from task_pipeline.cli import kube_logs, kube_queue, kube_watch
from task_pipeline.cli.backend import (
    Action,
    Cancel,
    ClientRow,
    Event,
    InvalidManifest,
    ListQuery,
    LogQuery,
    Made,
    Object,
    Order,
    Summary,
    newest,
)
from task_pipeline.cli.edits import edit_of
from task_pipeline.cli.kube_api import Api
from task_pipeline.cli.kubeconfig import Access
from task_pipeline.cli.repeating import PAUSE, retried
from task_pipeline.kube.errors import AlreadyExists, Conflict, Invalid, KubeError, NotFound, Overloaded, is_transient

EDIT_TRIES = 5
PAGE = 500
FIRST_PAGE = 100  # small, so that the first lines are there at once
_RANDOM = "bcdfghjklmnpqrstvwxz2456789"  # as Kubernetes makes up the end of a name


class KubeBackend:
    """See `backend.Backend`. `clients_in` is the operator's namespace, where PipelineClients live."""

    def __init__(self, access: Access, *, timeout: float, clients_in: str) -> None:
        self.place, self.namespace = access.place, access.namespace
        self._clients_in = clients_in
        self.api = Api(access.connection, connections=4, timeout=timeout)

    async def close(self) -> None:
        await self.api.close()

    async def create(self, namespace: str, manifest: Object, *, dry_run: bool = False) -> Object:
        body = _named(manifest, namespace)
        try:
            made = await retried(lambda: self.api.submit(PIPELINES, namespace, body, dry_run=dry_run), _was_not_taken)
            return _whole(made, PIPELINES)
        except AlreadyExists:
            raise
        except Invalid as error:
            raise InvalidManifest(error.message) from error

    async def summaries(self, query: ListQuery) -> AsyncIterator[list[Summary]]:
        wanted = _selection(query) | {"includeObject": "None" if query.namespace else "Metadata"}
        async for page in self._pages(lambda part: self.api.table(PIPELINES, query.namespace, wanted | part), query):
            names = [column["name"].lower() for column in page["columnDefinitions"]]
            yield [_summary(dict(zip(names, row["cells"], strict=True)), row, query) for row in page["rows"] or ()]

    async def pipelines(self, query: ListQuery) -> AsyncIterator[list[Object]]:
        chosen = _selection(query)

        async def fetch(part: dict[str, str]) -> bytes:
            return await self.api.list(
                PIPELINES,
                query.namespace,
                selector=chosen.get("labelSelector"),
                fields=chosen.get("fieldSelector"),
                limit=int(part["limit"]),
                continue_token=part.get("continue"),
            )

        async for page in self._pages(fetch, query):
            yield [_shown(thing, PIPELINES) for thing in page["items"]]

    async def _pages(
        self, fetch: Callable[[dict[str, str]], Awaitable[bytes]], query: ListQuery
    ) -> AsyncIterator[dict[str, Any]]:
        left, size, token = query.limit, FIRST_PAGE, ""
        while left is None or left > 0:
            part = {"limit": str(size if left is None else min(size, left))} | ({"continue": token} if token else {})
            page: dict[str, Any] = orjson.loads(await retried(lambda part=part: fetch(part)))  # type: ignore[misc]
            yield page
            token = page["metadata"].get("continue") or ""
            if not token:
                return
            size = PAGE
            left = None if left is None else left - len(page.get("rows") or page.get("items") or ())

    async def latest(self, namespace: str) -> list[str]:
        found: list[Made] = []
        token = None
        while True:
            raw = await retried(
                lambda token=token: self.api.list(  # type: ignore[misc]
                    PIPELINES, namespace, limit=PAGE, continue_token=token, metadata_only=True
                )
            )
            page = orjson.loads(raw)
            found = newest(found, page["items"])
            token = page["metadata"].get("continue")
            if not token:
                break
        if not found:
            raise NotFound(404, "NotFound", f"there is no Pipeline in the namespace {namespace}")
        return [one.name for one in found]

    async def pipeline(self, namespace: str, name: str) -> Object:
        try:
            return _whole(await retried(lambda: self.api.get(PIPELINES, namespace, name)), PIPELINES)
        except NotFound as error:
            raise missing(error, namespace, name) from error

    async def jobs(self, pipeline: Object) -> list[Object]:
        meta = pipeline["metadata"]
        place, selector = meta["namespace"], _of(meta["uid"])
        found, _ = await retried(lambda: kube_watch.listed(self.api, PIPELINE_JOBS, place, selector=selector))
        return [_shown(thing, PIPELINE_JOBS) for thing in found]

    async def act(self, namespace: str, name: str, action: Action) -> Object:
        for attempt in range(EDIT_TRIES):
            thing = await self.pipeline(namespace, name)
            resource = PIPELINES
            if isinstance(action, Cancel) and action.job is not None:
                thing, resource = await self._job(thing, action.job), PIPELINE_JOBS
            spec = edit_of(action, thing)
            if spec is None:
                return thing
            meta = thing["metadata"]
            body = {"metadata": {"resourceVersion": meta["resourceVersion"]}, "spec": spec}
            try:
                return _whole(await self.api.edit(resource, namespace, meta["name"], body), resource)
            except KubeError as error:  # a write whose answer was lost is found done at the next look
                if attempt == EDIT_TRIES - 1 or not (isinstance(error, Conflict) or is_transient(error)):
                    raise
                await asyncio.sleep(PAUSE * attempt)
        raise AssertionError("unreachable")

    async def _job(self, pipeline: Object, name: str) -> Object:
        of_run = pipeline.get("status", {}).get("run", 1)
        for job in await self.jobs(pipeline):
            if job["spec"]["name"] == name and job["spec"]["run"] == of_run:
                return job
        where = f"{pipeline['metadata']['name']}"
        raise NotFound(404, "NotFound", f"the Pipeline {where} has no job {name} that exists; see `get {where}`")

    async def delete(self, namespace: str, name: str) -> None:
        uid = (await self.pipeline(namespace, name))["metadata"]["uid"]
        try:
            await self.api.delete(PIPELINES, namespace, name, uid=uid)
        except NotFound as error:
            raise missing(error, namespace, name) from error

    async def events(self, namespace: str, name: str) -> AsyncIterator[Event]:
        pipeline = await self.pipeline(namespace, name)
        yield Event("pipeline", pipeline)
        async for event in kube_watch.events(self.api, pipeline):
            yield event

    async def log(self, pipeline: Object, job: Object, query: LogQuery) -> AsyncIterator[bytes]:
        async for piece in kube_logs.read(self.api, job, query):
            yield piece

    async def order(self, namespace: str | None, pipeline: str | None, client: str | None) -> Order:
        return await kube_queue.order(self.api, self._clients_in, (namespace, pipeline, client))

    async def clients(self) -> list[ClientRow]:
        found, _ = await kube_watch.listed(self.api, PIPELINE_CLIENTS, self._clients_in)
        return [_client(thing) for thing in found]

    async def kinds(self) -> list[Object]:
        from task_pipeline.cli.own_kinds import kinds  # needs pydantic

        return kinds()


def _was_not_taken(error: KubeError) -> bool:
    """Whether the request was surely not carried out, and may be later."""
    return isinstance(error, Overloaded)


def missing(error: NotFound, namespace: str, name: str) -> NotFound:
    """What to say instead of `error`: of the Pipeline, or that the CRDs are not installed."""
    if "the server could not find the requested resource" in error.message:
        return NotFound(404, "NotFound", "this cluster knows no Pipelines: install the CRDs, or take another --context")
    return NotFound(404, "NotFound", f"there is no Pipeline {name} in the namespace {namespace}")


def _named(manifest: Object, namespace: str) -> Object:
    """The manifest with a name of its own in place of generateName, so that a lost answer can be looked up."""
    metadata = dict(manifest.get("metadata") or {})
    metadata["namespace"] = namespace
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = metadata.pop("generateName") + "".join(secrets.choice(_RANDOM) for _ in range(5))
    return {**manifest, "apiVersion": API_VERSION, "kind": PIPELINE_KIND, "metadata": metadata}


def _selection(query: ListQuery) -> dict[str, str]:
    fields = [f"status.state={query.state}"] if query.state else []
    fields += [f"spec.clientId={query.client}"] if query.client else []
    chosen = {"labelSelector": query.selector, "fieldSelector": ",".join(fields)}
    return {name: value for name, value in chosen.items() if value}


def _summary(cells: dict[str, Any], row: dict[str, Any], query: ListQuery) -> Summary:
    meta = (row.get("object") or {}).get("metadata") or {}
    words = {name: "" if cells.get(name) is None else str(cells[name]) for name in Summary._fields}
    return Summary(**words | {"namespace": query.namespace or meta.get("namespace", "")})


def _of(uid: str) -> str:
    return f"{LABEL_PIPELINE_UID}={uid}"


def _whole(raw: bytes, resource: Resource) -> Object:
    return _shown(orjson.loads(raw), resource)


def _shown(thing: Object, resource: Resource) -> Object:
    """The object as people want it: with its kind, without managedFields."""
    metadata = {name: value for name, value in thing["metadata"].items() if name != "managedFields"}
    return {"apiVersion": resource.api_version, "kind": resource.kind} | thing | {"metadata": metadata}


def _client(thing: Object) -> ClientRow:
    spec, status = thing.get("spec", {}), thing.get("status", {})
    return ClientRow(
        name=thing["metadata"]["name"],
        priority=spec.get("priority", 10),
        running=status.get("running", 0),
        queued=status.get("queued", 0),
        max_running_jobs=spec.get("maxRunningJobs"),
        queue_size=spec.get("queueSize"),
        suspended=bool(spec.get("suspend")),
        namespaces=spec.get("namespaces", []),
        created=thing["metadata"].get("creationTimestamp", ""),
    )
