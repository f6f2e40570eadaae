"""The closed list of reasons, with what each means and what to do about it.

Rule: every `reason` in a status or a condition is one of these, and docs/reasons.md is generated
from `MEANING`. A status model holds the reason as text, so that what a newer version wrote can
still be read; compare with ==.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple


class Category(StrEnum):
    """In which situation a reason is given."""

    WAITING = "waiting"
    RUNNING = "running"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DONE = "done"


class Reason(StrEnum):
    """Why something is in the state that it is in."""

    QUEUED = "Queued"
    STAGE_NOT_REACHED = "StageNotReached"
    QUEUE_FULL = "QueueFull"
    CLIENT_QUEUE_FULL = "ClientQueueFull"
    GLOBAL_LIMIT = "GlobalLimit"
    CLIENT_LIMIT = "ClientLimit"
    CLIENT_SUSPENDED = "ClientSuspended"
    SUSPENDED = "Suspended"
    RETRY_BACKOFF = "RetryBackoff"
    GROUP_BUSY = "GroupBusy"
    AWAITING_WORKER = "AwaitingWorker"
    EXTERNALLY_QUEUED = "ExternallyQueued"
    QUOTA_EXCEEDED = "QuotaExceeded"

    STARTING = "Starting"
    RUNNING = "Running"
    STAGE_RUNNING = "StageRunning"
    STOPPING = "Stopping"

    FAILED = "Failed"
    EXIT_CODE = "ExitCode"
    START_ERROR = "StartError"
    OOM_KILLED = "OOMKilled"
    TIMEOUT = "Timeout"
    START_TIMEOUT = "StartTimeout"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    INVALID_IMAGE_NAME = "InvalidImageName"
    UNSCHEDULABLE = "Unschedulable"
    CONFIG_ERROR = "ConfigError"
    POD_REJECTED = "PodRejected"
    DEADLINE_KILLED = "DeadlineKilled"
    JOB_DELETED = "JobDeleted"
    PROGRESS_DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"
    LOST = "Lost"
    EVICTED = "Evicted"
    WORKER_LOST = "WorkerLost"
    REQUEST_FAILED = "RequestFailed"
    INVALID_SPEC = "InvalidSpec"
    CLIENT_NOT_ALLOWED = "ClientNotAllowed"
    CONFLICT = "Conflict"
    JOB_FAILED = "JobFailed"
    DEADLINE_EXCEEDED = "DeadlineExceeded"

    USER_CANCELLED = "UserCancelled"
    UPSTREAM_FAILED = "UpstreamFailed"
    QUEUE_TIMEOUT = "QueueTimeout"
    FAIL_FAST = "FailFast"

    SUCCEEDED = "Succeeded"
    SUCCEEDED_WITH_WARNINGS = "SucceededWithWarnings"


class Meaning(NamedTuple):
    """One row of the table of reasons."""

    category: Category
    meaning: str
    remedy: str


_W, _R, _F, _C, _D = (
    Category.WAITING,
    Category.RUNNING,
    Category.FAILED,
    Category.CANCELLED,
    Category.DONE,
)

MEANING: Mapping[Reason, Meaning] = {
    Reason.QUEUED: Meaning(
        _W,
        "The job waits for its turn; work that ranks before it goes first.",
        "Nothing is wrong; a smaller priority value moves the job forward.",
    ),
    Reason.STAGE_NOT_REACHED: Meaning(
        _W,
        "An earlier stage has not finished yet.",
        "Nothing is wrong; look at the jobs of the open stage.",
    ),
    Reason.QUEUE_FULL: Meaning(
        _W,
        "The queue of the whole operator is full, and this work ranks behind all that is in it.",
        "Wait, use a smaller priority value, or let the platform team raise QUEUE_SIZE.",
    ),
    Reason.CLIENT_QUEUE_FULL: Meaning(
        _W,
        "The queue of this client is full, and this work ranks behind all that is in it.",
        "Wait, use a smaller priority value, or let the platform team raise queueSize of the PipelineClient.",
    ),
    Reason.GLOBAL_LIMIT: Meaning(
        _W,
        "As many jobs are running as the operator may run at once.",
        "Wait, or let the platform team raise MAX_RUNNING_JOBS.",
    ),
    Reason.CLIENT_LIMIT: Meaning(
        _W,
        "As many jobs of this client are running as it may run at once.",
        "Wait, or let the platform team raise maxRunningJobs of the PipelineClient.",
    ),
    Reason.CLIENT_SUSPENDED: Meaning(
        _W,
        "The client is suspended, so nothing more of it is started.",
        "Ask the platform team to set suspend of the PipelineClient to false.",
    ),
    Reason.SUSPENDED: Meaning(
        _W,
        "The Pipeline is suspended, so nothing more of it is started.",
        "Set spec.suspend of the Pipeline to false.",
    ),
    Reason.RETRY_BACKOFF: Meaning(
        _W,
        "The last attempt failed and the next one starts at status.nextAttemptTime.",
        "Wait, or read the last attempt's message and repair its cause.",
    ),
    Reason.GROUP_BUSY: Meaning(
        _W,
        "Other work that must not run at the same time as this job is running.",
        "Wait until it has ended; the message names it.",
    ),
    Reason.AWAITING_WORKER: Meaning(
        _W,
        "The job is offered to workers and none has claimed it yet.",
        "Check that a worker for the queue named in the params is connected.",
    ),
    Reason.EXTERNALLY_QUEUED: Meaning(
        _W,
        "Another controller, such as Kueue, holds the Kubernetes Job suspended.",
        "Look at that controller's queue; the timeout of the job stands still meanwhile.",
    ),
    Reason.QUOTA_EXCEEDED: Meaning(
        _W,
        "The namespace's ResourceQuota has no room for the workload; nothing was charged.",
        "Wait until room is free, lower the job's requests, or have the quota raised.",
    ),
    Reason.STARTING: Meaning(
        _R,
        "The attempt is launched and does not run yet: it is scheduled, pulls its image or starts.",
        "Wait; if it takes long, the message repeats what the scheduler or the kubelet says.",
    ),
    Reason.RUNNING: Meaning(_R, "The attempt is running.", "Nothing to do."),
    Reason.STAGE_RUNNING: Meaning(
        _R,
        "Jobs of the open stage are running or waiting for their turn.",
        "Nothing to do; the message counts them.",
    ),
    Reason.STOPPING: Meaning(
        _R,
        "A stop was asked for, and the end of the workload has not been seen yet.",
        "Wait for the grace period; the job ends CANCELLED once the workload is gone.",
    ),
    Reason.FAILED: Meaning(
        _F,
        "The workload failed and gave no closer reason.",
        "Read the attempt's message and the log of the job.",
    ),
    Reason.EXIT_CODE: Meaning(
        _F,
        "The main container ended with an exit code other than 0.",
        "Read the attempt's message, which holds the last lines of the log, and repair the script.",
    ),
    Reason.START_ERROR: Meaning(
        _F,
        "The container could not be started, for example because its command does not exist in the image.",
        "Correct command, script or shell, or use an image that has them.",
    ),
    Reason.OOM_KILLED: Meaning(
        _F,
        "The container used more memory than its limit allows and was killed.",
        "Raise resources.limits.memory of the job, or make it use less.",
    ),
    Reason.TIMEOUT: Meaning(
        _F,
        "The attempt ran longer than the timeout and was stopped.",
        "Raise timeout of the job, or make it faster.",
    ),
    Reason.START_TIMEOUT: Meaning(
        _F,
        "The attempt had not begun to run within startTimeout and was stopped.",
        "Read the message for what held it up, repair that, or raise startTimeout.",
    ),
    Reason.IMAGE_PULL_FAILED: Meaning(
        _F,
        "The image could not be pulled.",
        "Check the image's name and tag, that the nodes reach its registry, and imagePullSecrets.",
    ),
    Reason.INVALID_IMAGE_NAME: Meaning(
        _F,
        "The image reference is not a valid one.",
        "Correct the image in the job's params.",
    ),
    Reason.UNSCHEDULABLE: Meaning(
        _F,
        "No node could take the pod.",
        "Check its requests, nodeSelector, tolerations and volumes against the nodes.",
    ),
    Reason.CONFIG_ERROR: Meaning(
        _F,
        "Something the container needs, such as a Secret, a ConfigMap or a key in it, does not exist.",
        "Create what the message names, or correct its name in the params.",
    ),
    Reason.POD_REJECTED: Meaning(
        _F,
        "The API server, an admission policy or the kubelet refused the workload for good.",
        "Change the params so that the rule named in the message is kept.",
    ),
    Reason.DEADLINE_KILLED: Meaning(
        _F,
        "The workload's own activeDeadlineSeconds ended it.",
        "Raise activeDeadlineSeconds in the params, or leave it out and use timeout.",
    ),
    Reason.JOB_DELETED: Meaning(
        _F,
        "The PipelineJob was deleted by hand, so it counts as failed and is not run again.",
        "Ask for a rerun of the Pipeline; to stop a job, set spec.cancel instead of deleting it.",
    ),
    Reason.PROGRESS_DEADLINE_EXCEEDED: Meaning(
        _F,
        "The Deployment made no progress within its progressDeadlineSeconds.",
        "Look at the pods of the Deployment and repair why they do not become ready.",
    ),
    Reason.LOST: Meaning(
        _F,
        "The workload vanished: its node was lost, or somebody deleted it.",
        "Find out who deletes the workloads, or which node is failing; then ask for a rerun.",
    ),
    Reason.EVICTED: Meaning(
        _F,
        "The pod was evicted or preempted, more often than the operator replaces it for free.",
        "Give the job requests that match its use, or a node with room; then ask for a rerun.",
    ),
    Reason.WORKER_LOST: Meaning(
        _F,
        "The worker that had claimed the job stopped sending heartbeats.",
        "Look at the worker's log, and check that it heartbeats as often as the server asks.",
    ),
    Reason.REQUEST_FAILED: Meaning(
        _F,
        "The HTTP request could not be made, or its answer is not one that the job expects.",
        "Check url, headers and expect in the params, and that the service is reachable and allowed.",
    ),
    Reason.INVALID_SPEC: Meaning(
        _F,
        "The spec is refused; the message lists every fault with its path, and nothing was launched.",
        "Correct the faults and apply again; a Pipeline that never started is judged again.",
    ),
    Reason.CLIENT_NOT_ALLOWED: Meaning(
        _F,
        "The PipelineClient does not exist, or does not allow this namespace, kind or priority.",
        "Use a client that does, or ask the platform team to change the PipelineClient.",
    ),
    Reason.CONFLICT: Meaning(
        _F,
        "Another field manager owns fields that the job wants to set.",
        "Let one of the two managers named in the message own them, or set force: true.",
    ),
    Reason.JOB_FAILED: Meaning(
        _F,
        "At least one job failed without allowFailure.",
        "Look at the jobs in status.failedJobs, repair the cause, and ask for a rerun.",
    ),
    Reason.DEADLINE_EXCEEDED: Meaning(
        _F,
        "The whole run took longer than spec.timeout of the Pipeline.",
        "Raise spec.timeout, or make the run shorter; then ask for a rerun.",
    ),
    Reason.USER_CANCELLED: Meaning(
        _C,
        "Somebody asked for the cancel.",
        "Ask for a rerun if it shall run after all.",
    ),
    Reason.UPSTREAM_FAILED: Meaning(
        _C,
        "A job of an earlier stage failed, so this one was never started.",
        "Repair the job that failed, and ask for a rerun.",
    ),
    Reason.QUEUE_TIMEOUT: Meaning(
        _C,
        "The job waited longer than its queueTimeout.",
        "Raise queueTimeout, use a smaller priority value, or free some room.",
    ),
    Reason.FAIL_FAST: Meaning(
        _C,
        "Another job of the stage failed, and the Pipeline says failFast.",
        "Repair the job that failed, and ask for a rerun.",
    ),
    Reason.SUCCEEDED: Meaning(_D, "All is done.", "Nothing to do."),
    Reason.SUCCEEDED_WITH_WARNINGS: Meaning(
        _D,
        "All is done; some jobs failed that were allowed to.",
        "Look at the jobs in status.failedJobs when you have the time.",
    ),
}
