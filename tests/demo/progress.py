"""Shows a Pipeline's way: one line whenever a job or the Pipeline itself changes."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

FINAL = ("DONE", "ERROR", "CANCELLED")
POLL_SECONDS = 0.4

Read = Callable[..., str]  # kubectl with arguments, returning its output
Show = Callable[[str], None]


def follow(kubectl: Read, pipeline: str, show: Show, *, seconds: float) -> str:
    """Show every change until the Pipeline is final; returns its state. Raises TimeoutError after `seconds`."""
    told: dict[str, str] = {}
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        run = json.loads(kubectl("get", "tpl", pipeline, "-o", "json"))
        jobs = json.loads(kubectl("get", "pjob", "-o", "json"))["items"]
        for name, line in _lines(run, jobs):
            if told.get(name) != line:
                told[name] = line
                show(line)
        state: str = run.get("status", {}).get("state", "READY")
        if state in FINAL:
            return state
        time.sleep(POLL_SECONDS)
    raise TimeoutError(f"{pipeline} was not over after {seconds:.0f} s")


def _lines(run: dict[str, Any], jobs: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for job in sorted(jobs, key=lambda job: (job["spec"]["stageIndex"], job["spec"]["index"])):
        if job["spec"]["pipeline"] == run["metadata"]["name"]:
            place = f"{job['spec']['stage']}/{job['spec']['name']}"
            yield place, _line(place, job["spec"]["kind"], job.get("status", {}))
    status = run.get("status", {})
    if status.get("state") in FINAL:
        yield "", _line(run["metadata"]["name"], "Pipeline", status)


def _line(name: str, kind: str, status: dict[str, Any]) -> str:
    text = f"{name:<18} {kind:<15} {status.get('state', 'READY'):<12} {status.get('reason', '')}"
    message = status.get("message")
    return f"{text}: {message}" if message else text
