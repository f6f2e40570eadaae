"""Workloads that somebody else deletes, at each stage of their life, and a node that is gone."""

import time
from collections.abc import Callable
from typing import Any

from tests.cluster import simulated
from tests.cluster.client import ApiError
from tests.faults.real import checking
from tests.faults.real.outcomes import outcome, over
from tests.faults.real.place import Place, Site, place
from tests.faults.real.recorder import Object
from tests.faults.real.runs import Ended
from tests.faults.rules import Violation
from tests.real.pipelines import shell

SECONDS = 120.0
NODE_SECONDS = 240.0  # the cluster itself takes a minute and more to remove the pods of a node that is gone
SPEC = {"stages": ["s", "t"], "jobs": [shell("a", seconds=3), shell("b", "t", seconds=1)]}
STAGES: dict[str, Callable[[Object], bool]] = {
    "as it was created": lambda pod: True,
    "on a node": lambda pod: bool(pod["spec"].get("nodeName")),
    "running": lambda pod: pod.get("status", {}).get("phase") == "Running",
    "ended": lambda pod: pod.get("status", {}).get("phase") == "Succeeded",
}


def deleted(site: Site, stage: str) -> Ended:
    """One run in which each job's first pod is deleted by hand at a stage of its life."""
    ended = Ended("by hand", f"pods deleted {stage}")
    done: set[str] = set()

    def tick(at: Place) -> None:
        for pod in at.view.objects("pods"):
            job = pod["metadata"]["labels"]["taskpipeline.dev/job-hash"]
            if job not in done and STAGES[stage](pod):
                done.add(job)
                at.delete_pod(pod["metadata"]["name"])

    _watched(site, ended, tick, SECONDS)
    ended.happened = len(done) == 2
    return ended


def node_gone(site: Site) -> Ended:
    """One run in which the node of a running pod vanishes; another one takes its place afterwards."""
    ended = Ended("by hand", "node gone")
    gone: list[str] = []

    def tick(at: Place) -> None:
        for pod in at.view.objects("pods"):
            if not gone and STAGES["running"](pod):
                gone.append(pod["spec"]["nodeName"])
                at.api.request("DELETE", f"/api/v1/nodes/{gone[0]}")

    spec = {"stages": ["s"], "jobs": [shell("a", seconds=30)]}
    try:
        _watched(site, ended, tick, NODE_SECONDS, spec)
    finally:
        for name in gone:
            number = int(name.removeprefix(simulated.PREFIX))
            try:
                site.cluster.client.request("POST", "/api/v1/nodes", simulated.node(number, 5000, tainted=False))
            except ApiError as error:
                if error.status != 409:
                    raise
    ended.happened = bool(gone)
    return ended


def _watched(
    site: Site, ended: Ended, tick: Callable[[Place], None], seconds: float, spec: dict[str, Any] | None = None
) -> None:
    began = time.monotonic()
    with place(site, {"TASK_PIPELINE_RETRY_BACKOFF": "0.2"}, proxied=False) as at:
        at.operator().launch()
        at.create("run", spec or SPEC)
        deadline = time.monotonic() + seconds
        while not over(at.view, 1):
            site.recorder.check()
            if time.monotonic() > deadline:
                ended.violations.append(Violation("L1", 0, f"not over after {seconds} s: {outcome(at.view)}"))
                break
            tick(at)
            time.sleep(0.01)
        states = at.view.states("pipelines")
        if states != {"run": "DONE"}:
            ended.violations.append(Violation("L5", 0, f"ended {states}: {outcome(at.view)}"))
        ended.violations += [Violation("log", 0, line) for line in at.faults()]
        ended.outcome, ended.seconds = outcome(at.view), round(time.monotonic() - began, 2)
        history = site.recorder.forget(at.namespace)
    ended.violations += checking.broken(history, checking.rules(None, None))
    if ended.violations:
        history.save(site.folder / f"{at.namespace}.jsonl")
