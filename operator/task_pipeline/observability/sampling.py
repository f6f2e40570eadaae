"""What is counted at the moment of a scrape, in the event loop that owns what is counted.

Rule: a scrape comes in a thread of its own (health.probes), and the records belong to the loop. So the thread asks the
loop for a sample and waits; a loop that does not answer in time has no metrics, which is the truth: Prometheus then
says that the target is down.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector, CollectorRegistry

from task_pipeline.observability.catalog import Metric, Sort

SAMPLE_SECONDS = 5.0


class Value(NamedTuple):
    """One number of a sample; `labels` in the order of the catalogue."""

    metric: Metric
    labels: tuple[str, ...]
    value: float


Sample = Callable[[], Awaitable[Iterable[Value]]]


class Sampled(Collector):
    """Asks `sample` in `loop` at every scrape. To be asked from another thread than the loop's."""

    def __init__(self, registry: CollectorRegistry, loop: asyncio.AbstractEventLoop, sample: Sample) -> None:
        self._loop = loop
        self._sample = sample
        registry.register(self)

    def collect(self) -> Iterator[Family]:
        """The families of the sample. Raises TimeoutError when the loop does not answer in time."""
        asked = asyncio.run_coroutine_threadsafe(self._values(), self._loop)
        try:
            values = asked.result(SAMPLE_SECONDS)
        finally:
            asked.cancel()
        return families(values)

    async def _values(self) -> list[Value]:
        return list(await self._sample())


def families(values: Iterable[Value]) -> Iterator[Family]:
    """The values by metric, in the order in which they come."""
    found: dict[str, GaugeMetricFamily | CounterMetricFamily] = {}
    for metric, labels, value in values:
        family = found.get(metric.name)
        if family is None:
            kind = GaugeMetricFamily if metric.sort is Sort.GAUGE else CounterMetricFamily
            family = found[metric.name] = kind(metric.name, metric.meaning, labels=metric.labels)
        family.add_metric(labels, value)
    yield from found.values()
