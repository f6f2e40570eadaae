"""The registry of one process, and the counters and histograms that it keeps, made of the catalogue.

Rule: a series is looked up by its labels once and then kept, which halves the cost of an increment. What can be counted
when it is asked for is no meter but a `Sampled` (sampling.py).
"""

from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics

from task_pipeline import __version__
from task_pipeline.observability.catalog import BUILD_INFO, Metric

S = TypeVar("S", Counter, Gauge, Histogram)


class Series(Generic[S]):
    """The series of one metric, by the values of its labels."""

    def __init__(self, metric: S) -> None:
        self._metric: S = metric
        self._known: dict[tuple[str, ...], S] = {}

    def of(self, *values: str) -> S:
        """The series with these values, in the order of the catalogue."""
        found = self._known.get(values)
        if found is None:
            found = self._known[values] = self._metric.labels(*values) if values else self._metric
        return found


class Meters:
    """What one process tells. Each metric can be asked for once."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter and histogram, which nobody asks for
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.gauge(BUILD_INFO).of(__version__).set(1)

    def counter(self, metric: Metric) -> Series[Counter]:
        """The series of a counter."""
        return Series(Counter(metric.name, metric.meaning, metric.labels, registry=self.registry))

    def gauge(self, metric: Metric) -> Series[Gauge]:
        """The series of a gauge that is kept."""
        return Series(Gauge(metric.name, metric.meaning, metric.labels, registry=self.registry))

    def histogram(self, metric: Metric) -> Series[Histogram]:
        """The series of a histogram."""
        made = Histogram(metric.name, metric.meaning, metric.labels, buckets=metric.buckets, registry=self.registry)
        return Series(made)
