"""Reading metrics in tests, with the parser that the library brings: a second opinion of the text."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]


class Scrape:
    """The samples of one page of metrics."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._values: dict[tuple[str, Labels], float] = {}
        self.types: dict[str, str] = {}
        for family in text_string_to_metric_families(text):
            self.types[family.name] = family.type
            for sample in family.samples:
                key = sample.name, frozenset(sample.labels.items())
                assert key not in self._values, f"{key} stands there twice"
                self._values[key] = sample.value

    @classmethod
    def of(cls, registry: CollectorRegistry) -> "Scrape":
        """What a registry tells now."""
        return cls(generate_latest(registry).decode())

    def value(self, name: str, /, **labels: str) -> float | None:
        """One sample; None when there is none."""
        return self._values.get((f"task_pipeline_{name}", frozenset(labels.items())))

    def values(self, name: str) -> Mapping[tuple[str, ...], float]:
        """All samples of a name that are not 0, by the values of their labels in the order of the labels' names."""
        wanted = f"task_pipeline_{name}"
        found = {labels: value for (own, labels), value in self._values.items() if own == wanted and value}
        return {tuple(value for _, value in sorted(labels)): number for labels, number in found.items()}

    @property
    def names(self) -> set[str]:
        """The names of all samples."""
        return {name for name, _ in self._values}

    def labels(self, name: str) -> set[str]:
        """The names of all labels that samples of this name have."""
        return {label for (own, labels), _ in self._values.items() if own == name for label, _ in labels}
