"""The final state of a run, so that two runs can be compared: without UIDs, times, and what else differs by nature."""

from collections import Counter
from typing import Any

from tests.faults.real.recorder import Object, View

FINAL = ("DONE", "ERROR", "CANCELLED")
JOB_HASH = "taskpipeline.dev/job-hash"


def outcome(view: View) -> dict[str, Any]:
    """States, reasons and counts of Pipelines and PipelineJobs by name, and how many workloads there are of each."""
    return {
        "pipelines": {thing["metadata"]["name"]: _pipeline(thing) for thing in view.objects("pipelines")},
        "jobs": {_title(thing): _job(thing) for thing in view.objects("pipelinejobs")},
        "workloads": dict(sorted(_workloads(view).items())),
    }


def over(view: View, pipelines: int) -> bool:
    """Whether there are so many Pipelines and all have ended."""
    states = view.states("pipelines").values()
    return len(states) == pipelines and all(state in FINAL for state in states)


def _title(job: Object) -> str:
    return f"{job['spec']['pipeline']}/{job['spec']['name']}/{job['spec']['run']}"


def _pipeline(thing: Object) -> dict[str, Any]:
    status = thing.get("status", {})
    kept = ("state", "reason", "stages", "progress", "warnings", "failedJobs", "run", "divided")
    return {name: status[name] for name in kept if name in status}


def _job(thing: Object) -> dict[str, Any]:
    status = thing.get("status", {})
    attempts = [
        {name: one[name] for name in ("attempt", "outcome", "reason", "charged", "exitCode") if name in one}
        for one in status.get("attempts", ())
    ]
    kept = ("state", "reason", "attempt", "failures")
    return {name: status[name] for name in kept if name in status} | {"attempts": attempts}


def _workloads(view: View) -> Counter[str]:
    """How many pods and Deployments of ours exist, by the job that they are of."""
    names = {thing["metadata"]["labels"][JOB_HASH]: _title(thing) for thing in view.objects("pipelinejobs")}
    found: Counter[str] = Counter()
    for resource in ("pods", "deployments"):
        for thing in view.objects(resource):
            job = (thing["metadata"].get("labels") or {}).get(JOB_HASH)
            if job is not None:
                found[f"{resource} of {names.get(job, 'a job that is gone')}"] += 1
    return found
