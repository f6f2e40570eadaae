"""Clusters in which much is held, at several sizes: what is over, what runs, what waits. Each size begins with a start.

What is held are copies of one Pipeline (`tests.scale.etcd`), made while no operator runs.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any

import click

from task_pipeline.api.group import LABEL_JOB_HASH
from tests.bench import processes
from tests.bench.client import JSON, METADATA_LIST, Client, client_of
from tests.bench.manifests import NAMESPACE, pipeline
from tests.bench.site import Site, site
from tests.scale import etcd
from tests.scale.curve import tell
from tests.scale.runs import JOBS, PIPELINES, until_over

MODEL = "model-00000"
LONG = "36000"
START_SECONDS = 300.0
REST_SECONDS, IDLE_SECONDS = 12.0, 20.0
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
Row = dict[str, Any]


async def finished(sizes: Sequence[int], jobs: int) -> list[Row]:
    """So many finished Pipelines with their PipelineJobs: start, memory, and what rest costs."""
    rows: list[Row] = []
    with site() as place:
        async with client_of(place.cluster) as client, etcd.etcd_of(place.cluster) as store:
            family = await _model(place, client, store, pipeline(MODEL, 1, jobs), over=True)
            async for size in _growing(client, store, family, sizes):
                began = time.monotonic()
                place.operator.start(seconds=START_SECONDS)
                row = {"pipelines": size, "jobs": size * jobs, "working_s": time.monotonic() - began}
                row["start_cpu_s"] = place.cpu_seconds()
                await client.send("POST", PIPELINES, pipeline(f"new-{size}", 1, 1))
                await until_over(client, f"new-{size}")
                row["new_job_over_s"] = time.monotonic() - began - row["working_s"]
                rows.append(row | await _rest(place, store))
                place.operator.stop()
                tell(rows[-1:])
    return rows


async def live(sizes: Sequence[int], jobs: int, *, running: bool) -> list[Row]:
    """So many jobs that run, or wait, and a restart: until the first launch, its memory, and what is launched twice."""
    rows: list[Row] = []
    with site(max_running_jobs=jobs if running else 0, queue_size=max(sizes) + 10) as place:
        manifest = pipeline(MODEL, 1, jobs)
        for job in manifest["spec"]["jobs"]:
            job["params"] = job["params"] | {"annotations": {"simulate.test/seconds": LONG}}
        async with client_of(place.cluster) as client, etcd.etcd_of(place.cluster) as store:
            family = await _model(place, client, store, manifest, over=False)
            async for size in _growing(client, store, family, [size // jobs for size in sizes]):
                place.change(
                    max_running_jobs=size * jobs + 1 + len(rows) if running else 1 + len(rows), queue_size=10**6
                )
                if running:
                    await client.send("POST", PIPELINES, _lasting(f"new-{size}"))
                watch = asyncio.create_task(_first_pod(client, await client.version(PODS)))
                began = time.monotonic()
                place.operator.start(seconds=START_SECONDS)
                working = time.monotonic() - began
                launched = await asyncio.wait_for(watch, START_SECONDS) - began
                row = {"jobs": size * jobs, "working_s": working, "first_launch_s": launched}
                row |= {"start_cpu_s": place.cpu_seconds(), "twice": await _launched_twice(client)}
                rows.append(row | await _rest(place, store))
                place.operator.kill()
                tell(rows[-1:])
    return rows


def _lasting(name: str) -> dict[str, Any]:
    manifest = pipeline(name, 1, 1)
    job = manifest["spec"]["jobs"][0]
    job["params"] = job["params"] | {"annotations": {"simulate.test/seconds": LONG}}
    return manifest


async def _model(place: Site, client: Client, store: etcd.Etcd, manifest: dict[str, Any], *, over: bool) -> etcd.Family:
    """Let the operator make the Pipeline that is copied, and stop it."""
    place.operator.start()
    await client.send("POST", PIPELINES, manifest)
    if over:
        await until_over(client, MODEL)
    await asyncio.sleep(REST_SECONDS)
    place.operator.stop()
    one = await client.send("GET", f"{PIPELINES}/{MODEL}", accept=JSON)
    jobs = (await client.send("GET", JOBS, accept=JSON))["items"]
    places = [etcd.PIPELINES, etcd.JOBS, *([] if over else [etcd.PODS])]
    entries = [entry for place in places for entry in await store.under(f"{place}/{NAMESPACE}")]
    return etcd.Family(one, jobs, entries)


async def _growing(client: Client, store: etcd.Etcd, family: etcd.Family, sizes: Sequence[int]) -> AsyncIterator[int]:
    """Each size in turn, when there are so many Pipelines, the model among them."""
    known = 1
    for size in sizes:
        began = time.monotonic()
        await store.put(family.copies(range(known, size)))
        known = max(known, size)
        for path in (PIPELINES, JOBS, PODS):
            await client.version(path)  # it answers when its cache has heard of everything
        click.echo(f"  {known} Pipelines are there, {await store.megabytes():.0f} MB in etcd, {_since(began)}")
        yield size


def _since(began: float) -> str:
    return f"{time.monotonic() - began:.1f} s"


async def _first_pod(client: Client, version: str) -> float:
    """The monotonic time at which the first pod after `version` was seen."""
    async for event in client.watch(PODS, version):
        if event["type"] == "ADDED":
            return time.monotonic()
    raise TimeoutError("no pod was created")


async def _launched_twice(client: Client) -> int:
    """How many jobs have more than one pod."""
    found = await client.send("GET", PODS, accept=METADATA_LIST)
    pods = Counter(pod["metadata"]["labels"][LABEL_JOB_HASH] for pod in found["items"])
    return sum(number > 1 for number in pods.values())


async def _rest(place: Site, store: etcd.Etcd) -> Row:
    """Memory, and CPU for a second in which nothing happens, in thousandths of a core."""
    await asyncio.sleep(REST_SECONDS)
    assert place.operator.running, place.operator.tail()
    pids = {"operator": place.operator.pid, "server": place.pids()["kube-apiserver"]}
    before = {name: processes.cpu_seconds(pid) for name, pid in pids.items()}
    await asyncio.sleep(IDLE_SECONDS)
    used = {
        f"{name}_mcore": 1000 * (processes.cpu_seconds(pid) - before[name]) / IDLE_SECONDS for name, pid in pids.items()
    }
    held = {f"{name}_mb": processes.megabytes(pid) for name, pid in pids.items()}
    return used | held | {"etcd_db_mb": await store.megabytes()}
