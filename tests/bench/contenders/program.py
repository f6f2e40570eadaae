"""A contender whose program the environment names: BENCH_X_BIN, and BENCH_X_MANIFESTS for what it wants installed.

Nothing of such a program is in this repository: its CRDs and ConfigMaps are read from the folder that is named.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.bench.client import Body, Client
from tests.bench.contenders.base import Place, Submitter, Unavailable, Work, place
from tests.bench.site import CONTENDER, Site

START_SECONDS, STOP_SECONDS = 3.0, 10.0
_COLLECTIONS = {
    "CustomResourceDefinition": "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "ConfigMap": "/api/v1/namespaces/{namespace}/configmaps",
}


class ProgramContender:
    """Starts the program with the contender's kubeconfig; the subclass says with which flags, and what work is to it.

    Of a backlog, whose pieces have one job each, the object on top stands for the job.
    """

    name: str
    namespace: str
    path: str
    unit_path: str
    in_order = True
    workloads: Sequence[str]
    audit_users: Sequence[str] = (CONTENDER,)

    def __init__(self, environment: Mapping[str, str]) -> None:
        prefix = f"BENCH_{self.name.upper()}"
        self._binary = _named(environment, f"{prefix}_BIN")
        self._manifests = _named(environment, f"{prefix}_MANIFESTS")
        self._version = environment.get(f"{prefix}_VERSION", "unknown")
        self._process: subprocess.Popen[bytes] | None = None
        self._workload = ""
        self.unit_path = self.path
        self._flags: list[str] = []
        self._environment: dict[str, str] = {}

    def flags(self, kubeconfig: Path, folder: Path) -> list[str]:
        """The command line."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """Environment variables besides those of the benchmark."""
        return {}

    def adjusted(self, manifest: Body, slots: int | None) -> Body:
        """A manifest of the folder as it shall be installed."""
        return manifest

    async def install(self, client: Client, site: Site, workload: str, slots: int | None) -> None:
        self._workload = workload
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}}
        await client.install([("/api/v1/namespaces", namespace)])
        await client.install(
            (_COLLECTIONS[one["kind"]].format(namespace=self.namespace), self._local(self.adjusted(one, slots)))
            for one in _read(self._manifests)
            if one.get("kind") in _COLLECTIONS
        )
        await client.served(self.path)

    async def admit(self, client: Client, submitters: Sequence[Submitter]) -> None:
        """Nobody needs to be known."""

    def limit(self, slots: int) -> bool:
        return False

    def start(self, site: Site, *, wait: bool = True) -> None:
        """Start it; raises RuntimeError when it ends at once. The warm-up shows whether it works."""
        self._flags, self._environment = self.flags(site.contender_kubeconfig, site.folder), self.environment()
        log = site.folder / f"{self.name}.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [self._binary, *self._flags],
                env={**os.environ, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=site.folder,
                start_new_session=True,
            )
        if wait:
            time.sleep(START_SECONDS)
        if self._process.poll() is not None:
            raise RuntimeError(f"{self.name} ended at once: {log.read_text(errors='replace')[-3000:]}")

    def stop(self, *, kill: bool = False) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def place(self, thing: Body) -> Place | None:
        return place(thing["metadata"]["name"])

    def manifests(self, work: Work) -> list[Body]:
        raise NotImplementedError

    def over(self, thing: Body) -> bool:
        raise NotImplementedError

    def describe(self) -> dict[str, Any]:
        """Version, flags and environment, without paths of this machine."""
        flags = [flag for flag in self._flags if "/" not in flag]
        return {"program": self.name, "version": self._version, "flags": flags, "environment": self._environment}

    def _local(self, manifest: Body) -> Body:
        if manifest["kind"] == "ConfigMap":
            return manifest | {"metadata": manifest["metadata"] | {"namespace": self.namespace}}
        return manifest


def without_conversion(crd: Body) -> Body:
    """A CRD whose other versions are not converted by a webhook, which does not run here."""
    return crd | {"spec": crd["spec"] | {"conversion": {"strategy": "None"}}}


def _named(environment: Mapping[str, str], variable: str) -> Path:
    text = environment.get(variable)
    if not text:
        raise Unavailable(f"{variable} is not set")
    if not Path(text).exists():
        raise Unavailable(f"{variable} names nothing that exists")
    return Path(text).resolve()


def _read(folder: Path) -> Iterator[Body]:
    files = sorted(folder.rglob("*.yaml")) if folder.is_dir() else [folder]
    for file in files:
        yield from (one for one in yaml.safe_load_all(file.read_text()) if isinstance(one, dict))
