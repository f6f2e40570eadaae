"""Kueue over Kubernetes Jobs: it decides when a suspended Job may run. No webhook, so the Jobs are created suspended.

It knows queues, quota and priorities, no stages: it takes part where there is one.
"""

import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

import yaml

from tests.bench.client import Body, Client
from tests.bench.contenders.base import NAMESPACE, Submitter, Work
from tests.bench.contenders.program import ProgramContender, without_conversion
from tests.bench.contenders.raw import RawJobs
from tests.bench.site import Site

_API = "kueue.x-k8s.io/v1beta2"
_QUEUE, _CLASS = "kueue.x-k8s.io/queue-name", "kueue.x-k8s.io/priority-class"
_UNLIMITED = 1_000_000
_PRIORITIES = 100


class Kueue(ProgramContender):
    """One ClusterQueue of so many pods, a LocalQueue for each submitter, a class for each priority."""

    name = "kueue"
    namespace = "kueue-system"
    path = RawJobs.path
    in_order = False
    workloads: Sequence[str] = ("W1", "W3", "W4", "W4-1s")

    async def install(self, client: Client, site: Site, workload: str, slots: int | None) -> None:
        await super().install(client, site, workload, slots)
        resource = {"name": "pods", "nominalQuota": str(slots or _UNLIMITED)}
        group = {"coveredResources": ["pods"], "flavors": [{"name": "any", "resources": [resource]}]}
        await self._create(client, "ResourceFlavor", "any", {})
        await self._create(client, "ClusterQueue", "all", {"namespaceSelector": {}, "resourceGroups": [group]})
        await self._queues(client, ["default"])

    async def admit(self, client: Client, submitters: Sequence[Submitter]) -> None:
        await self._queues(client, [one.name for one in submitters])
        for one in submitters:
            classes = (Work("", submitter=one, priority=number) for number in range(_PRIORITIES))
            path, kind = f"/apis/{_API}/workloadpriorityclasses", "WorkloadPriorityClass"
            await client.install(
                (path, {"apiVersion": _API, "kind": kind, "metadata": {"name": _class(work)}, "value": _value(work)})
                for work in classes
            )

    def adjusted(self, manifest: Body, slots: int | None) -> Body:
        return without_conversion(manifest) if manifest["kind"] == "CustomResourceDefinition" else manifest

    def flags(self, kubeconfig: Path, folder: Path) -> list[str]:
        _certificate(folder)
        config = {
            "apiVersion": f"config.{_API}",
            "kind": "Configuration",
            "health": {"healthProbeBindAddress": "127.0.0.1:0"},
            "metrics": {"bindAddress": "0"},
            "webhook": {"port": 9443, "certDir": str(folder)},
            "leaderElection": {"leaderElect": False},
            "internalCertManagement": {"enable": False},
            "controller": {"groupKindConcurrency": {"Job.batch": 20, "Workload.kueue.x-k8s.io": 20}},
            "clientConnection": {"qps": 2000, "burst": 4000},
            "integrations": {"frameworks": ["batch/job"]},
        }
        file = folder / "kueue.yaml"
        file.write_text(yaml.safe_dump(config))
        return [f"--config={file}", f"--kubeconfig={kubeconfig}", "--feature-gates=VisibilityOnDemand=false"]

    def manifests(self, work: Work) -> list[Body]:
        labels = {_QUEUE: work.submitter.name if work.submitter else "default"}
        labels |= {_CLASS: _class(work)} if work.submitter else {}
        return [
            job | {"metadata": job["metadata"] | {"labels": labels}, "spec": job["spec"] | {"suspend": True}}
            for job in RawJobs().manifests(work)
        ]

    def over(self, thing: Body) -> bool:
        return RawJobs().over(thing)

    async def _queues(self, client: Client, names: Iterable[str]) -> None:
        for name in names:
            await self._create(client, "LocalQueue", name, {"clusterQueue": "all"}, f"namespaces/{NAMESPACE}/")

    async def _create(self, client: Client, kind: str, name: str, spec: Body, where: str = "") -> None:
        path = f"/apis/{_API}/{where}{kind.lower()}s"
        await client.served(path)
        await client.install([(path, {"apiVersion": _API, "kind": kind, "metadata": {"name": name}, "spec": spec})])


def _class(work: Work) -> str:
    return f"p{-_value(work)}"


def _value(work: Work) -> int:
    """Here higher goes first."""
    client, own = work.rank
    return -(client * _PRIORITIES + own)


def _certificate(folder: Path) -> None:
    """What its webhook server wants before it starts; nobody calls it."""
    key, certificate = folder / "tls.key", folder / "tls.crt"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True, timeout=60)
