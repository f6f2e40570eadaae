"""A Kubernetes cluster in memory. Tests use `FakeCluster`, pods' fates, and `on` to pick requests for faults."""

from tests.fakes.cluster import EPOCH, FakeCluster
from tests.fakes.deployments import Rollout
from tests.fakes.fates import Fate
from tests.fakes.faults import Fault, Journal, Request, on
from tests.fakes.quota import QUOTAS

__all__ = ["EPOCH", "QUOTAS", "FakeCluster", "Fate", "Fault", "Journal", "Request", "Rollout", "on"]
