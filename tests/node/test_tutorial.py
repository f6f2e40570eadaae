"""docs/tutorial.md with real containers: its commands, what it shows of logs and failures, and its retry."""

from pathlib import Path

import pytest

from tests.cluster import Cluster
from tests.tutorial import Reader

pytestmark = pytest.mark.node


def test_the_tutorial_can_be_followed_to_its_end(operated: Cluster, tmp_path: Path) -> None:
    reader = Reader(operated, tmp_path)
    try:
        assert reader.follow(simulated=False) > 35
    finally:
        reader.leave()
