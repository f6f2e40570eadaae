"""A real API server with simulated nodes, our CRDs, and one operator at a time, or two replicas of it."""

import json
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.cluster import Cluster
from tests.cluster.polling import wait_for
from tests.contract.kubectl import Kubectl, manifest
from tests.faults.proxy import FaultProxy
from tests.operators import OperatorProcess, Replicas, install
from tests.real.policies import enforce, enforced
from tests.real.users import User

Op = TypeVar("Op", bound=OperatorProcess | Replicas)
SETTINGS = {"TASK_PIPELINE_RETRY_BACKOFF": "0.2"}
PAIRS = {"test_fates", "test_queue_restart"}
"""Modules whose operator is a pair of replicas; all the others have one, since a pair costs a process and some seconds
at each crash."""


@pytest.fixture(scope="session")
def installed(simulated_cluster: Cluster) -> Cluster:
    """The cluster with CRDs, the operator's namespace and the client `default`."""
    install(simulated_cluster.kubeconfig)
    return simulated_cluster


@pytest.fixture
def kubectl(installed: Cluster) -> Iterator[Kubectl]:
    """kubectl in a namespace of its own."""
    admin = Kubectl(installed.paths.kubectl)
    name = f"real-{secrets.token_hex(4)}"
    admin.ok("create", "namespace", name)
    yield Kubectl(installed.paths.kubectl, name)
    admin.ok("delete", "namespace", name, "--wait=false")


@pytest.fixture
def alone(installed: Cluster) -> None:
    """Nothing of earlier tests is left that an operator could still write about or count."""
    admin = Kubectl(installed.paths.kubectl)

    def gone() -> bool:
        namespaces = json.loads(admin.ok("get", "namespaces", "-o", "json"))["items"]
        return all(one["status"]["phase"] == "Active" for one in namespaces)

    wait_for(gone, "the end of the namespaces of earlier tests", 120)


@pytest.fixture
def clients(installed: Cluster) -> Iterator[Callable[..., None]]:
    """Makes PipelineClients for all namespaces, or changes them: specs by name; they are gone after the test."""
    path = "/apis/taskpipeline.dev/v1alpha1/namespaces/task-pipeline/pipelineclients"
    api, made = installed.client, set[str]()

    def make(**specs: dict[str, Any]) -> None:
        for name, fields in specs.items():
            spec = {"namespaces": ["*"]} | fields
            if name in made:
                api.request("PATCH", f"{path}/{name}", {"spec": spec})
            else:
                api.request("POST", path, manifest("PipelineClient", name, spec))
        made.update(specs)

    yield make
    for name in made:
        api.request("DELETE", f"{path}/{name}")


def _makers(installed: Cluster, folder: Path, kind: type[Op]) -> Iterator[Callable[..., Op]]:
    made: list[Op] = []

    def make(*, kubeconfig: Path | None = None, **settings: str) -> Op:
        log = folder / f"operator-{len(made)}.log"
        log.touch()
        made.append(kind(kubeconfig or installed.kubeconfig, log, SETTINGS | settings))
        return made[-1]

    yield make
    for operator in made:
        if operator.running:
            operator.stop()
        assert "a fault in the operator" not in operator.log.read_text(), operator.tail()


def _kind(request: pytest.FixtureRequest) -> type[OperatorProcess | Replicas]:
    """What the tests of a module take for the operator."""
    return Replicas if request.module.__name__.rpartition(".")[2] in PAIRS else OperatorProcess


@pytest.fixture
def new_operator(
    request: pytest.FixtureRequest, installed: Cluster, tmp_path: Path
) -> Iterator[Callable[..., OperatorProcess | Replicas]]:
    """Makes operators, not started yet; what still runs at the end is ended, and its log must hold no fault."""
    yield from _makers(installed, tmp_path, _kind(request))


@pytest.fixture
def new_replicas(installed: Cluster, tmp_path: Path) -> Iterator[Callable[..., Replicas]]:
    """Makes pairs of replicas; otherwise like `new_operator`."""
    yield from _makers(installed, tmp_path, Replicas)


@pytest.fixture
def operator(new_operator: Callable[..., OperatorProcess | Replicas]) -> OperatorProcess | Replicas:
    """One running operator."""
    made = new_operator()
    made.start()
    return made


@pytest.fixture(scope="module")
def shared_operator(
    request: pytest.FixtureRequest, installed: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess | Replicas]:
    """One operator for all tests of a module; its log must hold no fault when they are over."""
    log = tmp_path_factory.mktemp("operator") / "operator.log"
    log.touch()
    made = _kind(request)(installed.kubeconfig, log, SETTINGS)
    made.start()
    yield made
    made.stop()
    assert "a fault in the operator" not in log.read_text(), made.tail()


@pytest.fixture
def proxy(installed: Cluster, tmp_path: Path) -> Iterator[tuple[FaultProxy, Path]]:
    """A proxy between operator and API server, and the kubeconfig that leads through it."""
    with FaultProxy(installed.server, installed.paths.pki) as between:
        yield between, between.kubeconfig(installed.kubeconfig, tmp_path / "kubeconfig")


@pytest.fixture(scope="module")
def policies(installed: Cluster) -> Iterator[None]:
    """The admission policies of the checkout, for the namespaces of `team` only, and gone after the module."""
    with enforce(Kubectl(installed.paths.kubectl)):
        yield


@pytest.fixture
def team(installed: Cluster, kubectl: Kubectl, policies: None) -> Kubectl:
    """An administrator's kubectl in a namespace where every policy is in force."""
    enforced(kubectl, User(installed.paths.kubectl, kubectl.namespace, "stranger"))
    return kubectl
