"""The lead changes under load: a few of the handovers that `make test-faults` makes by the hundred."""

import pytest

from tests.faults.real import handovers
from tests.faults.real.place import Site

pytestmark = pytest.mark.cluster


def test_the_lead_goes_over_and_nothing_is_launched_twice(site: Site) -> None:
    ways: list[handovers.Way] = ["killed", "paused", "terminated", "paused", "killed"]
    entry = handovers.handovers(site, ways, handovers.SHORT, seed=8, name="a few", proxied=True)
    assert entry.violations == []
    assert entry.numbers["over the limit"] <= handovers.IN_FLIGHT
