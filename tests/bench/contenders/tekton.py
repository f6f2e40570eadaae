"""Tekton Pipelines, set as fast as we know how: limits lifted, no second replica, no webhook (which flatters it)."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.bench.client import Body
from tests.bench.contenders.base import COMMAND, IMAGE, NAMESPACE, SIMPLE, Work
from tests.bench.contenders.program import ProgramContender, without_conversion

_API = "tekton.dev/v1"
_FEATURES = {"running-in-environment-with-injected-sidecars": "false", "coschedule": "disabled"}
_CONFIGS = {
    "LOGGING": "config-logging",
    "OBSERVABILITY": "config-observability",
    "LEADERELECTION": "config-leader-election-controller",
    "DEFAULTS": "config-defaults",
    "FEATURE_FLAGS": "feature-flags",
}


class Tekton(ProgramContender):
    """A PipelineRun for each piece of work; a task runs after all tasks of the stage before it."""

    name = "tekton"
    namespace = "tekton-pipelines"
    path = f"/apis/{_API}/namespaces/{NAMESPACE}/pipelineruns"
    workloads: Sequence[str] = SIMPLE

    def adjusted(self, manifest: Body, slots: int | None) -> Body:
        if manifest["kind"] == "CustomResourceDefinition":
            return without_conversion(manifest)
        if manifest["metadata"]["name"] == "feature-flags":
            return manifest | {"data": manifest["data"] | _FEATURES}
        return manifest

    def flags(self, kubeconfig: Path, folder: Path) -> list[str]:
        images = ("entrypoint", "nop", "sidecarlogresults", "workingdirinit", "shell")
        return [
            *(f"-{name}-image=image" for name in images),
            "-shell-image-win=image",
            f"-kubeconfig={kubeconfig}",
            "-kube-api-qps=1000",
            "-kube-api-burst=2000",
            "-threads-per-controller=32",
            "-disable-ha",
        ]

    def environment(self) -> dict[str, str]:
        names = {f"CONFIG_{key}_NAME": name for key, name in _CONFIGS.items()}
        return {**names, "SYSTEM_NAMESPACE": self.namespace, "KUBERNETES_MIN_VERSION": "v1.0.0"}

    def manifests(self, work: Work) -> list[Body]:
        meta: dict[str, Any] = {"name": work.name, "namespace": NAMESPACE}
        if work.seconds:
            meta["annotations"] = work.annotations
        spec = {"pipelineSpec": {"tasks": list(_tasks(work))}}
        return [{"apiVersion": _API, "kind": "PipelineRun", "metadata": meta, "spec": spec}]

    def over(self, thing: Body) -> bool:
        conditions = thing.get("status", {}).get("conditions", ())
        return any(one["type"] == "Succeeded" and one["status"] != "Unknown" for one in conditions)


def _tasks(work: Work) -> Iterator[Body]:
    step = {"name": "main", "image": IMAGE, "command": list(COMMAND)}
    for stage in range(work.stages):
        after = {"runAfter": work.names(stage - 1)} if stage else {}
        for name in work.names(stage):
            yield {"name": name, "taskSpec": {"steps": [step]}, **after}
