"""The alert rules: when somebody should look, and what to do then. Once: rule file and documentation are made of this.

Rule: an alert names what is wrong for users or will be soon, and its remedy begins with a command or a place to look.
Its expression uses metrics of the catalogue only, and keeps the labels that say where.
"""

from dataclasses import dataclass
from typing import Any

_FINISHED = "task_pipeline_pipelines_finished_total"
_LOST = 'reason=~"Lost|Evicted|WorkerLost"'
_FAILED = 'code=~"none|429|5.."'


@dataclass(frozen=True, slots=True)
class Alert:
    """One rule. `for_` is how long `expr` must hold; `summary` may name labels as `{{ $labels.client }}`."""

    name: str
    expr: str
    for_: str
    severity: str
    summary: str
    remedy: str

    @property
    def rule(self) -> dict[str, Any]:
        """The rule as Prometheus reads it."""
        return {
            "alert": self.name,
            "expr": self.expr,
            "for": self.for_,
            "labels": {"severity": self.severity},
            "annotations": {"summary": self.summary, "description": self.remedy},
        }


ALERTS: tuple[Alert, ...] = (
    Alert(
        "TaskPipelineDown",
        "absent(task_pipeline_leader)",
        "5m",
        "critical",
        "No operator of task-pipeline is scraped",
        "Look at the pods of the operator and at their logs. If they run, nobody can scrape them: see the PodMonitor "
        "and networkPolicy.metricsFrom. Jobs that run go on; nothing new starts while no operator works.",
    ),
    Alert(
        "TaskPipelineNoLeader",
        "sum by (namespace) (task_pipeline_leader) == 0",
        "2m",
        "critical",
        "No operator of task-pipeline works",
        "Read the Lease task-pipeline-operator and the log of the replicas: `leading as`, or why the Lease cannot be "
        "had. A new leader that cannot list everything says what it waits for.",
    ),
    Alert(
        "TaskPipelineTwoLeaders",
        "sum by (namespace) (task_pipeline_leader) > 1",
        "5m",
        "critical",
        "{{ $value }} operators of task-pipeline work at once",
        "Two installations share a namespace, or one runs with leader_election false. Stop one of them: no workload is "
        "started twice, but limits may be exceeded.",
    ),
    Alert(
        "TaskPipelineSlotsDrift",
        "max by (namespace) (task_pipeline_slots_drift) != 0",
        "10m",
        "warning",
        "{{ $value }} slots are not what the records say",
        "A fault in the operator: please report it with its log. Restart the operator that works; slots are then taken "
        "anew from what exists, and nothing is launched twice.",
    ),
    Alert(
        "TaskPipelineNoProgress",
        'sum by (namespace) (task_pipeline_jobs_waiting{reason="Queued"}) > 0'
        " unless sum by (namespace) (rate(task_pipeline_launch_latency_seconds_count[15m])) > 0"
        " unless sum by (namespace) (task_pipeline_jobs_running) >= sum by (namespace) (task_pipeline_running_limit)",
        "15m",
        "critical",
        "Jobs wait, slots are free, and nothing is launched",
        "Look for errors in the log of the operator that works, and at TaskPipelineApiErrors. `kubectl get pjob -A` "
        "tells what the first jobs wait for. If the log says nothing, restart it and report it.",
    ),
    Alert(
        "TaskPipelineQueueNearlyFull",
        "task_pipeline_queue_enqueued > 0.9 * task_pipeline_queue_size and task_pipeline_queue_size > 0",
        "15m",
        "warning",
        "The queue is nearly full: {{ $value }} jobs are enqueued",
        "Submissions by REST are soon refused with QueueFull; Pipelines that are applied wait outside. See who waits: "
        "task_pipeline_jobs_waiting by client. Raise MAX_RUNNING_JOBS if the cluster has room, or QUEUE_SIZE.",
    ),
    Alert(
        "TaskPipelineWaitsLong",
        "max by (namespace, client) (task_pipeline_oldest_wait_seconds) > 6 * 3600",
        "15m",
        "warning",
        "A job of client {{ $labels.client }} has waited for {{ $value | humanizeDuration }}",
        "task_pipeline_jobs_waiting of that client tells why. ClientLimit: raise its maxRunningJobs. Queued or "
        "GlobalLimit: others go first; see its priority and maxWaitSeconds. QuotaExceeded: raise the ResourceQuota of "
        "the namespace. ClientSuspended: somebody wanted that.",
    ),
    Alert(
        "TaskPipelineFailures",
        f'sum by (namespace, client) (increase({_FINISHED}{{outcome="Failed"}}[1h]))'
        f' > 0.5 * sum by (namespace, client) (increase({_FINISHED}{{outcome!="Invalid"}}[1h]))'
        f' and sum by (namespace, client) (increase({_FINISHED}{{outcome!="Invalid"}}[1h])) >= 10',
        "10m",
        "warning",
        "More than half of the Pipelines of client {{ $labels.client }} fail",
        "`kubectl get tpl -A --field-selector status.state=ERROR` lists them with their reasons. One reason for many "
        "points to what they share: an image, a Secret, a service they call.",
    ),
    Alert(
        "TaskPipelineInfrastructure",
        f"sum by (namespace, reason) (increase(task_pipeline_retries_total{{{_LOST}}}[30m])) > 20",
        "5m",
        "warning",
        "{{ $value | humanize }} attempts were lost to the infrastructure ({{ $labels.reason }}) in half an hour",
        "Lost and Evicted: look at the nodes (`kubectl get nodes`, pressure, a drain under way). WorkerLost: workers "
        "died, or could not reach the REST server within their lease.",
    ),
    Alert(
        "TaskPipelineLaunchesSlow",
        "histogram_quantile(0.95, sum by (namespace, le) (rate(task_pipeline_launch_latency_seconds_bucket[15m]))) > "
        "2.5",
        "15m",
        "warning",
        "One launch in twenty takes longer than {{ $value | humanizeDuration }}",
        "The API server or an admission webhook is slow: compare task_pipeline_reconcile_duration_seconds with the "
        "API server's own metrics. If task_pipeline_workqueue_depth is high as well, give the operator more CPU or "
        "workers.",
    ),
    Alert(
        "TaskPipelineApiErrors",
        f"sum by (namespace) (rate(task_pipeline_api_requests_total{{{_FAILED}}}[10m]))"
        " > 0.1 * sum by (namespace) (rate(task_pipeline_api_requests_total[10m]))",
        "10m",
        "warning",
        "The API server fails one request in ten, or more",
        "task_pipeline_api_requests_total by code and resource tells which. none: no answer. 429: the API server is "
        "overloaded or its flow control holds us back. 500 and 503: its own log, etcd, a webhook that is down.",
    ),
    Alert(
        "TaskPipelineWatchStale",
        "max by (namespace, pod, kind) (task_pipeline_stream_age_seconds) > 330",
        "2m",
        "warning",
        "{{ $labels.pod }} has heard nothing of {{ $labels.kind }} for {{ $value | humanizeDuration }}",
        "A watch is opened anew after 150 s of silence, so the API server does not answer that: the log says `cannot "
        "watch`. Look at the rights of the service account and at the network.",
    ),
    Alert(
        "TaskPipelineRelists",
        "sum by (namespace, pod) (increase(task_pipeline_relists_total[1h]))"
        " > 5 * sum by (namespace, pod) (task_pipeline_streams)",
        "5m",
        "info",
        "{{ $labels.pod }} has listed anew {{ $value | humanize }} times in an hour, over five times for each watch",
        "Each list costs the API server much. Watches break off or come too late: see the log, and whether the API "
        "server restarts or its etcd is compacted very often.",
    ),
    Alert(
        "TaskPipelineServerErrors",
        'sum by (namespace) (rate(task_pipeline_server_requests_total{code=~"5.."}[10m]))'
        " > 0.05 * sum by (namespace) (rate(task_pipeline_server_requests_total[10m]))",
        "10m",
        "warning",
        "The REST server answers one request in twenty with an error, or more",
        "503 with TaskPipelineApiErrors: the API server is away. 500 is a fault of ours: the log has it under the id "
        "that the answer gives.",
    ),
)


def rule_file() -> dict[str, Any]:
    """The rules as a file that Prometheus loads."""
    return {"groups": [{"name": "task-pipeline", "rules": [alert.rule for alert in ALERTS]}]}
