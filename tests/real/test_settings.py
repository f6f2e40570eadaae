"""Settings of a running operator, changed as an administrator changes a mounted ConfigMap."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.polling import wait_for
from tests.contract.kubectl import Kubectl
from tests.operators import OperatorProcess
from tests.real.pipelines import create_all, shell, states, wait_all

pytestmark = pytest.mark.cluster


def mount(folder: Path, text: str) -> None:
    """Put the file `settings.yaml` into `folder` as the kubelet does: a link is swapped, nothing is ever half there."""
    generation = folder / f"..{len(list(folder.iterdir()))}"
    generation.mkdir()
    (generation / "settings.yaml").write_text(text)
    (folder / "..fresh").symlink_to(generation.name)
    (folder / "..fresh").rename(folder / "..data")
    if not os.path.lexists(folder / "settings.yaml"):
        (folder / "settings.yaml").symlink_to("..data/settings.yaml")


def test_limits_change_while_the_operator_runs(
    kubectl: Kubectl, new_operator: Callable[..., OperatorProcess], tmp_path: Path
) -> None:
    folder = tmp_path / "mounted"
    folder.mkdir()
    mount(folder, "max_running_jobs: 1\n")
    operator = new_operator(TASK_PIPELINE_CONFIG=str(folder / "settings.yaml"))
    operator.start()

    def running() -> int:
        return list(states(kubectl, "pjob").values()).count("IN PROGRESS")

    create_all(kubectl, {"long": {"stages": ["s"], "jobs": [shell(f"j{n}", seconds=15) for n in range(8)]}})
    wait_for(lambda: running() == 1, "one job in progress")
    mount(folder, "max_running_jobs: -1\n")
    wait_for(lambda: "wrong settings; " in operator.log.read_text(), "the fault", 20)
    assert running() == 1
    mount(folder, "max_running_jobs: 3\nworkers: 5\n")
    wait_for(lambda: running() == 3, "three jobs in progress", 20)
    log = operator.log.read_text()
    assert "settings changed: max_running_jobs from 1 to 3" in log
    assert "at the next start of the operator: workers" in log
    mount(folder, "max_running_jobs: 0\n")
    wait_for(lambda: "max_running_jobs from 3 to 0" in operator.log.read_text(), "the closed limit", 20)
    wait_for(lambda: running() == 0, "nothing in progress", 60)
    assert "READY" in states(kubectl, "pjob").values()
    mount(folder, "max_running_jobs: unlimited\n")
    assert wait_all(kubectl) == {"long": "DONE"}
