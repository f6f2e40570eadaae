"""A cluster with our CRDs that all tests here share, and the recorder that watches it."""

from collections.abc import Iterator

import pytest

from tests.cluster import Cluster
from tests.faults.real.kills import references
from tests.faults.real.place import Site
from tests.faults.real.recorder import Recorder
from tests.faults.real.runs import Ended
from tests.operators import install


@pytest.fixture(scope="session")
def site(simulated_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The session's cluster; operators of the tests here live in namespaces of their own."""
    install(simulated_cluster.kubeconfig)
    with Recorder(simulated_cluster.kubeconfig) as recorder:
        yield Site(simulated_cluster, recorder, tmp_path_factory.mktemp("faults"))


@pytest.fixture(scope="session")
def known(site: Site) -> dict[str, Ended]:
    """The runs of all scenarios without a fault."""
    return references(site)
