"""The operator of this checkout, as a process with the settings that it is shipped with."""

from collections.abc import Sequence
from typing import Any

from tests.bench.client import Body, Client
from tests.bench.contenders.base import COMMAND, IMAGE, NAMESPACE, SIMPLE, Place, Submitter, Work, place
from tests.bench.site import CONTENDER, Site

FINAL = ("DONE", "ERROR", "CANCELLED")
_API = "taskpipeline.dev/v1alpha1"
_COLLECTION = f"/apis/{_API}/namespaces/{NAMESPACE}"
_CLIENTS = f"/apis/{_API}/namespaces/task-pipeline/pipelineclients"


class Ours:
    """Pipelines whose jobs are of one kind: bare pods (Shell) or Kubernetes Jobs (K8S/Job)."""

    path = f"{_COLLECTION}/pipelines"
    unit_path = f"{_COLLECTION}/pipelinejobs"
    in_order = True
    audit_users: Sequence[str] = (CONTENDER,)

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._site: Site | None = None
        self._settings: dict[str, Any] = {}
        self.name = "ours-shell" if kind == "Shell" else "ours-k8s-job"
        self.workloads: Sequence[str] = (*SIMPLE, "W4", "W4-1s", "W5", "W6") if kind == "Shell" else SIMPLE

    def manifests(self, work: Work) -> list[Body]:
        stages = [f"s{number}" for number in range(work.stages)]
        what = {"script": COMMAND[-1]} if self._kind == "Shell" else {"command": list(COMMAND)}
        params = {"image": IMAGE, **what} | ({"annotations": work.annotations} if work.seconds else {})
        job = {"kind": self._kind, "version": "1.0.0", "params": params}
        spec: Body = {
            "stages": stages,
            "jobs": [
                {"name": name, "stage": stage, **job}
                for number, stage in enumerate(stages)
                for name in work.names(number)
            ],
        }
        if work.submitter is not None:
            spec |= {"clientId": work.submitter.name, "priority": work.priority}
        meta = {"name": work.name, "namespace": NAMESPACE}
        return [{"apiVersion": _API, "kind": "Pipeline", "metadata": meta, "spec": spec}]

    def over(self, thing: Body) -> bool:
        return thing.get("status", {}).get("state") in FINAL

    def place(self, thing: Body) -> Place | None:
        return place(thing["metadata"]["name"])

    async def install(self, client: Client, site: Site, workload: str, slots: int | None) -> None:
        self._site = site
        if slots is not None:
            self.limit(slots)

    async def admit(self, client: Client, submitters: Sequence[Submitter]) -> None:
        for one in submitters:
            spec = {"namespaces": ["*"], "priority": one.priority}
            meta = {"name": one.name, "namespace": "task-pipeline"}
            manifest = {"apiVersion": _API, "kind": "PipelineClient", "metadata": meta, "spec": spec}
            await client.send("POST", _CLIENTS, manifest)

    def limit(self, slots: int) -> bool:
        assert self._site is not None, "it has not been installed"
        self._settings = {"max_running_jobs": slots}
        self._site.change(**self._settings)
        return True

    def start(self, site: Site, *, wait: bool = True) -> None:
        if wait:
            site.operator.start()
        else:
            site.operator.launch()

    def stop(self, *, kill: bool = False) -> None:
        if self._site is None or not self._site.operator.running:
            return
        if kill:
            self._site.operator.kill()
        else:
            self._site.operator.stop()

    @property
    def pid(self) -> int | None:
        return self._site.operator.pid if self._site is not None and self._site.operator.running else None

    def describe(self) -> dict[str, Any]:
        return {"program": "task-pipeline-operator", "settings": self._settings or "as shipped"}
