"""The bounds: the same pods or Kubernetes Jobs created by a script. No order, no status, no object on top."""

from collections.abc import Sequence
from typing import Any

from tests.bench.client import Body, Client
from tests.bench.contenders.base import NAMESPACE, SIMPLE, Place, Submitter, Work, place, pod_template
from tests.bench.site import Site


class _Script:
    """What both have in common: there is no program."""

    workloads: Sequence[str] = SIMPLE
    in_order = False
    audit_users: Sequence[str] = ("admin",)
    pid = None

    def place(self, thing: Body) -> Place | None:
        return place(thing["metadata"]["name"])

    async def install(self, client: Client, site: Site, workload: str, slots: int | None) -> None:
        assert slots is None, "a script knows no limit"

    async def admit(self, client: Client, submitters: Sequence[Submitter]) -> None:
        """Nobody needs to be known."""

    def limit(self, slots: int) -> bool:
        return False

    def start(self, site: Site, *, wait: bool = True) -> None:
        """There is nothing to start."""

    def stop(self, *, kill: bool = False) -> None:
        """There is nothing to stop."""

    def describe(self) -> dict[str, Any]:
        return {"program": "none: the benchmark itself creates everything at once"}


class RawPods(_Script):
    """One bare Pod for each job."""

    name = "raw-pods"
    path = unit_path = f"/api/v1/namespaces/{NAMESPACE}/pods"

    def manifests(self, work: Work) -> list[Body]:
        template = pod_template(work)
        return [
            {"apiVersion": "v1", "kind": "Pod", **template, "metadata": {**template["metadata"], "name": name}}
            for name in _names(work)
        ]

    def over(self, thing: Body) -> bool:
        return thing["status"].get("phase") in ("Succeeded", "Failed")


class RawJobs(_Script):
    """One Kubernetes Job for each job."""

    name = "raw-jobs"
    path = unit_path = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"

    def manifests(self, work: Work) -> list[Body]:
        spec = {"backoffLimit": 0, "template": pod_template(work)}
        return [
            {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec} for name in _names(work)
        ]

    def over(self, thing: Body) -> bool:
        conditions = thing.get("status", {}).get("conditions", ())
        return any(one["type"] in ("Complete", "Failed") and one["status"] == "True" for one in conditions)


def _names(work: Work) -> list[str]:
    return [f"{work.name}-{name}" for stage in range(work.stages) for name in work.names(stage)]
