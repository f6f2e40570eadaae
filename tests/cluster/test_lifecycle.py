"""Starting and stopping whole clusters: idempotent, side by side, interrupted, killed."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster import Cluster, ClusterConfig, NodeMode, User, down, processes
from tests.cluster import state as states
from tests.cluster.paths import CHECKOUT, ClusterPaths
from tests.cluster.polling import wait_for
from tests.cluster.report import Report
from tests.cluster.state import ClusterState

pytestmark = pytest.mark.cluster
COMMAND = [sys.executable, "-m", "tests.cluster"]


def begin(folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*COMMAND, "up", "--dir", str(folder), "--nodes", "simulated"],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def started(folder: Path, programs: int) -> ClusterState:
    def enough() -> ClusterState | None:
        state = states.load(ClusterPaths(folder))
        return state if state and len(state.processes) >= programs else None

    state = wait_for(enough, f"{programs} programs", 90)
    assert state is not None
    return state


@pytest.mark.parametrize("programs", [1, 4])
def test_an_interrupted_start_leaves_nothing_running(tmp_path: Path, programs: int) -> None:
    folder = tmp_path / "cluster"
    with begin(folder) as command:
        state = started(folder, programs)
        command.send_signal(signal.SIGINT)
        text, _ = command.communicate(timeout=60)
    assert command.returncode == 130, text
    assert processes.marked(state.marker) == []
    assert not Path(state.private).exists()
    assert {path.name for path in folder.iterdir()} <= {"log"}


def test_a_killed_start_is_cleaned_up_by_the_next(tmp_path: Path) -> None:
    folder = tmp_path / "cluster"
    with begin(folder) as command:
        state = started(folder, 2)
        command.kill()
    assert processes.marked(state.marker)
    cluster = Cluster.up(ClusterConfig(dir=folder, nodes=NodeMode.SIMULATED), Report(quiet=True))
    try:
        assert processes.marked(state.marker) == []
        assert cluster.fresh
        assert cluster.healthy()
    finally:
        cluster.down()
    assert not folder.exists()
    assert processes.marked(cluster.state.marker) == []


def test_a_second_cluster_lives_beside_the_first(simulated_cluster: Cluster, tmp_path: Path) -> None:
    viewer = User("viewer", ("viewers",))
    config = ClusterConfig(dir=tmp_path / "b", nodes=NodeMode.SIMULATED, simulated_nodes=1, users=(viewer,))
    second = Cluster.up(config, Report(quiet=True))
    try:
        assert not Cluster.up(config, Report(quiet=True)).fresh
        assert second.server != simulated_cluster.server
        second.kubectl("create", "namespace", "only-here")
        assert "only-here" not in simulated_cluster.kubectl("get", "namespaces")
        allowed = ("auth", "can-i", "list", "pods", f"--kubeconfig={second.kubeconfig_of('viewer')}")
        assert second.kubectl(*allowed, check=False).strip() == "no"
        answer = subprocess.run([*COMMAND, "status", "--dir", second.paths.root], cwd=CHECKOUT, timeout=30)
        assert answer.returncode == 0
    finally:
        second.down()
    assert simulated_cluster.healthy()
    assert not down(second.paths.root, Report(quiet=True))
    answer = subprocess.run([*COMMAND, "status", "--dir", second.paths.root], cwd=CHECKOUT, timeout=30)
    assert answer.returncode == 3
