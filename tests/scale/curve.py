"""What was seen over a run, cut into parts: rate, CPU per job and memory, so that growth shows."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import click

from tests.bench import processes
from tests.bench.client import Client
from tests.bench.site import Site

LOOK_SECONDS = 0.25
PARTS = 10
FINAL = ("DONE", "ERROR", "CANCELLED")


@dataclass(frozen=True)
class Sample:
    """A moment: monotonic seconds, jobs that are over, CPU seconds so far, MiB in use."""

    time: float
    done: int
    operator_cpu: float
    server_cpu: float
    all_cpu: float
    operator_mb: float
    server_mb: float


@dataclass(frozen=True)
class Part:
    """One part of a run. CPU in ms for each job that ended in it; `waiting`: jobs not over when it began."""

    waiting: int
    jobs_per_second: float
    operator_ms: float
    server_ms: float
    all_ms: float
    operator_mb: float
    server_mb: float


def sample(place: Site, done: int = 0) -> Sample:
    """How it is now."""
    pids = place.pids()
    operator, server = place.operator.pid, pids["kube-apiserver"]
    return Sample(
        time.monotonic(), done, place.cpu_seconds(), processes.cpu_seconds(server),
        sum(map(processes.cpu_seconds, pids.values())) + place.cpu_seconds(),
        processes.megabytes(operator), processes.megabytes(server),
    )  # fmt: skip


def parts(samples: Sequence[Sample], total: int) -> list[Part]:
    """The run in parts of as many jobs each."""
    marks = [next(one for one in samples if one.done >= total * number // PARTS) for number in range(PARTS + 1)]
    return [_part(before, after, total) for before, after in pairwise(marks) if after.done > before.done]


def _part(before: Sample, after: Sample, total: int) -> Part:
    jobs, seconds = after.done - before.done, after.time - before.time

    def each(name: str) -> float:
        used: float = getattr(after, name) - getattr(before, name)
        return 1000 * used / jobs

    cpu = each("operator_cpu"), each("server_cpu"), each("all_cpu")
    return Part(total - before.done, jobs / seconds, *cpu, after.operator_mb, after.server_mb)


class Ended:
    """Counts the objects of a collection that are over, from a watch of its own."""

    def __init__(self, client: Client, path: str) -> None:
        self._client, self._path = client, path
        self.names: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to watch from now on."""
        version = await self._client.version(self._path)
        self._task = asyncio.create_task(self._watch(version))

    async def stop(self) -> None:
        """End the watch."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self, version: str) -> None:
        while True:
            async for event in self._client.watch(self._path, version):
                thing = event["object"]
                version = thing["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK" and thing.get("status", {}).get("state") in FINAL:
                    self.names.add(thing["metadata"]["name"])


async def observe(place: Site, done: Callable[[], int], total: int, patience: float) -> list[Sample]:
    """Look until all are over; raises TimeoutError with what was seen after `patience` seconds."""
    samples, deadline, told = [sample(place)], time.monotonic() + patience, time.monotonic()
    while samples[-1].done < total:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{samples[-1].done} of {total} are over after {patience:.0f} s")
        await asyncio.sleep(LOOK_SECONDS)
        samples.append(sample(place, done()))
        if time.monotonic() - told > 10:
            told = time.monotonic()
            click.echo(f"  {samples[-1].done} of {total} are over")
    return samples


def tell(rows: Sequence[Any]) -> list[dict[str, Any]]:
    """Print records of one sort as a table; returns them as dictionaries."""
    found = [row if isinstance(row, dict) else asdict(row) for row in rows]
    click.echo("  " + "".join(f"{name:>17}" for name in found[0]))
    for row in found:
        click.echo("  " + "".join(f"{_shown(value):>17}" for value in row.values()))
    return found


def _shown(value: Any) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
