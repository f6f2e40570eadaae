"""Runs in which much is to be done: one large Pipeline, and thousands that are submitted at once."""

import asyncio
import time
from typing import Any

import click
import orjson

from tests.bench.client import JSON, Client, client_of
from tests.bench.manifests import NAMESPACE, pipeline
from tests.bench.site import site
from tests.scale.curve import Ended, Sample, observe, parts, tell

GROUP = "/apis/taskpipeline.dev/v1alpha1"
PIPELINES = f"{GROUP}/namespaces/{NAMESPACE}/pipelines"
JOBS = f"{GROUP}/namespaces/{NAMESPACE}/pipelinejobs"
SUBMITTERS = 16
SECONDS_PER_JOB = 0.2  # more than this on average is given up


async def until_over(client: Client, name: str, seconds: float = 300.0) -> dict[str, Any]:
    """Wait until a Pipeline is over; returns it."""
    async with asyncio.timeout(seconds):
        while True:
            found: dict[str, Any] = await client.send("GET", f"{PIPELINES}/{name}", accept=JSON)
            if "completionTime" in found.get("status", {}):
                return found
            await asyncio.sleep(0.05)


async def large(jobs: int, stages: int) -> dict[str, Any]:
    """One Pipeline of so many jobs; its curve, and the bytes of its object when it is over."""
    with site(max_running_jobs=1000, queue_size=jobs) as place:
        place.operator.start()
        async with client_of(place.cluster) as client:
            await client.send("POST", PIPELINES, pipeline("warm-up", 1, 1))
            await until_over(client, "warm-up")
            ended = Ended(client, JOBS)
            await ended.start()
            manifest = pipeline("large", stages, jobs // stages)
            began = time.monotonic()
            await client.send("POST", PIPELINES, manifest)
            samples = await observe(place, lambda: len(ended.names), jobs, 60 + SECONDS_PER_JOB * jobs)
            whole = await until_over(client, "large")
            seconds = time.monotonic() - began
            await ended.stop()
    state, status = whole["status"]["state"], len(orjson.dumps(whole["status"]))
    click.echo(f"large: {jobs} jobs in {stages} stages: {state} in {seconds:.1f} s; its status has {status} bytes")
    return {"jobs": jobs, "stages": stages, "state": state, "seconds": seconds, "status_bytes": status} | _rows(
        samples, jobs
    )


async def flood(pipelines: int, running: int) -> dict[str, Any]:
    """So many Pipelines of one job, submitted at once; `running` may run at a time."""
    with site(max_running_jobs=running) as place:
        place.operator.start()
        async with client_of(place.cluster) as client:
            await client.send("POST", PIPELINES, pipeline("warm-up", 1, 1))
            await until_over(client, "warm-up")
            ended, window = Ended(client, PIPELINES), asyncio.Semaphore(SUBMITTERS)
            await ended.start()

            async def submit(number: int) -> None:
                async with window:
                    await client.send("POST", PIPELINES, pipeline(f"flood-{number:05}", 1, 1))

            began = time.monotonic()
            looking = asyncio.create_task(
                observe(place, lambda: len(ended.names), pipelines, 60 + SECONDS_PER_JOB * pipelines)
            )
            await asyncio.gather(*map(submit, range(pipelines)))
            submitted = time.monotonic() - began
            samples = await looking
            await ended.stop()
    seconds = samples[-1].time - began
    click.echo(f"flood: {pipelines} Pipelines submitted in {submitted:.1f} s, over in {seconds:.1f} s")
    return {"pipelines": pipelines, "running": running, "submitted_seconds": submitted, "seconds": seconds} | _rows(
        samples, pipelines
    )


def _rows(samples: list[Sample], total: int) -> dict[str, Any]:
    return {"parts": tell(parts(samples, total))}
