"""A world whose operator is measured as in the product, and scrapes of it in virtual time.

A scrape of the product comes in a thread of its own; here the loop takes the sample itself.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

from task_pipeline.entrypoints.telemetry import observe
from task_pipeline.observability.meters import Meters
from task_pipeline.observability.sampling import Value, families
from tests.scenario.world import World, running
from tests.scrape import Scrape


class Metered:
    """The world, and the metrics of the operator that runs in it now."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.measure()

    def measure(self) -> None:
        """Measure the operator that has been started last, as a new process would."""
        runtime = self.world.runtime
        assert runtime is not None
        self.meters = Meters()
        self._sample: Callable[[], Awaitable[list[Value]]] = observe(
            self.meters, runtime, lambda: runtime.scheduler.working
        )

    async def restart(self, *, kill: bool = False) -> None:
        """A new operator instead of the one that runs."""
        await (self.world.kill() if kill else self.world.stop())
        await self.world.start()
        self.measure()

    async def sample(self) -> list[Value]:
        """What is counted when somebody asks."""
        return await self._sample()

    async def scrape(self) -> Scrape:
        """All that is told now."""
        registry, values = CollectorRegistry(), await self.sample()

        class Told:
            def collect(self) -> list[Metric]:
                return list(families(values))

        registry.register(Told())
        return Scrape(Scrape.of(self.meters.registry).text + Scrape.of(registry).text)


@asynccontextmanager
async def metered(**settings: Any) -> AsyncIterator[Metered]:
    """A world with an operator that is measured."""
    async with running(**settings) as world:
        yield Metered(world)
