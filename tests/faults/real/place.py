"""A namespace for one run: an operator of its own that sees nothing else, behind a proxy or not.

The namespace holds the Pipelines, the PipelineClient `default` and the operator's Lease, so that many runs can share a
cluster.
"""

import contextlib
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cluster import Cluster
from tests.cluster.client import ApiError, Client
from tests.contract.kubectl import manifest
from tests.faults.proxy import FaultProxy
from tests.faults.real.forked import ForkedOperator
from tests.faults.real.recorder import Recorder, View

GROUP = "/apis/taskpipeline.dev/v1alpha1"
LEASE = "task-pipeline-operator"


@dataclass
class Site:
    """A cluster with CRDs, the recorder that watches it, and a folder for logs."""

    cluster: Cluster
    recorder: Recorder
    folder: Path


@dataclass
class Place:
    """One namespace of a site; `settings` are those of its operators."""

    site: Site
    namespace: str
    settings: Mapping[str, str]
    kubeconfig: Path
    proxy: FaultProxy | None = None
    operators: list[ForkedOperator] = field(default_factory=list)

    @property
    def api(self) -> Client:
        """The administrator."""
        return self.site.cluster.client

    @property
    def view(self) -> View:
        """What the recorder knows of the namespace."""
        return self.site.recorder.of(self.namespace)

    def operator(self, kubeconfig: Path | None = None, **settings: str) -> ForkedOperator:
        """One operator more, not started yet; with a kubeconfig of its own if it is to have one."""
        log = self.site.folder / f"{self.namespace}-{len(self.operators)}.log"
        self.operators.append(ForkedOperator(kubeconfig or self.kubeconfig, log, {**self.settings, **settings}))
        return self.operators[-1]

    def kill(self) -> None:
        """SIGKILL for the latest operator. Its Lease is gone, as if it had run out: nobody has to wait for it."""
        self.operators[-1].kill()
        with contextlib.suppress(ApiError):
            path = f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases/{LEASE}"
            self.api.request("DELETE", path)

    def create(self, name: str, spec: dict[str, Any]) -> Any:
        """Submit a Pipeline; returns it as it was taken."""
        return self.api.request("POST", self._path(), manifest("Pipeline", name, spec))

    def patch(self, name: str, patch: dict[str, Any]) -> None:
        """Change a Pipeline."""
        self.api.request("PATCH", self._path(name), patch)

    def delete(self, name: str) -> None:
        """Delete a Pipeline as `kubectl delete` does."""
        self.api.request("DELETE", self._path(name), {"propagationPolicy": "Background"})

    def delete_pod(self, name: str, *, seconds: int = 0) -> None:
        """Delete a pod by hand; nothing happens if it is gone."""
        with contextlib.suppress(ApiError):
            path = f"/api/v1/namespaces/{self.namespace}/pods/{name}"
            self.api.request("DELETE", path, {"gracePeriodSeconds": seconds})

    def faults(self) -> list[str]:
        """Lines of the operators' logs that tell of a fault of the operator's own."""
        lines = [line for one in self.operators for line in one.log.read_text(errors="replace").splitlines()]
        return [line for line in lines if "a fault in the" in line]

    def _path(self, name: str | None = None) -> str:
        path = f"{GROUP}/namespaces/{self.namespace}/pipelines"
        return path if name is None else f"{path}/{name}"


@contextlib.contextmanager
def place(site: Site, settings: Mapping[str, str], *, proxied: bool = True) -> Iterator[Place]:
    """A place whose operators are ended, and whose namespace is deleted, with the block."""
    namespace = f"faults-{secrets.token_hex(4)}"
    api = site.cluster.client
    api.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    client = manifest("PipelineClient", "default", {"namespaces": ["*"]})
    api.request("POST", f"{GROUP}/namespaces/{namespace}/pipelineclients", client)
    own = {"TASK_PIPELINE_NAMESPACES": namespace, "TASK_PIPELINE_OPERATOR_NAMESPACE": namespace}
    made = Place(site, namespace, {**own, **settings}, site.cluster.kubeconfig)
    with contextlib.ExitStack() as stack:
        if proxied:
            made.proxy = stack.enter_context(FaultProxy(site.cluster.server, site.cluster.paths.pki))
            target = site.folder / f"{namespace}.kubeconfig"
            made.kubeconfig = made.proxy.kubeconfig(site.cluster.kubeconfig, target)
        try:
            yield made
        finally:
            for operator in made.operators:
                operator.kill()
            with contextlib.suppress(ApiError, OSError):
                api.request("DELETE", f"/api/v1/namespaces/{namespace}")
