"""What a restart costs where much is over: thousands of finished Pipelines, and then a new one."""

import time
from collections import Counter
from typing import Any

import click

from task_pipeline.api.resources import PIPELINES
from tests import history
from tests.bench.observer import Observer
from tests.bench.site import Site, connected
from tests.bench.workloads import FINAL, NAMESPACE, pipeline
from tests.real import audit

PATIENCE = 120.0
MODEL, NEW = "model", "new"


async def measure(place: Site, pipelines: int, jobs: int) -> dict[str, Any]:
    """Prints what was seen, and returns it."""
    async with connected(place.kubeconfig) as cluster:
        seen = Observer(cluster, PIPELINES, lambda thing: thing.get("status", {}).get("state") in FINAL)
        await seen.start()
        place.operator.start()
        await cluster.create(PIPELINES, NAMESPACE, pipeline(MODEL, 1, jobs))
        await seen.wait(lambda: MODEL in seen.sightings and seen.sightings[MODEL].ended is not None, PATIENCE)
        place.operator.stop()
        model = await history.model(cluster, NAMESPACE, MODEL)
        began = time.monotonic()
        await history.write(cluster, model, [f"old-{number:05}" for number in range(pipelines)])
        click.echo(f"{pipelines} finished Pipelines of {jobs} jobs written in {time.monotonic() - began:.0f} s")
        mark, began = audit.mark(place.cluster.audit_log), time.monotonic()
        place.operator.start(seconds=PATIENCE)
        ready = time.monotonic()
        await cluster.create(PIPELINES, NAMESPACE, pipeline(NEW, 1, 1))
        await seen.wait(lambda: NEW in seen.sightings and seen.sightings[NEW].ended is not None, PATIENCE)
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
