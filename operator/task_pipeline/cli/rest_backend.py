"""The backend over the REST API, for people and programs without a kubeconfig. docs/rest.md describes the requests."""

import secrets
from collections.abc import AsyncIterator, Mapping
from typing import Any

from task_pipeline.cli.ages import age
from task_pipeline.cli.backend import (
    EVERY_NAMESPACE,
    Action,
    Cancel,
    ClientRow,
    Event,
    InvalidManifest,
    ListQuery,
    LogQuery,
    Made,
    NotOffered,
    Object,
    Order,
    QueueRow,
    Rerun,
    Summary,
    Suspend,
    newest,
)
from task_pipeline.cli.repeating import retried
from task_pipeline.cli.rest_events import follow
from task_pipeline.cli.rest_http import Credential, Http, part
from task_pipeline.kube.errors import NotFound

API = "/api/v1"
PAGE, FIRST_PAGE = 500, 100
QUEUE_ROWS = 1000
LOG_SILENCE = 900.0  # a job may print nothing for long; the server ends the stream itself


class RestBackend:
    """See `backend.Backend`."""

    def __init__(self, server: str, login: Credential, *, namespace: str, timeout: float) -> None:
        self.http = Http(server, login, timeout)
        self.place, self.namespace = self.http.place, namespace
        self._client = login.client

    async def close(self) -> None:
        self.http.close()

    async def create(self, namespace: str, manifest: Object, *, dry_run: bool = False) -> Object:
        path = f"{API}/namespaces/{part(namespace)}/pipelines"
        body = {name: manifest[name] for name in ("apiVersion", "kind", "metadata", "spec") if name in manifest}
        if not dry_run:
            key = secrets.token_hex(16)  # the same for every try: a lost answer creates nothing twice
            made: Object = await retried(lambda: self.http.json("POST", path, body, idempotency_key=key))
            return made
        verdict = await retried(lambda: self.http.json("POST", f"{path}:validate", body))
        if not verdict["valid"]:
            raise _invalid(verdict["errors"])
        return manifest

    async def summaries(self, query: ListQuery) -> AsyncIterator[list[Summary]]:
        async for page in self.pipelines(query):
            yield [_summary(thing) for thing in page]

    async def pipelines(self, query: ListQuery) -> AsyncIterator[list[Object]]:
        path = f"{API}/namespaces/{EVERY_NAMESPACE if query.namespace is None else part(query.namespace)}/pipelines"
        chosen = {"labelSelector": query.selector, "state": query.state, "clientId": query.client}
        left, size, token = query.limit, FIRST_PAGE, None
        while left is None or left > 0:
            wanted = {**chosen, "limit": size if left is None else min(size, left), "continue": token}
            page = await retried(lambda wanted=wanted: self.http.json("GET", path, **wanted))  # type: ignore[misc]
            yield page["items"]
            token = page["metadata"].get("continue")
            if not token:
                return
            size, left = PAGE, None if left is None else left - len(page["items"])

    async def latest(self, namespace: str) -> list[str]:
        found: list[Made] = []
        async for page in self.pipelines(ListQuery(namespace)):
            found = newest(found, page)
        if not found:
            raise NotFound(404, "NotFound", f"there is no Pipeline in the namespace {namespace}")
        return [one.name for one in found]

    async def pipeline(self, namespace: str, name: str) -> Object:
        found: Object = await retried(lambda: self.http.json("GET", _path(namespace, name)))
        return found

    async def jobs(self, pipeline: Object) -> list[Object]:
        meta = pipeline["metadata"]
        path, found, token = f"{_path(meta['namespace'], meta['name'])}/jobs", list[Object](), None
        while True:
            wanted = {"limit": PAGE, "continue": token}
            page = await retried(lambda wanted=wanted: self.http.json("GET", path, **wanted))  # type: ignore[misc]
            found += page["items"]
            token = page["metadata"].get("continue")
            if not token:
                return found

    async def act(self, namespace: str, name: str, action: Action) -> Object:
        path, body = _action(_path(namespace, name), action)
        done: Object = await retried(lambda: self.http.json("POST", path, body))
        return done

    async def delete(self, namespace: str, name: str) -> None:
        await self.http.json("DELETE", _path(namespace, name))

    async def events(self, namespace: str, name: str) -> AsyncIterator[Event]:
        pipeline = await self.pipeline(namespace, name)
        yield Event("pipeline", pipeline)
        async for event in follow(self.http, pipeline):
            yield event

    async def log(self, pipeline: Object, job: Object, query: LogQuery) -> AsyncIterator[bytes]:
        meta, spec = pipeline["metadata"], job["spec"]
        path = f"{_path(meta['namespace'], meta['name'])}/jobs/{part(spec['name'])}/logs"
        wanted = {
            "tail": 100_000 if query.tail is None else query.tail,
            "since": query.since,
            "run": spec.get("run"),
            "attempt": query.attempt,
            "container": query.container,
        }
        if not query.follow:
            yield await retried(lambda: self.http.text(path, **wanted))
            return
        async with self.http.stream(path, {**wanted, "follow": "true"}, {}, LOG_SILENCE) as pieces:
            async for piece in pieces:
                yield piece

    async def order(self, namespace: str | None, pipeline: str | None, client: str | None) -> Order:
        path = f"{API}/queue" if client is None else f"{API}/clients/{part(client)}/queue"
        wanted = {"namespace": namespace, "pipeline": pipeline, "limit": QUEUE_ROWS}
        answer = await retried(lambda: self.http.json("GET", path, **wanted))
        rows = [
            QueueRow(
                item["position"],
                item["namespace"],
                item["pipeline"],
                item.get("job"),
                item["jobs"],
                item["client"],
                item["key"],
                item["reason"],
                item.get("message"),
                item["since"],
            )
            for item in answer["items"]
        ]
        return Order(rows, answer["total"], answer["hidden"])

    async def clients(self) -> list[ClientRow]:
        own = self._client
        if own is None:
            raise NotOffered("the REST API shows a client itself only: set TPCTL_CLIENT, or use a kubeconfig")
        return [_client(await retried(lambda: self.http.json("GET", f"{API}/clients/{part(own)}")))]

    async def kinds(self) -> list[Object]:
        found: list[Object] = (await retried(lambda: self.http.json("GET", f"{API}/kinds")))["items"]
        return found


