"""The Grafana dashboard, as data: rows of panels with their queries, and the JSON that Grafana imports.

Rule: a panel answers a question of who runs the system. Its description says what the metrics mean, in the words of the
catalogue. Everything is of one installation, which the variable `namespace` chooses.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from task_pipeline.api.pages import HINT
from task_pipeline.observability.catalog import CATALOG, Sort

_HERE = 'namespace="$namespace"'
_CLIENTS = f'{_HERE}, client=~"$client"'
_SOURCE = {"type": "prometheus", "uid": "$datasource"}
WIDTH = 24


class Query(NamedTuple):
    """A query and how its series are called."""

    expr: str
    legend: str


class Panel(NamedTuple):
    """One panel. `form`: stat or timeseries; `unit` as Grafana names it; `width` in 24ths; `stacked`: of a whole."""

    title: str
    queries: tuple[Query, ...]
    unit: str = "short"
    width: int = 8
    form: str = "timeseries"
    stacked: bool = False


def _now(title: str, expr: str, unit: str = "short") -> Panel:
    return Panel(title, (Query(expr, ""),), unit, 4, "stat")


def _quantiles(metric: str, where: str, by: str = "") -> tuple[Query, ...]:
    group = f"le, {by}" if by else "le"
    legend = f" {{{{{by}}}}}" if by else ""
    return tuple(
        Query(
            f"histogram_quantile({share}, sum by ({group}) (rate({metric}_bucket{{{where}}}[$__rate_interval])))",
            f"p{share * 100:.0f}{legend}",
        )
        for share in (0.5, 0.95)
    )


def _rate(metric: str, where: str, *by: str) -> Query:
    legend = " ".join(f"{{{{{label}}}}}" for label in by)
    return Query(f"sum by ({', '.join(by)}) (rate({metric}{{{where}}}[$__rate_interval]))", legend)


ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    (
        "Now",
        (
            _now("Operators that work", f"sum(task_pipeline_leader{{{_HERE}}})"),
            _now("Jobs running", f"sum(task_pipeline_jobs_running{{{_HERE}}})"),
            _now("Jobs waiting", f"sum(task_pipeline_jobs_waiting{{{_HERE}}}) or vector(0)"),
            _now("Longest wait", f"max(task_pipeline_oldest_wait_seconds{{{_HERE}}})", "s"),
            _now(
                "Queue in use",
                f"max(task_pipeline_queue_enqueued{{{_HERE}}}) / max(task_pipeline_queue_size{{{_HERE}}})",
                "percentunit",
            ),
            _now("Slots that drift", f"max(task_pipeline_slots_drift{{{_HERE}}})"),
        ),
    ),
    (
        "Queue",
        (
            Panel(
                "Why jobs wait",
                (Query(f"sum by (reason) (task_pipeline_jobs_waiting{{{_CLIENTS}}})", "{{reason}}"),),
                stacked=True,
            ),
            Panel(
                "Slots by client",
                (Query(f"sum by (client) (task_pipeline_jobs_running{{{_CLIENTS}}})", "{{client}}"),),
                stacked=True,
            ),
            Panel(
                "Slots in use and limit",
                (
                    Query(f"sum(task_pipeline_jobs_running{{{_HERE}}})", "in use"),
                    Query(f"max(task_pipeline_running_limit{{{_HERE}}})", "limit of all"),
                    Query(f"max by (client) (task_pipeline_client_limit{{{_CLIENTS}}})", "limit of {{client}}"),
                ),
            ),
            Panel("Wait in the queue", _quantiles("task_pipeline_queue_wait_seconds", _CLIENTS), "s"),
            Panel(
                "Longest wait by client",
                (Query(f"max by (client) (task_pipeline_oldest_wait_seconds{{{_CLIENTS}}})", "{{client}}"),),
                "s",
            ),
            Panel(
                "Enqueued",
                (
                    Query(f"max(task_pipeline_queue_enqueued{{{_HERE}}})", "enqueued"),
                    Query(f"max(task_pipeline_queue_size{{{_HERE}}})", "QUEUE_SIZE"),
                ),
            ),
        ),
    ),
    (
        "Outcomes",
        (
            Panel(
                "Pipelines that end, per second",
                (_rate("task_pipeline_pipelines_finished_total", _CLIENTS, "outcome"),),
                stacked=True,
            ),
            Panel(
                "Attempts that end, per second",
                (_rate("task_pipeline_job_attempts_total", _HERE, "kind", "outcome"),),
                stacked=True,
            ),
            Panel("Retries per second", (_rate("task_pipeline_retries_total", _HERE, "reason"),), stacked=True),
            Panel("How long Pipelines take", _quantiles("task_pipeline_pipeline_duration_seconds", _HERE), "s"),
            Panel(
                "Pipelines that exist",
                (Query(f"max by (state) (task_pipeline_pipelines{{{_HERE}}})", "{{state}}"),),
                stacked=True,
            ),
            Panel(
                "PipelineJobs that exist",
                (Query(f"max by (state) (task_pipeline_jobs{{{_HERE}}})", "{{state}}"),),
                stacked=True,
            ),
        ),
    ),
    (
        "Operator",
        (
            Panel("From slot to launch", _quantiles("task_pipeline_launch_latency_seconds", _HERE), "s"),
            Panel("One look at an object", _quantiles("task_pipeline_reconcile_duration_seconds", _HERE, "kind"), "s"),
            Panel(
                "Objects that wait for a look",
                (Query(f"max by (pod) (task_pipeline_workqueue_depth{{{_HERE}}})", "{{pod}}"),),
            ),
            Panel(
                "Requests to the API server, per second",
                (_rate("task_pipeline_api_requests_total", _HERE, "verb", "resource"),),
            ),
            Panel(
                "Requests that fail, per second",
                (_rate("task_pipeline_api_requests_total", f'{_HERE}, code!~"2.."', "resource", "code"),),
            ),
            Panel(
                "Silence of watches",
                (Query(f"max by (pod, kind) (task_pipeline_stream_age_seconds{{{_HERE}}})", "{{pod}} {{kind}}"),),
                "s",
            ),
            Panel(
                "Lists anew, and what they found gone",
                (
                    Query(f"sum by (pod) (increase(task_pipeline_relists_total{{{_HERE}}}[1h]))", "lists {{pod}}"),
                    Query(f"sum by (pod) (increase(task_pipeline_ghosts_total{{{_HERE}}}[1h]))", "gone {{pod}}"),
                ),
            ),
            Panel(
                "Memory",
                (
                    Query(
                        f"process_resident_memory_bytes{{{_HERE}}} and on (pod) task_pipeline_build_info{{{_HERE}}}",
                        "{{pod}}",
                    ),
                ),
                "bytes",
            ),
            Panel(
                "CPU seconds per second",
                (
                    Query(
                        f"rate(process_cpu_seconds_total{{{_HERE}}}[$__rate_interval])"
                        f" and on (pod) task_pipeline_build_info{{{_HERE}}}",
                        "{{pod}}",
                    ),
                ),
            ),
        ),
    ),
    (
        "REST server and HTTP runner",
        (
            Panel(
                "Answers per second",
                (_rate("task_pipeline_server_requests_total", _HERE, "code"),),
                width=6,
                stacked=True,
            ),
            Panel(
                "How long answers take",
                _quantiles("task_pipeline_server_request_duration_seconds", _HERE),
                "s",
                width=6,
            ),
            Panel(
                "HTTP jobs: requests",
                (
                    Query(f"sum(task_pipeline_runner_requests_open{{{_HERE}}})", "open"),
                    _rate("task_pipeline_runner_requests_total", _HERE, "outcome"),
                ),
                width=6,
            ),
            Panel(
                "How long HTTP jobs take",
                _quantiles("task_pipeline_runner_request_duration_seconds", _HERE),
                "s",
                width=6,
            ),
        ),
    ),
)


def dashboard() -> dict[str, Any]:
    """What Grafana imports."""
    return {
        "description": f"Generated by {HINT} from {__name__}; do not edit.",
        "uid": "task-pipeline",
        "title": "task-pipeline",
        "tags": ["task-pipeline"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [_datasource(), _variable("namespace", "task_pipeline_build_info", many=False),
                                _variable("client", f"task_pipeline_jobs_running{{{_HERE}}}", many=True)]},
        "panels": list(_panels()),
    }  # fmt: skip


def _datasource() -> dict[str, Any]:
    return {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"}


def _variable(name: str, series: str, *, many: bool) -> dict[str, Any]:
    query = f"label_values({series}, {name})"
    return {
        "name": name,
        "type": "query",
        "label": name.capitalize(),
        "datasource": _SOURCE,
        "definition": query,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": many,
        "includeAll": many,
        **({"allValue": ".*", "current": {"text": "All", "value": "$__all"}} if many else {}),
    }


def _panels() -> Iterator[dict[str, Any]]:
    number, top = 0, 0
    for title, panels in ROWS:
        number += 1
        yield {"id": number, "type": "row", "title": title, "collapsed": False, "panels": [],
               "gridPos": {"x": 0, "y": top, "w": WIDTH, "h": 1}}  # fmt: skip
        top += 1
        left, height = 0, 0
        for panel in panels:
            if left + panel.width > WIDTH:
                left, top = 0, top + height
            height = 4 if panel.form == "stat" else 8
            number += 1
            place = {"x": left, "y": top, "w": panel.width, "h": height}
            yield {"id": number, "gridPos": place, **_panel(panel)}
            left += panel.width
        top += height


def _panel(panel: Panel) -> dict[str, Any]:
    look: dict[str, Any] = {"unit": panel.unit}
    if panel.unit == "short":
        look["min"] = 0
    if panel.stacked:
        look["custom"] = {"stacking": {"mode": "normal"}, "fillOpacity": 20}
    return {
        "type": panel.form,
        "title": panel.title,
        "description": _description(panel),
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": look, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}} if panel.form == "timeseries" else {},
        "targets": [
            {"refId": chr(ord("A") + number), "expr": query.expr, "legendFormat": query.legend, "datasource": _SOURCE}
            for number, query in enumerate(panel.queries)
        ],
    }


def _description(panel: Panel) -> str:
    text = " ".join(query.expr for query in panel.queries)
    used = set(re.findall(r"task_pipeline_\w+", text))
    suffix = {Sort.HISTOGRAM: "_bucket"}
    told = [metric for metric in CATALOG if metric.name + suffix.get(metric.sort, "") in used]
    return " ".join(metric.meaning for metric in told if metric.name != "task_pipeline_build_info")
