"""A namespace of a real API server that knows our CRDs, freshly generated."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.contract.kubectl import Kubectl

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


@pytest.fixture(scope="module")
def kubectl(admin: Kubectl, simulated_cluster: "Cluster") -> Iterator[Kubectl]:
    """kubectl in a namespace of its own."""
    name = f"contract-{secrets.token_hex(4)}"
    admin.ok("create", "namespace", name)
    yield Kubectl(simulated_cluster.paths.kubectl, name)
    admin.ok("delete", "namespace", name, "--wait=false")
