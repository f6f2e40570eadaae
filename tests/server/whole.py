"""The complete application, as the server process builds it, on an in-memory cluster: replicas behind ports.

Rule: nothing of the server is replaced; only its rate limits are wide. Callers log in with real secrets and tokens.
Replicas share nothing but the cluster, so one that a test has not spoken to yet stands for one that has just started.
"""

import asyncio
import contextlib
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
from aiohttp import web

from task_pipeline.api.group import LABEL_JOB_HASH, LABEL_MANAGED_BY, LABEL_PIPELINE_UID, MANAGED_BY
from task_pipeline.api.resources import PIPELINE_JOBS, PIPELINES
from task_pipeline.api.times import format_time
from task_pipeline.core.naming import job_hash, job_object_name
from task_pipeline.entrypoints.server import application
from task_pipeline.kube.cluster import Cluster
from task_pipeline.server.auth.gate import Limits
from task_pipeline.server.auth.keys import KeyRing
from task_pipeline.server.auth.limits import Patience, Rate
from task_pipeline.server.listening import Runner
from task_pipeline.settings import Settings
from tests.fakes.reviews import Account
from tests.unit.server.auth.world import NAMESPACE, World

Raw = dict[str, Any]
WIDE = Limits(Rate(1e6, 1e6), Rate(1e6, 1e6), Patience(free=10**9))
RUNNER = "task-pipeline/runner"
CLIENTS = {"acme": ("team-a", "team-b"), "rival": ("team-a",), "default": ("*",)}
ACCOUNTS = ("admin", "stranger", "runner")
QUEUE = "render"
JOB = "unit"
STREAM_SECONDS = 10.0
SAID = (b"event: bookmark", b"event: relist")  # all that exists has been told, or is to be asked for anew


@dataclass
class Answer:
    """What came back. `text` is the whole body."""

    status: int
    body: Any
    headers: Mapping[str, str]
    text: str = ""

    @property
    def reason(self) -> str:
        """The problem's reason, "" for none."""
        return str(self.body.get("reason", "")) if isinstance(self.body, dict) else ""


