"""Every metric of the three programs: name, type, labels, meaning, once.

Rule: what a scrape may hold stands here and nowhere else. The registries, docs/metrics.md and the tests of alerts and
dashboard are made of this list. Names follow the naming rules of Prometheus: base units, `_total` on counters. A label
has few values whatever users do: no name of a Pipeline, a job or a pod is one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

PREFIX = "task_pipeline_"


class Sort(StrEnum):
    """The types of Prometheus."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Program(StrEnum):
    """Who tells a metric."""

    OPERATOR = "operator"
    SERVER = "server"
    RUNNER = "http-runner"


OPERATOR = (Program.OPERATOR,)
WATCHING = (Program.OPERATOR, Program.SERVER)
ALL = tuple(Program)

QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
WAITS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 10_800.0, 43_200.0)
RUNS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 10_800.0, 43_200.0, 86_400.0)
ANSWERS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. `name` has the prefix; `leader`: only the operator that works tells it; `buckets` in `unit`."""

    name: str
    sort: Sort
    unit: str
    meaning: str
    labels: tuple[str, ...] = ()
    of: tuple[Program, ...] = OPERATOR
    leader: bool = False
    buckets: tuple[float, ...] = ()


def _gauge(name: str, unit: str, meaning: str, *labels: str, of: tuple[Program, ...] = OPERATOR) -> Metric:
    return Metric(PREFIX + name, Sort.GAUGE, unit, meaning, labels, of)


def _state(name: str, unit: str, meaning: str, *labels: str) -> Metric:
    return Metric(PREFIX + name, Sort.GAUGE, unit, meaning, labels, leader=True)


def _counter(name: str, unit: str, meaning: str, *labels: str, of: tuple[Program, ...] = OPERATOR) -> Metric:
    return Metric(PREFIX + name, Sort.COUNTER, unit, meaning, labels, of)


def _histogram(
    name: str, meaning: str, buckets: tuple[float, ...], *labels: str, of: tuple[Program, ...] = OPERATOR
) -> Metric:
    return Metric(PREFIX + name, Sort.HISTOGRAM, "seconds", meaning, labels, of, buckets=buckets)


LABELS: Mapping[str, str] = {
    "state": "`READY`, `IN PROGRESS`, `DONE`, `ERROR` or `CANCELLED`.",
    "client": "The PipelineClient. `_unknown`: there is none of the name that the Pipeline gives. `_other`: all "
    "beyond the first 200, together.",
    "reason": "One of the [reasons](reasons.md); `_other` for one that only a newer operator knows.",
    "outcome": "Of an attempt, as in its status: `Succeeded`, `Failed`, `Timeout`, `Evicted`, `Lost` or `Cancelled`. "
    "Of a Pipeline: `Succeeded`, `Failed`, `Cancelled`, or `Invalid`, refused before anything was launched. Of a "
    "request of the HTTP runner: `Succeeded`, `Failed`, or `Accepted` by a service that reports by itself. Of a trace: "
    "`Sent`, `Failed`, or `Dropped` before it could be sent.",
    "kind": "Of attempts: the job kind, such as `Shell`; `_other` for one that this operator does not know. Of "
    "reconciles: `pipeline`, `job` or `client`. Of streams: the plural of the resource that is watched.",
    "verb": "`create`, `get`, `list`, `watch`, `patch`, `update` or `delete`.",
    "resource": "The plural of the resource, with its subresource: `pods`, `pipelinejobs/status`.",
    "code": "The HTTP status; `none` when no answer came.",
    "route": "The template of the path, such as `/api/v1/queue`; `none` for a path that is none.",
    "method": "`GET`, `POST`, `PUT`, `PATCH` or `DELETE`; `_other` for any other.",
    "version": "The version of the program.",
}
"""What the values of each label are."""

PIPELINES = _state("pipelines", "Pipelines", "Pipelines that exist.", "state")
JOBS = _state("jobs", "PipelineJobs", "PipelineJobs that exist.", "state")
JOBS_RUNNING = _state(
    "jobs_running", "jobs", "Slots in use: jobs that run, stop, or are being launched. What limits count.", "client"
)
JOBS_WAITING = _state(
    "jobs_waiting",
    "jobs",
    "Jobs that wait, by why. Jobs of a stage that has opened count before their PipelineJobs exist.",
    "client",
    "reason",
)
OLDEST_WAIT = _state(
    "oldest_wait_seconds",
    "seconds",
    "How long the job that has waited longest has waited; 0 when none does. Left out are jobs of suspended Pipelines "
    "and those that pause before they are tried again.",
    "client",
)
CLIENT_LIMIT = _state("client_limit", "jobs", "maxRunningJobs of the PipelineClient; none if unlimited.", "client")
RUNNING_LIMIT = _state("running_limit", "jobs", "MAX_RUNNING_JOBS; none if unlimited.")
QUEUE_SIZE = _state("queue_size", "jobs", "QUEUE_SIZE: how many jobs may be enqueued; none if unlimited.")
QUEUE_ENQUEUED = _state("queue_enqueued", "jobs", "Jobs that are enqueued: what QUEUE_SIZE bounds.")
SLOTS_DRIFT = _state(
    "slots_drift",
    "slots",
    "Slots that are taken and should not be, or the other way round, by a recount of PipelineJobs and of what runs. "
    "Anything but 0 that stays is a fault in the operator.",
)

PIPELINES_FINISHED = _counter("pipelines_finished_total", "runs", "Runs of Pipelines that ended.", "client", "outcome")
PIPELINE_DURATION = _histogram(
    "pipeline_duration_seconds", "From the first launch of a run of a Pipeline to its end.", RUNS
)
JOB_ATTEMPTS = _counter("job_attempts_total", "attempts", "Attempts of jobs that ended.", "kind", "outcome")
RETRIES = _counter("retries_total", "attempts", "Attempts that are followed by another, by why they ended.", "reason")
QUEUE_WAIT = _histogram(
    "queue_wait_seconds", "From when an attempt could have been launched to its launch.", WAITS, "client"
)
LAUNCH_LATENCY = _histogram(
    "launch_latency_seconds", "From when a job is given its slot to when its launch is written in its status.", QUICK
)

RECONCILE_DURATION = _histogram(
    "reconcile_duration_seconds", "How long one look at an object takes, requests included.", QUICK, "kind"
)
WORKQUEUE_DEPTH = _gauge("workqueue_depth", "objects", "Objects that wait to be looked at: no worker is free.")
API_REQUESTS = _counter(
    "api_requests_total",
    "requests",
    "Requests to the API server, those for the Lease included; not those of kopf.",
    "verb",
    "resource",
    "code",
    of=WATCHING,
)
STREAM_AGE = _gauge(
    "stream_age_seconds",
    "seconds",
    "How long nothing has been heard of a watch; of several namespaces the longest. Where little happens up to 330.",
    "kind",
    of=WATCHING,
)
STREAMS = _gauge(
    "streams",
    "watches",
    "Watches of this replica: one for each kind of object, and for each namespace where not all are watched.",
    of=WATCHING,
)
RELISTS = _counter(
    "relists_total", "lists", "Lists of resources after the first: the place in a watch was lost.", of=WATCHING
)
GHOSTS = _counter("ghosts_total", "objects", "Objects of which only such a list told that they are gone.", of=WATCHING)
TRACES = _counter(
    "traces_total",
    "traces",
    "Traces of runs that ended; all 0 while traces are off.",
    "outcome",
)
LEADER = _gauge("leader", "1 or 0", "Whether this replica works. Exactly one should.")
BUILD_INFO = _gauge("build_info", "1", "1; its labels say what runs.", "version", of=ALL)

SERVER_REQUESTS = _counter(
    "server_requests_total", "requests", "Requests that were answered.", "route", "method", "code", of=(Program.SERVER,)
)
SERVER_DURATION = _histogram(
    "server_request_duration_seconds",
    "How long an answer took. What is held open by design is left out: streams, logs and claims.",
    ANSWERS,
    of=(Program.SERVER,),
)
RUNNER_OPEN = _gauge("runner_requests_open", "requests", "Requests of HTTP jobs that are open.", of=(Program.RUNNER,))
RUNNER_REQUESTS = _counter(
    "runner_requests_total", "requests", "Requests of HTTP jobs that ended.", "outcome", of=(Program.RUNNER,)
)
RUNNER_DURATION = _histogram(
    "runner_request_duration_seconds", "How long the requests of HTTP jobs took.", RUNS, of=(Program.RUNNER,)
)

CATALOG: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
"""All of them, in the order above."""


def told_by(program: Program) -> tuple[Metric, ...]:
    """The metrics of one program."""
    return tuple(metric for metric in CATALOG if program in metric.of)
