"""A real node, our CRDs, and one operator for all tests.

Each container costs about a second, so most tests read what one Pipeline with many jobs has left.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cluster import Cluster
from tests.contract.kubectl import Kubectl
from tests.operators import OperatorProcess, install

SETTINGS = {"TASK_PIPELINE_RETRY_BACKOFF": "0.2", "TASK_PIPELINE_RETRY_BACKOFF_LIMIT": "1"}


@pytest.fixture(scope="session")
def operated(real_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster with an operator at work; its log must hold no fault at the end."""
    install(real_cluster.kubeconfig)
    log = tmp_path_factory.mktemp("operator") / "operator.log"
    operator = OperatorProcess(real_cluster.kubeconfig, log, SETTINGS)
    operator.start()
    yield real_cluster
    operator.stop()
    assert "a fault in the operator" not in log.read_text(), operator.tail()


@contextmanager
def namespace_of(cluster: Cluster) -> Iterator[Kubectl]:
    """kubectl in a namespace of its own."""
    admin = Kubectl(cluster.paths.kubectl)
    name = f"node-{secrets.token_hex(4)}"
    admin.ok("create", "namespace", name)
    yield Kubectl(cluster.paths.kubectl, name)
    admin.ok("delete", "namespace", name, "--wait=false")


@pytest.fixture
def kubectl(operated: Cluster) -> Iterator[Kubectl]:
    """A namespace for one test."""
    with namespace_of(operated) as one:
        yield one


@pytest.fixture(scope="module")
def shared_kubectl(operated: Cluster) -> Iterator[Kubectl]:
    """A namespace for the tests of a module."""
    with namespace_of(operated) as one:
        yield one
