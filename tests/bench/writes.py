"""`python -m tests.bench.writes`: what each write of the operator costs the API server, and what would change that.

Each part compares forms of the same write (the request, the schema, who watches, the connections) in turns in one run.
`--against FOLDER` adds CRDs of another version to the comparison. docs/performance.md has results.
"""

import signal
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import click
import uvloop
import yaml

from task_pipeline.api.crd import crd_for
from task_pipeline.api.group import KINDS, PIPELINE_KIND, PIPELINEJOB_KIND
from tests.bench import samples, schemas
from tests.bench.apiserver import JSON, METADATA, alone, served
from tests.bench.manifests import pod
from tests.bench.objects import Objects
from tests.bench.samples import JOB_ENDED, JOB_STARTED, PIPELINE_STAGE_DONE, PIPELINE_STARTED
from tests.bench.table import Plan, Step, Table

PODS = "/api/v1/namespaces/default/pods"
PROTOBUF = METADATA.replace(JSON, "application/vnd.kubernetes.protobuf")
LOOSE = "?fieldValidation=Ignore"
BOTH = JOB_STARTED | JOB_ENDED


async def _post(objects: Objects, number: int) -> None:
    await objects.post(number)


async def _start(objects: Objects, number: int) -> None:
    await objects.merge(number, JOB_STARTED)


JOB: Plan = (("POST", _post), ("start", _start), ("end", lambda one, n: one.merge(n, JOB_ENDED)))
PIPELINE: Plan = (
    ("POST", _post),
    ("start", lambda one, n: one.merge(n, PIPELINE_STARTED)),
    ("stage", lambda one, n: one.merge(n, PIPELINE_STAGE_DONE)),
)
POSTS: dict[str, Step] = {
    "as it is": _post,
    "fieldValidation=Ignore": lambda one, n: one.post(n, LOOSE),
    "whole object in the answer": lambda one, n: one.post(n, accept=JSON),
    "server-side apply": Objects.apply,
}
STARTS: dict[str, Step] = {
    "as it is": _start,
    "fieldValidation=Ignore": lambda one, n: one.merge(n, JOB_STARTED, LOOSE),
    "whole object in the answer": lambda one, n: one.merge(n, JOB_STARTED, accept=JSON),
    "no resourceVersion": lambda one, n: one.merge(n, JOB_STARTED, tested=False),
    "JSON patch": lambda one, n: one.json_patch(n, JOB_STARTED),
    "PUT": lambda one, n: one.put(n, JOB_STARTED, spec=True),
    "PUT without spec": lambda one, n: one.put(n, JOB_STARTED, spec=False),
    "server-side apply": lambda one, n: one.apply_status(n, JOB_STARTED),
}
ENDS: dict[str, Step] = {
    "as it is": lambda one, n: one.merge(n, JOB_ENDED),
    "PUT without spec": lambda one, n: one.put(n, BOTH, spec=False),
}
WATCHERS: dict[str, tuple[str, ...]] = {
    "nobody": (),
    "one, JSON": (JSON,),
    "two, JSON": (JSON, JSON),
    "metadata, JSON": (METADATA,),
    "JSON, and metadata as protobuf": (JSON, PROTOBUF),
}


class Bench:
    """All parts on one server."""

    def __init__(self, table: Table, others: Path | None) -> None:
        self._table = table
        self._server = table.server
        self._forms = {
            kind: {name: schemas.form(crd_for(kind), name, change) for name, change in schemas.CHANGES.items()}
            for kind in (PIPELINEJOB_KIND, PIPELINE_KIND)
        }
        if others is not None:
            for kind, forms in self._forms.items():
                text = (others / f"{KINDS[kind].plural}.yaml").read_text()
                forms["other version"] = schemas.form(yaml.safe_load(text), "other version")

    async def install(self) -> None:
        """Install every form of the CRDs, wait until all are served, and learn what measuring costs."""
        crds = [crd for forms in self._forms.values() for crd in forms.values()]
        for crd in crds:
            await self._server.send("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd)
        for crd in crds:
            await served(self._server, schemas.path_of(crd))
        await served(self._server, "/api/v1/namespaces/default/serviceaccounts/default")
        await self._server.calibrate()

    def _objects(self, kind: str, form: str = "as it is") -> Objects:
        make = samples.a_job if kind == PIPELINEJOB_KIND else samples.a_pipeline
        return Objects(self._server, schemas.path_of(self._forms[kind][form]), make, schemas.group_of(form))

    async def requests(self) -> None:
        """The same write, asked for in other words."""
        for name, forms, before in (("POST", POSTS, JOB[:0]), ("start", STARTS, JOB[:1]), ("end", ENDS, JOB[:2])):
            for form, step in forms.items():
                plan = (*(("", each) for _, each in before), (name, step))
                await self._table.run("request ", form, self._objects(PIPELINEJOB_KIND), plan)
        for form, make in (("ours", samples.a_pod), ("bare", _bare_pod)):
            await self._table.run("pod     ", form, Objects(self._server, PODS, make), JOB[:1])

    async def schema(self) -> None:
        """The same write under another schema."""
        for kind, plan in ((PIPELINEJOB_KIND, JOB), (PIPELINE_KIND, PIPELINE)):
            for form in self._forms[kind]:
                await self._table.run(f"{kind} ", form, self._objects(kind, form), plan)

    async def watchers(self) -> None:
        """The same write while others watch."""
        for form, accepts in WATCHERS.items():
            objects = self._objects(PIPELINEJOB_KIND)
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(self._server.watching(objects.path, accepts))
                await self._table.run("watched ", form, objects, JOB[:2])

    async def connections(self) -> None:
        """The same write over more or fewer connections."""
        for form, count, keep in (("8", 8, True), ("1", 1, True), ("32", 32, True), ("8, one request each", 8, False)):
            self._server.connections, self._server.keep_alive = count, keep
            await self._server.renew()
            await self._table.run("connections ", form, self._objects(PIPELINEJOB_KIND), JOB[:2])
        self._server.connections, self._server.keep_alive = 8, True
        await self._server.renew()


def _bare_pod(number: int) -> samples.Body:
    manifest = pod(f"bare-{number}")
    return manifest | {"spec": manifest["spec"] | {"schedulerName": "nobody"}}


PARTS: dict[str, Callable[[Bench], Awaitable[None]]] = {
    "requests": Bench.requests,
    "schema": Bench.schema,
    "watchers": Bench.watchers,
    "connections": Bench.connections,
}


@click.command(help="Measure what each write costs the API server.")
@click.option("--part", "parts", multiple=True, type=click.Choice(tuple(PARTS)), help="Only this one; may be repeated.")
@click.option("--writes", default=100, show_default=True, help="Writes of each sort in each round.")
@click.option("--rounds", default=3, show_default=True, help="Rounds; the table shows medians.")
@click.option(
    "--against", type=click.Path(path_type=Path, exists=True, file_okay=False), help="A folder of other CRDs."
)
def main(parts: tuple[str, ...], writes: int, rounds: int, against: Path | None) -> None:
    """Prints a table; exit code 0 when everything could be measured."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    uvloop.run(_measure(parts or tuple(PARTS), writes, rounds, against))


async def _measure(parts: tuple[str, ...], writes: int, rounds: int, against: Path | None) -> None:
    async with alone() as server:
        table = Table(server, writes)
        bench = Bench(table, against)
        await bench.install()
        for number in range(rounds + 1):
            table.counted = number > 0  # the first round only warms the server up
            for part in parts:
                await PARTS[part](bench)
        table.show()


if __name__ == "__main__":
    main()
