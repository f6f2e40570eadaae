"""A namespace of a real API server that knows our CRDs, freshly generated; or of the in-memory cluster."""

import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from task_pipeline.kube import client
from task_pipeline.kube.client import HttpCluster
from task_pipeline.kube.config import connect
from tests.contract.kubectl import Kubectl
from tests.contract.worlds import JOB_SPEC, World, new_namespace
from tests.fakes import FakeCluster

if TYPE_CHECKING:
    from tests.cluster import Cluster

CRDS = Path(__file__).parents[2] / "crds"


@pytest.fixture(scope="session")
def admin(simulated_cluster: "Cluster") -> Kubectl:
    """kubectl of the cluster, with our CRDs applied and established."""
    kubectl = Kubectl(simulated_cluster.paths.kubectl)
    kubectl.ok("apply", "--server-side", "--force-conflicts", "-f", str(CRDS))
    kubectl.ok("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS))
    return kubectl


@pytest.fixture(scope="session")
def collector(admin: Kubectl) -> None:
    """Wait until the garbage collector knows our CRDs: it looks for new ones every half minute."""
    for number in range(20):
        name = f"collected-{number}"
        owner = admin.create("PipelineJob", name, JOB_SPEC)
        reference = {key: owner[key] for key in ("apiVersion", "kind")}
        reference |= {key: owner["metadata"][key] for key in ("name", "uid")}
        metadata = {"name": name, "ownerReferences": [reference]}
        admin.ok("create", "-f", "-", stdin={"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
        admin.ok("delete", "pjob", name)
        if admin.run("wait", "--for=delete", f"configmap/{name}", "--timeout=5s").code == 0:
            return
    pytest.fail("the garbage collector of the cluster does not collect what PipelineJobs own")


@pytest.fixture(scope="module")
def kubectl(admin: Kubectl, simulated_cluster: "Cluster") -> Iterator[Kubectl]:
    """kubectl in a namespace of its own."""
    name = f"contract-{secrets.token_hex(4)}"
    admin.ok("create", "namespace", name)
    yield Kubectl(simulated_cluster.paths.kubectl, name)
    admin.ok("delete", "namespace", name, "--wait=false")


@pytest.fixture(
    params=[pytest.param("fake", marks=pytest.mark.looptime), pytest.param("real", marks=pytest.mark.cluster)]
)
def kubeconfig(request: pytest.FixtureRequest) -> Path | None:
    """Where the real API server is; None for the in-memory cluster."""
    if request.param == "fake":
        return None
    request.getfixturevalue("admin")
    path: Path = request.getfixturevalue("simulated_cluster").paths.kubeconfig
    return path


@pytest.fixture
async def world(kubeconfig: Path | None, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A cluster of one sort or the other, with a namespace of its own."""
    if kubeconfig is None:
        fake = FakeCluster()

        def shorten(seconds: float) -> None:
            fake.watching.seconds = seconds

        async with new_namespace(fake, real=False) as name:
            yield World(fake, name, shorten)
        fake.close()
        return
    async with HttpCluster(await connect(kubeconfig)) as cluster, new_namespace(cluster, real=True) as name:
        yield World(cluster, name, lambda seconds: monkeypatch.setattr(client, "WATCH_SECONDS", int(seconds)))
