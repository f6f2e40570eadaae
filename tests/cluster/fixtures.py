"""Clusters for the test suites, one of each sort per session.

Rule: they are never the cluster in `.cluster` that a person works with: each lies in a temporary folder and
is stopped at the end of the session, whatever the tests did.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster import Cluster, ClusterConfig, NodeMode, Report, build
from tests.cluster.packages import obstacle


@contextmanager
def temporary_cluster(nodes: NodeMode, *, audit: bool = True) -> Iterator[Cluster]:
    """A cluster in a folder of its own, gone when the block ends."""
    if not all(program.path().exists() for program in (build.KUBERNETES, build.KWOK)):
        pytest.fail("build the cluster's programs first, it takes minutes: python -m tests.cluster build")
    with tempfile.TemporaryDirectory(prefix="task-pipeline-") as folder:
        cluster = Cluster.up(ClusterConfig(dir=Path(folder) / "cluster", nodes=nodes, audit=audit))
        try:
            yield cluster
        finally:
            cluster.down()


@pytest.fixture(scope="session")
def simulated_cluster() -> Iterator[Cluster]:
    """A cluster with 10 simulated nodes and an audit log."""
    with temporary_cluster(NodeMode.SIMULATED) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def real_cluster() -> Iterator[Cluster]:
    """A cluster with a real node; skipped on a machine that cannot run one."""
    reason = obstacle(Report())
    if reason:
        pytest.skip(f"no real node on this machine: {reason}")
    with temporary_cluster(NodeMode.REAL) as cluster:
        yield cluster
