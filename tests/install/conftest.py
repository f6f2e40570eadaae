"""helm, and the objects that the chart makes of each set of values."""

import pytest

from tests.install import helm as helms
from tests.install.helm import Document, Helm
from tests.install.values import SETS


@pytest.fixture(scope="session")
def helm() -> Helm:
    """helm; skipped where it has not been built."""
    path = helms.program()
    if path is None:
        pytest.skip("there is no helm: `make helm` builds it, or TASK_PIPELINE_HELM names one")
    return Helm(path)


@pytest.fixture(scope="session", params=sorted(SETS))
def rendered(request: pytest.FixtureRequest, helm: Helm) -> list[Document]:
    """The objects of one set of values after the other."""
    return helm.documents(SETS[request.param])


@pytest.fixture(scope="session")
def default(helm: Helm) -> list[Document]:
    """The objects with no values given."""
    return helm.documents()
