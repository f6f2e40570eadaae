"""Where a scrape is answered, for each of the programs."""

import asyncio
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager

from task_pipeline.health.probes import Check, Probes
from task_pipeline.observability.meters import Meters
from task_pipeline.observability.page import MetricsPage
from task_pipeline.observability.sampling import Sampled, Value
from task_pipeline.observability.streams import Lists, Stream, of_streams

Streams = Callable[[], Iterable[tuple[str, Stream]]]


def sample_streams(meters: Meters, streams: Streams, others: Collection[Lists] = ()) -> None:
    """Let the watches of the running loop be sampled at each scrape."""
    loop = asyncio.get_running_loop()

    async def sample() -> Iterable[Value]:
        return of_streams(streams(), others, loop.time())

    Sampled(meters.registry, loop, sample)


@contextmanager
def listener(
    program: str, place: tuple[str, str, int], checks: Mapping[str, Check], meters: Meters
) -> Iterator[Probes | None]:
    """Answers the checks and /metrics while the block runs. `place`: the setting of the port, the address, the port,
    where 0 means that nobody answers. Exits with a line for a place that cannot be had.
    """
    setting, address, port = place
    if not port:
        yield None
        return
    try:
        probes = Probes(address, port, checks, {"/metrics": MetricsPage(meters.registry)})
    except OSError as error:
        sys.exit(f"{program}: cannot listen at {address}:{port}: {error}; choose another {setting}, or 0")
    probes.start()
    try:
        yield probes
    finally:
        probes.stop()
