"""Argo Workflows, set as fast as we know how: limits lifted, events and metrics off, pods kept.

Its requeue time is 1 s for W2 and 100 ms for the others, which suits each best.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.client import Body, Client
from tests.bench.contenders.base import COMMAND, IMAGE, NAMESPACE, SIMPLE, Place, Work, place
from tests.bench.contenders.program import ProgramContender
from tests.bench.site import Site

_API = "argoproj.io/v1alpha1"
_NODE = "workflows.argoproj.io/node-name"
_CONFIG = "workflow-controller-configmap"
_OFF = "enabled: false\n"  # only with an end of line it is read as a map
_PRIORITIES = 1000


class Argo(ProgramContender):
    """A Workflow for each piece of work, with one group of steps for each stage."""

    name = "argo"
    namespace = "argo"
    path = f"/apis/{_API}/namespaces/{NAMESPACE}/workflows"
    workloads: Sequence[str] = (*SIMPLE, "W4", "W4-1s")

    async def install(self, client: Client, site: Site, workload: str, slots: int | None) -> None:
        await super().install(client, site, workload, slots)
        data = {"nodeEvents": _OFF, "workflowEvents": _OFF, "metricsConfig": _OFF}
        data |= {} if slots is None else {"parallelism": str(slots)}
        config: Body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": _CONFIG}, "data": data}
        await client.install([(f"/api/v1/namespaces/{self.namespace}/configmaps", config)])

    def flags(self, kubeconfig: Path, folder: Path) -> list[str]:
        return [
            f"--kubeconfig={kubeconfig}",
            f"--namespace={self.namespace}",
            "--executor-image=executor",
            "--qps=2000",
            "--burst=4000",
            "--workflow-workers=32",
            "--pod-cleanup-workers=32",
            "--loglevel=warn",
        ]

    def environment(self) -> dict[str, str]:
        requeue = "1s" if self._workload == "W2" else "100ms"
        return {
            "LEADER_ELECTION_DISABLE": "true",
            "DEFAULT_REQUEUE_TIME": requeue,
            "INFORMER_WRITE_BACK": "true",
        }

    def manifests(self, work: Work) -> list[Body]:
        steps = [[{"name": name, "template": "job"} for name in work.names(stage)] for stage in range(work.stages)]
        job: dict[str, Any] = {"name": "job", "container": {"image": IMAGE, "command": list(COMMAND)}}
        if work.seconds:
            job["metadata"] = {"annotations": work.annotations}
        spec: Body = {"entrypoint": "main", "templates": [{"name": "main", "steps": steps}, job]}
        if work.submitter is not None:
            spec["priority"] = -(work.submitter.priority * _PRIORITIES + work.priority)  # here higher goes first
        meta = {"name": work.name, "namespace": NAMESPACE}
        return [{"apiVersion": _API, "kind": "Workflow", "metadata": meta, "spec": spec}]

    def over(self, thing: Body) -> bool:
        return thing.get("status", {}).get("phase") in ("Succeeded", "Failed", "Error")

    def place(self, thing: Body) -> Place | None:
        """Of a pod by the name of its node, such as `w2-7[3].s3-j4`; a Workflow stands for its only job."""
        meta = thing["metadata"]
        if thing["kind"] == "Workflow":
            return (meta["name"], 0, 0)
        work, _, node = meta.get("annotations", {}).get(_NODE, "").partition("[")
        return place(f"{work}-{node.partition('.')[2]}")
