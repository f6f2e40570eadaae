"""A real Kubernetes on this machine for tests and for trying things out.

`python -m tests.cluster up` starts one; `Cluster.up(ClusterConfig(...))` does the same from Python.
"""

from tests.cluster.cluster import Cluster, ClusterConfig, down
from tests.cluster.config import ClusterError, NodeMode, User
from tests.cluster.report import Report

__all__ = ["Cluster", "ClusterConfig", "ClusterError", "NodeMode", "Report", "User", "down"]
