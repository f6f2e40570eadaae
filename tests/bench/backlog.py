"""W4: thousands of Pipelines of 20 clients wait for 50 slots.

First nothing may run, until all have been submitted and the operator has come to rest: what it writes then, waiting
has caused. Then the limit is 50, and an onlooker sees the backlog being worked off. In the middle somebody submits an
urgent Pipeline.
"""

import asyncio
import json
import random
import time
from dataclasses import asdict, dataclass
from typing import Any

import click

from task_pipeline.api.resources import PIPELINE_CLIENTS, PIPELINES
from task_pipeline.kube.client import HttpCluster
from tests.bench import evaluation
from tests.bench.observer import Observer
from tests.bench.site import Site, connected
from tests.bench.workloads import NAMESPACE, SUBMITTERS
from tests.onlooker import Onlooker
from tests.real import audit

CLIENTS, LIMIT = 20, 50
URGENT = "urgent"
QUIET_SECONDS, PATIENCE = 5.0, 600.0


@dataclass(frozen=True)
class Load:
    """`pipelines` wait; it is over after `jobs` launches; a job runs for `seconds` on average, half as long or half as
    long again, so that not all end together.
    """

    pipelines: int
    jobs: int
    seconds: float


async def measure(place: Site, load: Load) -> dict[str, Any]:
    """Prints what was seen, and returns it."""
    random.seed(4)
    place.operator.start()
    async with connected(place.kubeconfig) as cluster:
        pipelines = Observer(cluster, PIPELINES, lambda thing: "acceptedTime" in thing.get("status", {}))
        await pipelines.start()
        with Onlooker(place.kubeconfig) as seen:
            held = await _fill(place, cluster, pipelines, load)
            run = await _work_off(place, cluster, seen, load)
            log = list(audit.requests(place.cluster.audit_log, run.pop("mark")))
            ranks = await _ranks(cluster, pipelines)
        await pipelines.stop()
    urgent = next(job for job, spec in seen.jobs.items() if spec["pipeline"] == URGENT)
    run["urgent"] = evaluation.wait_of(seen.changes, urgent, *run["urgent"])
    known = {URGENT: run["urgent"]["known_to_the_operator_at"]}
    run["inversions"] = evaluation.inversions(seen, ranks, LIMIT, known)
    results = {"load": asdict(load), "hold": held, "run": run | evaluation.figures(seen, log, LIMIT)}
    click.echo(json.dumps(results, indent=2))
    return results


async def _fill(place: Site, cluster: HttpCluster, pipelines: Observer, load: Load) -> dict[str, Any]:
    """Submit everything while nothing may run, and wait until the operator is at rest."""
    for number in range(CLIENTS):
        spec = {"namespaces": ["*"], "priority": random.randint(1, 10) if number else 0}
        await cluster.create(PIPELINE_CLIENTS, "task-pipeline", _client(f"client-{number:02}", spec))
    window = asyncio.Semaphore(SUBMITTERS)

    async def submit(number: int) -> None:
        async with window:
            client, priority = f"client-{random.randrange(CLIENTS):02}", random.randrange(100)
            await cluster.create(PIPELINES, NAMESPACE, _pipeline(f"w4-{number:05}", client, priority, _spread(load)))

    began, mark = time.monotonic(), audit.mark(place.cluster.audit_log)
    await asyncio.gather(*(submit(number) for number in range(load.pipelines)))
    submitted = time.monotonic()
    sightings = pipelines.sightings
    await pipelines.wait(
        lambda: len(sightings) >= load.pipelines and all(one.ended for one in sightings.values()), PATIENCE
    )
    accepted, after = time.monotonic(), audit.mark(place.cluster.audit_log)
    click.echo(f"{load.pipelines} submitted in {submitted - began:.0f} s, accepted {accepted - submitted:.0f} s later")
    await _until_at_rest(place)
    counts = audit.counted(place.cluster.audit_log, mark)
    later = sum(count for (verb, _), count in audit.counted(place.cluster.audit_log, after).items()
                if verb in audit.MUTATING)  # fmt: skip
    rested = time.monotonic() - QUIET_SECONDS - accepted
    return {
        "submitted_seconds": submitted - began,
        "accepted_seconds": accepted - began,
        "requests": {" ".join(key): count for key, count in counts.items()},
        "writes_after_acceptance": later,
        "seconds_until_rest": rested,
        "megabytes": place.megabytes(),
    }


async def _until_at_rest(place: Site) -> None:
    """Wait until the operator has written nothing for some seconds."""
    async with asyncio.timeout(PATIENCE):
        while True:
            mark = audit.mark(place.cluster.audit_log)
            await asyncio.sleep(QUIET_SECONDS)
            verbs = {verb for verb, _ in audit.counted(place.cluster.audit_log, mark)}
            if not verbs & audit.MUTATING:
                return


async def _work_off(place: Site, cluster: HttpCluster, seen: Onlooker, load: Load) -> dict[str, Any]:
    """Open the limit and wait until enough has been launched."""
    mark, cpu, began = audit.mark(place.cluster.audit_log), place.cpu_seconds(), time.monotonic()
    place.change(max_running_jobs=LIMIT)
    await _launches(seen, load.jobs // 3)
    meta = await cluster.create(PIPELINES, NAMESPACE, _pipeline(URGENT, "client-00", -1000, _spread(load)))
    urgent = int(meta.resource_version), time.monotonic()
    await _launches(seen, load.jobs)
    return {
        "mark": mark,
        "urgent": urgent,
        "seconds": time.monotonic() - began,
        "cpu_seconds": place.cpu_seconds() - cpu,
        "megabytes": place.megabytes(),
    }


async def _ranks(cluster: HttpCluster, pipelines: Observer) -> dict[str, tuple[Any, ...]]:
    """The place in the order of every Pipeline, from what was submitted and when it was accepted."""
    clients = json.loads(await cluster.list(PIPELINE_CLIENTS, "task-pipeline"))["items"]
    priorities = {client["metadata"]["name"]: client["spec"]["priority"] for client in clients}
    ranks = {}
    for name, sighting in pipelines.sightings.items():
        item = sighting.last
        first = (priorities[item["spec"]["clientId"]], item["spec"]["priority"])
        ranks[name] = (*first, item["status"]["acceptedTime"], item["metadata"]["uid"])
    return ranks


async def _launches(seen: Onlooker, number: int) -> None:
    await asyncio.to_thread(seen.wait, f"{number} launches", lambda one: one.launched >= number, PATIENCE)


def _client(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    meta = {"name": name, "namespace": "task-pipeline"}
    return {"apiVersion": PIPELINE_CLIENTS.api_version, "kind": "PipelineClient", "metadata": meta, "spec": spec}


def _spread(load: Load) -> float:
    return round(load.seconds * random.uniform(0.5, 1.5), 2)


def _pipeline(name: str, client: str, priority: int, seconds: float) -> dict[str, Any]:
    """One job that runs for some seconds."""
    params = {"image": "busybox:1.36", "script": "true", "annotations": {"simulate.test/seconds": str(seconds)}}
    job = {"name": "a", "stage": "s", "kind": "Shell", "version": "1.0.0", "params": params}
    spec = {"clientId": client, "priority": priority, "stages": ["s"], "jobs": [job]}
    meta = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": PIPELINES.api_version, "kind": "Pipeline", "metadata": meta, "spec": spec}