def _path(namespace: str, name: str) -> str:
    return f"{API}/namespaces/{part(namespace)}/pipelines/{part(name)}"


def _action(path: str, action: Action) -> tuple[str, Mapping[str, Any] | None]:
    match action:
        case Cancel(mode=mode, job=None):
            return f"{path}:cancel", {"mode": mode}
        case Cancel(mode=mode, job=job):
            return f"{path}/jobs/{part(str(job))}:cancel", {"mode": mode}
        case Suspend(value=value):
            return f"{path}:{'suspend' if value else 'resume'}", None
        case Rerun(id=name, scope=scope):
            return f"{path}:rerun", {"id": name, "scope": scope}


def _invalid(errors: list[Mapping[str, str]]) -> InvalidManifest:
    faults = [(one["path"], one["message"]) for one in errors]
    return InvalidManifest(f"{faults[0][0]}: {faults[0][1]}" if faults else "invalid", faults)


def _summary(thing: Object) -> Summary:
    meta, spec, status = thing["metadata"], thing["spec"], thing.get("status", {})
    return Summary(
        namespace=meta["namespace"],
        name=meta["name"],
        state=status.get("state", "READY"),
        reason=status.get("reason") or "",
        stage=status.get("stage") or "",
        progress=status.get("progress") or "",
        age=age(meta.get("creationTimestamp")),
        client=spec.get("clientId") or "",
        priority=str(spec.get("priority", "")),
        started=age(status.get("startTime")),
    )


def _client(answer: Mapping[str, Any]) -> ClientRow:
    return ClientRow(
        name=answer["name"],
        priority=answer["priority"],
        running=answer["running"],
        queued=answer["queued"],
        max_running_jobs=answer.get("maxRunningJobs"),
        queue_size=answer.get("queueSize"),
        suspended=answer["suspended"],
        namespaces=answer["namespaces"],
    )