@dataclass
class Replica:
    """One server process behind a port of the loopback."""

    app: web.Application
    url: str
    http: aiohttp.ClientSession

    async def ask(self, method: str, path: str, authorization: str | None, body: Any = None, **headers: str) -> Answer:
        """One request; `_` in the names of headers stands for `-`. Of a stream only the beginning is read."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if authorization is not None:
            sent["Authorization"] = authorization
        form, plain = (body, None) if path == "/oauth2/token" else (None, body)
        async with self.http.request(method, self.url + path, json=plain, data=form, headers=sent) as response:
            if response.content_type == "text/event-stream":
                return Answer(response.status, None, response.headers, await _beginning(response))
            text = await response.text()
            body = await response.json(content_type=None) if response.content_type.endswith("json") else None
            return Answer(response.status, body, response.headers, text)


@dataclass
class Whole:
    """The cluster, its callers and the replicas. `callers` are Authorization headers by name."""

    world: World
    callers: dict[str, str] = field(default_factory=dict)
    replicas: list[Replica] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)
    _marks: int = 0

    @property
    def cluster(self) -> Any:
        """The in-memory cluster."""
        return self.world.cluster

    @property
    def one(self) -> Replica:
        """The first replica."""
        return self.replicas[0]

    async def prepare(self, keys: bool) -> None:
        """Make namespaces, clients, Kubernetes users, and the key of the tokens."""
        for name in ("team-a", "team-b", "team-c"):
            self.cluster.admin.namespace(name)
        for name, namespaces in CLIENTS.items():
            self.world.client(name, *namespaces)
            secret = self.secrets[name] = await self.world.secret(name)
            self.callers[name] = basic(name, secret)
        for name in ACCOUNTS:
            user = f"system:serviceaccount:task-pipeline:{name}"
            token = f"{name}.kubernetes.token"
            self.cluster.reviews.tokens[token] = Account(user, ("task-pipeline",))
            self.callers[name] = f"Bearer {token}"
            if name == "admin":
                self.cluster.reviews.rules.add((user, "*", "pipelines", "*"))
                self.cluster.reviews.rules.add((user, "get", "pods/log", "*"))
        if keys:
            await KeyRing(self.cluster, NAMESPACE, now=time.time, clock=time.monotonic).signer()

    def pipeline(self, name: str, namespace: str = "team-a", client: str = "acme", **more: Any) -> Raw:
        """A Pipeline of one Worker job, as if somebody had applied it."""
        job = {"name": JOB, "stage": "s", "kind": "Worker", "version": "1.0.0", "params": {"queue": QUEUE}}
        spec = {"clientId": client, "stages": ["s"], "jobs": [job], **more.pop("spec", {})}
        made: Raw = self.cluster.admin.create(PIPELINES, {"metadata": {"name": name, **more}, "spec": spec}, namespace)
        return made

    def job(self, pipeline: Raw, **spec: Any) -> Raw:
        """The PipelineJob of its job, as the operator makes it."""
        metadata = pipeline["metadata"]
        identity = job_hash(metadata["uid"], 1, JOB)
        labels = {
            LABEL_PIPELINE_UID: metadata["uid"], LABEL_JOB_HASH: identity, LABEL_MANAGED_BY: MANAGED_BY,
        }  # fmt: skip
        fields = {
            "pipeline": metadata["name"], "name": JOB, "stage": "s", "stageIndex": 0, "index": 0, "run": 1,
            "clientId": pipeline["spec"]["clientId"], "kind": "Worker", "version": "1.0.0", "params": {"queue": QUEUE},
        }  # fmt: skip
        named = {"name": job_object_name(metadata["name"], JOB, identity), "labels": labels}
        body = {"metadata": named, "spec": fields | spec}
        made: Raw = self.cluster.admin.create(PIPELINE_JOBS, body, metadata["namespace"])
        return made

    def launch(self, job: Raw, attempt: int = 1) -> None:
        """Write what the operator writes when it offers an attempt to workers."""
        now = format_time(datetime.now(UTC))
        self.write(
            job, state="IN PROGRESS", reason="AwaitingWorker", attempt=attempt, startTime=now, claim=None,
            progress=None, report=None, result=None,
        )  # fmt: skip

    def write(self, thing: Raw, **status: Any) -> None:
        """Write a status of a Pipeline or a PipelineJob, as the operator."""
        resource = PIPELINES if "stages" in thing["spec"] else PIPELINE_JOBS
        self.cluster.admin.status(resource, thing["metadata"]["name"], thing["metadata"]["namespace"], **status)

    async def ready(self, seconds: float = 10.0) -> None:
        """Wait until every replica has read the cluster."""
        deadline = asyncio.get_running_loop().time() + seconds
        for replica in self.replicas:
            while (await replica.ask("GET", "/api/v1/queue", self.callers["admin"])).status == 503:
                assert asyncio.get_running_loop().time() < deadline, "the server does not come to know the cluster"
                await asyncio.sleep(0.01)

    async def offered(self) -> None:
        """Wait until every replica knows all jobs that have been launched: it hears of them in their order."""
        for number, replica in enumerate(self.replicas):
            self._marks += 1
            mark = f"mark-{number}-{self._marks}"
            self.launch(self.job(self.pipeline(mark), params={"queue": mark}))
            body = {"worker": "mark", "waitSeconds": 10}
            answer = await replica.ask("POST", f"/api/v1/workers/{mark}:claim", self.callers["acme"], body)
            assert answer.status == 200, answer

    @asynccontextmanager
    async def serve(self, cluster: Cluster | None = None, stop_seconds: float = 1.0) -> AsyncIterator[Replica]:
        """One more replica, on `cluster` if it is given; `stop_seconds` are for what is in flight at its end."""
        settings = Settings(operator_namespace=NAMESPACE, http_runner_account=RUNNER)
        app = application(cluster or self.cluster, settings, stopping := asyncio.Event(), WIDE)
        runner = Runner(app, stop_seconds)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            port = runner.addresses[0][1]
            async with aiohttp.ClientSession() as http:
                yield Replica(app, f"http://127.0.0.1:{port}", http)
        finally:
            stopping.set()
            await runner.cleanup()


async def _beginning(response: aiohttp.ClientResponse) -> str:
    """What a stream tells of what exists, until it says so or has taken too long."""
    read = b""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(STREAM_SECONDS):
            while not any(said in read for said in SAID) and (piece := await response.content.readany()):
                read += piece
    return read.decode()


def basic(client: str, secret: str) -> str:
    """The header for a client id and its secret."""
    return "Basic " + b64encode(f"{client}:{secret}".encode()).decode()


@asynccontextmanager
async def whole(replicas: int = 1, *, keys: bool = True) -> AsyncIterator[Whole]:
    """So many replicas on a cluster with clients and users, until the block ends. `keys`: there are keys."""
    made = Whole(World())
    await made.prepare(keys)
    try:
        async with AsyncExitStack() as stack:
            for _ in range(replicas):
                made.replicas.append(await stack.enter_async_context(made.serve()))
            await made.ready()
            yield made
    finally:
        made.cluster.close()
