"""Jobs of real containers, and what a finished one has left."""

from typing import Any, NamedTuple

from tests.contract.kubectl import Kubectl
from tests.real.pipelines import create_all, jobs_of, wait_all

IMAGE = "busybox:1.36"
PATIENCE = 240.0


def script(name: str, text: str, /, *, fields: dict[str, Any] | None = None, **params: Any) -> dict[str, Any]:
    """A Shell job; `params` go beside image and script, `fields` beside name and kind."""
    of_kind = {"image": IMAGE, "script": text} | params
    return {"name": name, "stage": "s", "kind": "Shell", "version": "1.0.0", "params": of_kind} | (fields or {})


def of_kind(name: str, kind: str, /, *, fields: dict[str, Any] | None = None, **params: Any) -> dict[str, Any]:
    """A job of any kind with exactly these params."""
    return {"name": name, "stage": "s", "kind": kind, "version": "1.0.0", "params": params} | (fields or {})


class Left(NamedTuple):
    """What a finished job has left: its status, and the log of its last attempt's pod ("" when it is gone)."""

    status: dict[str, Any]
    log: str

    @property
    def last(self) -> dict[str, Any]:
        """The last attempt."""
        attempt: dict[str, Any] = self.status["attempts"][-1]
        return attempt


def run_all(kubectl: Kubectl, name: str, jobs: list[dict[str, Any]]) -> dict[str, Left]:
    """Run a Pipeline of one stage, each job of which may fail, to its end; returns what each job has left."""
    allowed = [job | {"allowFailure": True} for job in jobs]
    create_all(kubectl, {name: {"stages": ["s"], "jobs": allowed}})
    wait_all(kubectl, seconds=PATIENCE)
    mine = [job for job in jobs_of(kubectl) if job["spec"]["pipeline"] == name]
    return {job["spec"]["name"]: Left(job["status"], _log(kubectl, job["status"])) for job in mine}


def _log(kubectl: Kubectl, status: dict[str, Any]) -> str:
    workload = status.get("workload")
    if workload is None:
        return ""
    return kubectl.run("logs", f"{workload['kind'].lower()}/{workload['name']}").out
