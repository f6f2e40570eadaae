"""The bugs: each is a small change of the operator's text that breaks a promise.

An anchor is a piece of text that stands in its file exactly once; a run in which it does not fails, so that nobody
believes in a bug that is not there any more.
"""

from typing import NamedTuple

PACKAGE = "task_pipeline"


class Edit(NamedTuple):
    """Replace `anchor`, which stands in `file` (below the package) exactly once, by `by`."""

    file: str
    anchor: str
    by: str


class Mutant(NamedTuple):
    """A bug, and what it makes of the operator."""

    name: str
    edits: tuple[Edit, ...]


def _one(name: str, file: str, anchor: str, by: str) -> Mutant:
    return Mutant(name, (Edit(file, anchor, by),))


MUTANTS: tuple[Mutant, ...] = (
    _one(
        "a job's status is written without the test on its version",
        "controller/executor.py",
        '{"metadata": {"resourceVersion": str(job.rv)}, "status": status_patch(job.status, status)}',
        '{"status": status_patch(job.status, status)}',
    ),
    _one(
        "a workload's name is random",
        "core/naming.py",
        'return f"{job_object}-{digest(job_uid, str(attempt), length=10)}"',
        'return f"{job_object}-{digest(str(object()), str(attempt), length=10)}"',
    ),
    _one(
        "slots of running jobs are not counted again after a restart",
        "controller/scheduler.py",
        "        if job.holds_slot:",
        "        if job.holds_slot and before is not None:",
    ),
    _one(
        "one slot too many",
        "core/queue.py",
        "return self.limit is not None and len(self._slots) >= self.limit",
        "return self.limit is not None and len(self._slots) > self.limit",
    ),
    _one(
        "a stage is over when one of its jobs is left",
        "core/stages.py",
        "        if stage.unfinished:",
        "        if stage.unfinished > 1:",
    ),
    _one(
        "a failure does not shut the barrier",
        "core/stages.py",
        "failed = deleted > 0 or stage.failures > 0",
        "failed = deleted > 0",
    ),
    _one(
        "a new list is not compared with what was known",
        "kube/informer.py",
        "ghosts = known - seen",
        "ghosts = set[str]()",
    ),
    _one(
        "the attempt after a lost one has its number",
        "controller/launcher.py",
        "attempt = identity(job, (job.status.attempt or 0) + 1)",
        "attempt = identity(job, max(1, len([one for one in job.status.attempts if one.charged]) + 1))",
    ),
    _one(
        "a slot is free as soon as the stop is asked for",
        "core/records.py",
        "return self.status.state is State.IN_PROGRESS or self.stopping",
        "return self.status.state is State.IN_PROGRESS",
    ),
    _one(
        "a job is cancelled before its workload is gone",
        "core/job_decision.py",
        "        return _keep_stopping(facts.workload, now)\n    why = pending_stop",
        "        pass\n    why = pending_stop",
    ),
    _one(
        "whatever has the name of a workload is taken for it",
        "backends/kube.py",
        "owned = metadata.controller_uid == attempt.job_uid",
        "owned = True",
    ),
    _one(
        "other containers decide about a job's end",
        "kinds/shell.py",
        "return judge_pod(workload, MAIN)",
        "return judge_pod(workload)",
    ),
    _one(
        "a workload that nobody told of is forgotten",
        "controller/feed.py",
        "return meta.controller_uid == job.uid and meta.annotations.get(ANNOTATION_ATTEMPT) == following",
        "return meta.controller_uid == job.uid and following == meta.name",
    ),
    _one(
        "a server's passing trouble is taken for a refusal",
        "kube/errors.py",
        "isinstance(error, Unreachable | Overloaded | ServerError | Unauthorized)",
        "isinstance(error, Unreachable | Overloaded | Unauthorized)",
    ),
    _one(
        "what has failed is not tried again",
        "controller/runtime.py",
        "failed, pause = True, None",
        "failed, pause = False, None",
    ),
    _one(
        "a cancel that is to be at once is not seen",
        "core/closing.py",
        "    if spec.cancel is not None:",
        '    if spec.cancel == "Drain":',
    ),
    _one(
        "a workload that is gone is taken for a success",
        "core/job_decision.py",
        "lost = Observation(Phase.FAILED, Reason.LOST, why, charged=False)",
        "lost = Observation(Phase.SUCCEEDED, Reason.LOST, why, charged=False)",
    ),
    _one(
        "one attempt fewer than promised",
        "core/job_decision.py",
        "    if failures > facts.job.spec.retry_attempt:",
        "    if failures >= facts.job.spec.retry_attempt:",
    ),
    _one(
        "a rollback is not remembered before it is made",
        "controller/jobs.py",
        "        if pending_stop(job.status) is None:",
        "        if job.deleting:",
    ),
    _one(
        "the names of jobs do not tell whose they are",
        "core/naming.py",
        "return digest(pipeline_uid, str(run), job)",
        "return digest(str(run), job)",
    ),
    Mutant(
        "the larger priority goes first",
        (
            Edit(
                "core/places.py",
                "        job.spec.pipeline_priority if spec is None else spec.priority,",
                "        -(job.spec.pipeline_priority if spec is None else spec.priority),",
            ),
            Edit("core/places.py", "OrderKey(spec.priority, stage,", "OrderKey(-spec.priority, stage,"),
        ),
    ),
    _one(
        "the end of a Pipeline is decided again and again",
        "core/pipeline_decision.py",
        "    if pipeline.final and not pipeline.invalid:",
        "    if pipeline.final and pipeline.invalid:",
    ),
)
