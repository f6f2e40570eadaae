"""Records the test data of gitops/argocd on a cluster of its own: `python -m tests.gitops.record`.

Real objects of a real API server, as kubectl gives them, but for managedFields and the recorded names. Done again only
when the shape of a status has changed.
"""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.config import NodeMode
from tests.cluster.fixtures import temporary_cluster
from tests.cluster.polling import wait_for
from tests.contract.kubectl import Kubectl, manifest
from tests.gitops.contract import situation
from tests.gitops.shipped import GROUP
from tests.operators import OperatorProcess, install
from tests.real.pipelines import create_all, shell

NAMESPACE = "shop"
LONG, SHORT = shell("migrate", "prepare", seconds=600), shell("migrate", "prepare")
TWO = [SHORT, shell("notify", "tell")]
SPECS: dict[str, dict[str, Any]] = {
    "ready": {"stages": ["prepare"], "jobs": [SHORT], "clientId": "closed"},
    "in-progress": {"stages": ["prepare", "tell"], "jobs": [LONG, TWO[1]]},
    "suspended": {"stages": ["prepare", "tell"], "jobs": TWO, "suspend": True},
    "done": {"stages": ["prepare", "tell"], "jobs": TWO},
    "error": {"stages": ["prepare", "tell"], "jobs": [shell("migrate", "prepare", exit_code=1), TWO[1]]},
    "cancelled": {"stages": ["prepare", "tell"], "jobs": [LONG, TWO[1]]},
    "invalid": {"stages": ["prepare"], "jobs": [shell("migrate", "prepare", kind="Nope")]},
    "cleaned-up": {"stages": ["prepare"], "jobs": [shell("migrate", "prepare", exit_code=1)],
                   "ttlSecondsAfterFinished": 0},
}  # fmt: skip
CLIENTS: dict[str, dict[str, Any]] = {
    "closed": {"namespaces": ["*"], "maxRunningJobs": 0},
    "suspended": {"namespaces": ["*"], "suspend": True},
    "ready": {"namespaces": ["shop"], "maxRunningJobs": 5},
}


@contextmanager
def _operator(kubeconfig: Path, folder: Path) -> Iterator[None]:
    operator = OperatorProcess(kubeconfig, folder / "operator.log")
    operator.start()
    try:
        yield
    finally:
        operator.stop()


def _items(kubectl: Kubectl, kind: str) -> dict[str, dict[str, Any]]:
    items = json.loads(kubectl.ok("get", kind, "-o", "json"))["items"]
    return {one["metadata"]["name"]: one for one in items}


def _reached(kubectl: Kubectl) -> bool:
    found = _items(kubectl, "tpl")
    wanted = {name: "error" if name == "cleaned-up" else name for name in SPECS}
    cleaned = "cleanupTime" in found["cleaned-up"]["status"]
    return cleaned and {name: situation(found[name]) for name in SPECS} == wanted


def _held(kubectl: Kubectl) -> dict[str, Any]:
    held = (one for one in _items(kubectl, "pjob").values() if one["status"].get("reason") == "Suspended")
    return next(held, {})


def _write(kind: str, name: str, thing: dict[str, Any]) -> None:
    path = GROUP / kind / "testdata" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(thing, sort_keys=False, width=110))
    print(f"wrote {path.relative_to(GROUP.parents[2])}")


def main() -> None:
    """Bring every situation about, and write the objects."""
    with temporary_cluster(NodeMode.SIMULATED) as cluster, tempfile.TemporaryDirectory() as folder:
        install(cluster.kubeconfig)
        kubectl, own = (Kubectl(cluster.paths.kubectl, name) for name in (NAMESPACE, "task-pipeline"))
        kubectl.ok("create", "namespace", NAMESPACE)
        for name, spec in CLIENTS.items():
            own.ok("create", "-f", "-", stdin=manifest("PipelineClient", name, spec))
        create_all(kubectl, {"not-seen": SPECS["done"]})
        _write("Pipeline", "not-seen", kubectl.get("tpl", "not-seen"))
        kubectl.ok("delete", "tpl", "not-seen")
        with _operator(cluster.kubeconfig, Path(folder)):
            create_all(kubectl, SPECS)
            kubectl.ok("wait", "tpl/cancelled", "--for=jsonpath={.status.state}=IN PROGRESS", "--timeout=30s")
            kubectl.ok(*kubectl.merge("tpl/cancelled", {"spec": {"cancel": "Now"}}))
            wait_for(lambda: _reached(kubectl), "every situation", 60)
            wait_for(lambda: all("conditions" in one.get("status", {}) for one in _items(own, "pclient").values()),
                     "the status of every client", 30)  # fmt: skip
            for name, thing in _items(kubectl, "tpl").items():
                _write("Pipeline", name, thing)
            for thing in _items(kubectl, "pjob").values():
                if thing["spec"]["name"] == "migrate" and thing["spec"]["pipeline"] != "invalid":
                    _write("PipelineJob", thing["spec"]["pipeline"], thing)
            kubectl.ok(*kubectl.merge("tpl/ready", {"spec": {"suspend": True}}))
            _write("PipelineJob", "suspended", wait_for(lambda: _held(kubectl), "a job that is held", 30))
            for name in CLIENTS:
                _write("PipelineClient", name, own.get("pclient", name))


if __name__ == "__main__":
    main()
