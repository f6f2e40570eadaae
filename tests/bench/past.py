"""What a restart costs where much is over: thousands of finished Pipelines, and then a new one."""

import time
from collections import Counter
from typing import Any

import click

from task_pipeline.api.resources import PIPELINES
from task_pipeline.kube.cluster import Cluster
from tests import history
from tests.bench.client import client_of
from tests.bench.manifests import FINAL, NAMESPACE, pipeline
from tests.bench.observer import Observer
from tests.bench.site import Site, connected
from tests.real import audit

PATIENCE = 120.0
MODEL, NEW = "model", "new"


async def measure(place: Site, pipelines: int, jobs: int) -> dict[str, Any]:
    """Prints what was seen, and returns it."""
    async with connected(place.kubeconfig) as cluster, client_of(place.cluster) as client:
        seen = Observer(client, PIPELINES.path(NAMESPACE), lambda thing: thing.get("status", {}).get("state") in FINAL)
        await seen.start()
        await write(place, cluster, seen, pipelines, jobs)
        mark, began = audit.mark(place.cluster.audit_log), time.monotonic()
        place.operator.start(seconds=PATIENCE)
        ready = time.monotonic()
        await run(cluster, seen, pipeline(NEW, 1, 1))
        done = time.monotonic()
        await seen.stop()
    events = list(audit.requests(place.cluster.audit_log, mark))
    written = [event["objectRef"].get("name", "") for event in events if event["verb"] in audit.MUTATING]
    results = {
        "ready_seconds": ready - began,
        "new_seconds": done - ready,
        "cpu_seconds": place.cpu_seconds(),
        "megabytes": place.megabytes(),
        "writes_to_old": sum(name.startswith(("old-", MODEL)) for name in written),
        "requests": {" ".join(key): count for key, count in Counter(
            (event["verb"], audit.resource(event)) for event in events).items()},
    }  # fmt: skip
    for name, value in results.items():
        click.echo(f"{name}: {value:.2f}" if isinstance(value, float) else f"{name}: {value}")
    return results


async def write(place: Site, cluster: Cluster, seen: Observer, pipelines: int, jobs: int) -> None:
    """Let the operator run one Pipeline, stop it, and write so many finished ones like it: old-00000 and so on."""
    place.operator.start()
    await run(cluster, seen, pipeline(MODEL, 1, jobs))
    place.operator.stop()
    model = await history.model(cluster, NAMESPACE, MODEL)
    began = time.monotonic()
    await history.write(cluster, model, [f"old-{number:05}" for number in range(pipelines)])
    click.echo(f"{pipelines} finished Pipelines of {jobs} jobs written in {time.monotonic() - began:.0f} s")


async def run(cluster: Cluster, seen: Observer, manifest: dict[str, Any]) -> None:
    """Create a Pipeline and wait for its end."""
    name = manifest["metadata"]["name"]
    await cluster.create(PIPELINES, NAMESPACE, manifest)
    await seen.wait(lambda: name in seen.sightings and seen.sightings[name].ended is not None, PATIENCE)
