"""What queries name, and whether there is such a thing: alerts and dashboard against what programs really tell."""

from collections.abc import Iterable, Iterator

import promql_parser as promql

from task_pipeline.observability.alerts import ALERTS
from task_pipeline.observability.catalog import CATALOG, Metric, Sort
from task_pipeline.observability.dashboard import ROWS

OF_TARGETS = frozenset({"namespace", "pod"})  # labels that Prometheus gives to all that it reads from a pod
VARIABLES = {"$namespace": "tp", "$client": ".*", "$__rate_interval": "5m"}
_SUFFIXES = {Sort.HISTOGRAM: ("_bucket", "_count", "_sum")}


def queries() -> Iterator[tuple[str, str]]:
    """Every query of alerts and dashboard, with where it stands."""
    yield from ((alert.name, alert.expr) for alert in ALERTS)
    yield from ((panel.title, query.expr) for _, panels in ROWS for panel in panels for query in panel.queries)


def parsed(expr: str) -> promql.Expr:
    """The query as Prometheus reads it; Grafana's variables are filled in. Raises ValueError."""
    for name, value in VARIABLES.items():
        expr = expr.replace(name, value)
    return promql.parse(expr)


def selectors(expr: promql.Expr) -> Iterator[tuple[str, set[str]]]:
    """The names of the series that a query reads, with the labels by which it chooses."""
    match expr:
        case promql.VectorSelector():
            yield expr.name or "", {matcher.name for matcher in expr.matchers.matchers}
        case promql.MatrixSelector():
            yield from selectors(expr.vector_selector)
        case promql.AggregateExpr() | promql.ParenExpr() | promql.SubqueryExpr() | promql.UnaryExpr():
            yield from selectors(expr.expr)
        case promql.BinaryExpr():
            yield from selectors(expr.lhs)
            yield from selectors(expr.rhs)
        case promql.Call():
            for argument in expr.args:
                yield from selectors(argument)


def grouped(expr: promql.Expr) -> Iterator[tuple[set[str], set[str]]]:
    """For each aggregation: by which labels, and the names of the series below it."""
    match expr:
        case promql.AggregateExpr():
            by = set() if expr.modifier is None else set(expr.modifier.labels)
            yield by, {name for name, _ in selectors(expr.expr)}
            yield from grouped(expr.expr)
        case promql.BinaryExpr():
            yield from grouped(expr.lhs)
            yield from grouped(expr.rhs)
        case promql.Call():
            for argument in expr.args:
                yield from grouped(argument)
        case promql.ParenExpr():
            yield from grouped(expr.expr)


def series(metrics: Iterable[Metric] = CATALOG) -> dict[str, set[str]]:
    """The names of all series of these metrics, with their labels."""
    found: dict[str, set[str]] = {}
    for metric in metrics:
        for suffix in _SUFFIXES.get(metric.sort, ("",)):
            found[metric.name + suffix] = {*metric.labels, *(("le",) if suffix == "_bucket" else ())}
    return found
