"""Crashes and outages in the middle of a run: nothing is lost, nothing is launched twice."""

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.polling import wait_for
from tests.contract.kubectl import Kubectl, manifest
from tests.faults.proxy import FaultProxy
from tests.operators import OperatorProcess
from tests.real.pipelines import create_all, grid, jobs_of, pods_of, shell, states, wait_all

pytestmark = pytest.mark.cluster


def assert_each_attempt_has_one_pod(kubectl: Kubectl) -> None:
    """Every attempt that any job counts has exactly one pod, and no pod is left over."""
    wanted = Counter({job["metadata"]["name"]: job["status"].get("attempt", 0) for job in jobs_of(kubectl)})
    owners = Counter(pod["metadata"]["ownerReferences"][0]["name"] for pod in pods_of(kubectl))
    assert owners == +wanted


def test_killed_again_and_again_the_run_ends_the_same(
    kubectl: Kubectl, new_operator: Callable[..., OperatorProcess]
) -> None:
    specs = {f"p{number}": grid(3, 4, seconds=0.3) for number in range(4)}
    specs["retried"] = {"stages": ["s"], "jobs": [shell("bad", exit_code=2, retryAttempt=2, allowFailure=True)]}
    operator = new_operator()
    operator.start()
    create_all(kubectl, specs)
    for _ in range(5):
        time.sleep(0.7)
        operator.kill()
        operator.start()
    assert set(wait_all(kubectl).values()) == {"DONE"}
    assert_each_attempt_has_one_pod(kubectl)


def test_sigterm_stops_it_within_five_seconds_and_what_runs_goes_on(
    kubectl: Kubectl, operator: OperatorProcess
) -> None:
    create_all(kubectl, {"long": grid(1, 3, seconds=3)})
    while "IN PROGRESS" not in states(kubectl, "pjob").values():
        time.sleep(0.05)
    assert operator.stop() < 5
    operator.start()
    assert wait_all(kubectl) == {"long": "DONE"}
    assert_each_attempt_has_one_pod(kubectl)


def test_the_api_server_away_at_the_start(
    kubectl: Kubectl, proxy: tuple[FaultProxy, Path], new_operator: Callable[..., OperatorProcess]
) -> None:
    switch, kubeconfig = proxy
    switch.close()
    create_all(kubectl, {"patient": grid(1, 2)})
    operator = new_operator(kubeconfig=kubeconfig)
    operator.launch()
    wait_for(
        lambda: "cannot reach the API server" in operator.log.read_text(), "the operator to say what it waits for", 30
    )
    switch.open()
    assert wait_all(kubectl) == {"patient": "DONE"}


def test_the_api_server_away_in_the_middle(
    kubectl: Kubectl, proxy: tuple[FaultProxy, Path], new_operator: Callable[..., OperatorProcess]
) -> None:
    switch, kubeconfig = proxy
    operator = new_operator(kubeconfig=kubeconfig)
    operator.start()
    create_all(kubectl, {f"p{number}": grid(3, 3, seconds=0.3) for number in range(3)})
    for _ in range(2):
        time.sleep(0.6)
        switch.close()
        time.sleep(1.5)
        switch.open()
    kubectl.ok("create", "-f", "-", stdin=manifest("Pipeline", "late", grid(1, 1)))
    assert set(wait_all(kubectl, seconds=90).values()) == {"DONE"}
    assert_each_attempt_has_one_pod(kubectl)
    assert "cannot" in operator.log.read_text() or "trying again" in operator.log.read_text()
