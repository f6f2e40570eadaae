"""Where a benchmark happens: a cluster of its own and one operator process, whose settings can change."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from task_pipeline.kube.client import HttpCluster
from task_pipeline.kube.config import connect
from tests.bench import processes
from tests.cluster import Cluster, ClusterConfig, NodeMode
from tests.cluster.config import User
from tests.operators import OperatorProcess, install

CONTENDER = "contender"


@dataclass(frozen=True)
class Site:
    """The cluster with CRDs and the client `default`, and the operator, not started yet.

    Whoever is measured is the user `contender`, with all rights, so that the audit log tells it from everybody else.
    """

    cluster: Cluster
    operator: OperatorProcess
    settings: Path

    @property
    def kubeconfig(self) -> Path:
        """Kubeconfig of the cluster's administrator."""
        return self.cluster.kubeconfig

    @property
    def contender_kubeconfig(self) -> Path:
        """Kubeconfig of the user `contender`."""
        return self.cluster.kubeconfig_of(CONTENDER)

    @property
    def folder(self) -> Path:
        """Where a contender may keep files; it is gone with the cluster."""
        return self.settings.parent

    def change(self, **settings: Any) -> None:
        """Other settings; the operator takes them over within a second. None: as shipped."""
        self.settings.write_text(yaml.safe_dump(settings))

    def pids(self) -> dict[str, int]:
        """The processes of the control plane and of the simulated nodes, by name."""
        return {process.name: process.pid for process in self.cluster.state.processes}

    def cpu_seconds(self) -> float:
        """User and system time of the operator so far."""
        return processes.cpu_seconds(self.operator.pid)

    def megabytes(self) -> float:
        """Memory of the operator that is in use now."""
        return processes.megabytes(self.operator.pid)


@contextmanager
def site(*, audit: bool = False, **settings: Any) -> Iterator[Site]:
    """A place that is gone when the block ends; `settings` are what stands in the operator's file."""
    with tempfile.TemporaryDirectory(prefix="task-pipeline-bench-") as name:
        folder = Path(name)
        users = (User(CONTENDER, ("system:masters",)),)
        cluster = Cluster.up(ClusterConfig(dir=folder / "cluster", nodes=NodeMode.SIMULATED, audit=audit, users=users))
        file = folder / "settings.yaml"
        operator = OperatorProcess(
            cluster.kubeconfig_of(CONTENDER), folder / "operator.log", {"TASK_PIPELINE_CONFIG": str(file)}
        )
        place = Site(cluster, operator, file)
        place.change(**settings)
        try:
            install(cluster.kubeconfig)
            yield place
            if operator.running:
                operator.stop()
        finally:
            if operator.running:
                operator.kill()
            cluster.down()


@asynccontextmanager
async def connected(kubeconfig: Path) -> AsyncIterator[HttpCluster]:
    """A connection of the operator's own library, for those parts that are about the operator alone."""
    connection = await connect(kubeconfig)
    connection.user_agent = "task-pipeline-bench"
    async with HttpCluster(connection) as cluster:
        yield cluster
