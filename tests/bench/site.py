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
from tests.cluster import Cluster, ClusterConfig, NodeMode
from tests.operators import OperatorProcess, install


@dataclass(frozen=True)
class Site:
    """The cluster with CRDs and the client `default`, and the operator, not started yet."""

    cluster: Cluster
    operator: OperatorProcess
    settings: Path

    @property
    def kubeconfig(self) -> Path:
        """Kubeconfig of the cluster's administrator."""
        return self.cluster.kubeconfig

    def change(self, **settings: Any) -> None:
        """Other settings; the operator takes them over within a second."""
        self.settings.write_text(yaml.safe_dump(settings))

    def cpu_seconds(self) -> float:
        """User and system time of the operator so far."""
        fields = Path(f"/proc/{self.operator.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def megabytes(self) -> float:
        """Memory of the operator that is in use now."""
        lines = Path(f"/proc/{self.operator.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


@contextmanager
def site(*, audit: bool = False, **settings: Any) -> Iterator[Site]:
    """A place that is gone when the block ends; `settings` are what stands in the operator's file."""
    with tempfile.TemporaryDirectory(prefix="task-pipeline-bench-") as folder:
        file = Path(folder) / "settings.yaml"
        cluster = Cluster.up(ClusterConfig(dir=Path(folder) / "cluster", nodes=NodeMode.SIMULATED, audit=audit))
        operator = OperatorProcess(
            cluster.kubeconfig, Path(folder) / "operator.log", {"TASK_PIPELINE_CONFIG": str(file)}
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
    """A connection of the benchmark's own."""
    connection = await connect(kubeconfig)
    connection.user_agent = "task-pipeline-bench"
    async with HttpCluster(connection) as cluster:
        yield cluster
