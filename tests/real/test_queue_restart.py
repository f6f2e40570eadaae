"""Order and limits across crashes of the operator and behind a cluster that is seen late: B013, B017, B021, B023."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster import Cluster
from tests.contract.kubectl import Kubectl
from tests.faults.proxy import FaultProxy, Lag, Rule, Stop, on
from tests.onlooker import Onlooker, peak
from tests.operators import OperatorProcess
from tests.real.pipelines import create_all, grid, shell, wait_all, wait_for_status
from tests.real.submissions import accepted, draw, launched, sorted_keys

pytestmark = pytest.mark.cluster


def test_b013_the_order_stays_the_same_however_often_the_operator_dies(
    installed: Cluster, kubectl: Kubectl, clients: Callable[..., None], new_operator: Callable[..., OperatorProcess]
) -> None:
    who, what = draw(5, 5)
    clients(**who)
    operator = new_operator(MAX_RUNNING_JOBS="1", QUEUE_SIZE="20")
    operator.start()
    create_all(kubectl, {"filler": {"stages": ["s"], "jobs": [shell("a", seconds=600)]}})
    wait_for_status(kubectl, "tpl/filler", state="IN PROGRESS")
    with Onlooker(installed.kubeconfig, kubectl.namespace) as seen:
        create_all(kubectl, what)
        found = accepted(kubectl, what)
        kubectl.ok(*kubectl.merge("tpl/filler", {"spec": {"cancel": "Now"}}))
        for launches in (5, 17, 40, 66):
            seen.wait(f"{launches} launches", lambda one, wanted=launches: one.launched >= wanted)  # type: ignore[misc]
            operator.kill()
            operator.start()
        seen.wait_until_final(80)
    assert peak(seen.changes, lambda job: job in seen.jobs) == 1
    assert launched(seen) == sorted_keys(who, what, found)
    assert set(Counter(launch.job for launch in seen.launches).values()) == {1}


def test_b017_no_limit_is_exceeded_however_often_the_operator_dies(
    installed: Cluster, kubectl: Kubectl, clients: Callable[..., None], new_operator: Callable[..., OperatorProcess]
) -> None:
    limits = {"alpha": 3, "beta": 2}
    clients(alpha={"priority": 1, "maxRunningJobs": 3}, beta={"priority": 5, "maxRunningJobs": 2})
    operator = new_operator(MAX_RUNNING_JOBS="4")
    operator.start()
    with Onlooker(installed.kubeconfig, kubectl.namespace) as seen:
        create_all(
            kubectl, {f"{name}-{n}": grid(1, 6, seconds=1) | {"clientId": name} for n in "ab" for name in limits}
        )
        for launches in (2, 7, 14):
            seen.wait(f"{launches} launches", lambda one, wanted=launches: one.launched >= wanted)  # type: ignore[misc]
            operator.kill()
            operator.start()
        seen.wait_until_final(24)
    assert set(seen.states.values()) == {"DONE"}
    assert peak(seen.changes) == 4
    for name, limit in limits.items():
        assert peak(seen.changes, lambda job, of=name: seen.jobs[job]["clientId"] == of) == limit  # type: ignore[misc]
    assert set(Counter(launch.job for launch in seen.launches).values()) == {1}


def test_b021_a_slot_taken_for_a_launch_that_never_was_is_not_lost(
    installed: Cluster, kubectl: Kubectl, new_operator: Callable[..., OperatorProcess], tmp_path: Path
) -> None:
    """The operator dies when it has given a slot and asked for the pod, and before the API server has heard of it."""
    with (
        FaultProxy(installed.server, installed.paths.pki) as proxy,
        Onlooker(installed.kubeconfig, kubectl.namespace) as seen,
    ):
        operator = new_operator(
            kubeconfig=proxy.kubeconfig(installed.kubeconfig, tmp_path / "kubeconfig"), MAX_RUNNING_JOBS="1"
        )
        operator.start()
        stop = proxy.stop_at(Stop(on("create", "pods"), after=False))
        create_all(kubectl, {name: {"stages": ["s"], "jobs": [shell("a", seconds=1)]} for name in ("mid", "next")})
        assert stop.reached.wait(20)
        operator.kill()
        proxy.go_on()
        assert seen.launches == []
        operator.start()
        assert wait_all(kubectl) == {"mid": "DONE", "next": "DONE"}
        seen.wait_until_final(2)
    assert [seen.jobs[launch.job]["pipeline"] for launch in seen.launches] == ["mid", "next"]
    assert peak(seen.changes) == 1


def test_b023_what_is_seen_late_is_counted_at_once(
    installed: Cluster, kubectl: Kubectl, new_operator: Callable[..., OperatorProcess], tmp_path: Path
) -> None:
    with (
        FaultProxy(installed.server, installed.paths.pki) as proxy,
        Onlooker(installed.kubeconfig, kubectl.namespace) as seen,
    ):
        for verb in ("list", "watch"):
            for resource in ("pipelinejobs", "pods"):
                proxy.add(Rule(on(verb, resource), Lag(2.0), times=None))
        operator = new_operator(
            kubeconfig=proxy.kubeconfig(installed.kubeconfig, tmp_path / "kubeconfig"), MAX_RUNNING_JOBS="2"
        )
        operator.start()
        create_all(kubectl, {f"lag-{n}": {"stages": ["s"], "jobs": [shell("a", seconds=0.5)]} for n in range(6)})
        assert set(wait_all(kubectl).values()) == {"DONE"}
        seen.wait_until_final(6)
    ran = [change for change in seen.changes if not change.is_pod and change.state == "DONE"]
    started = next(change for change in seen.changes if change.is_pod)
    assert ran[0].moment - started.moment > 2, "the end of a pod was not seen late"
    assert peak(seen.changes) == 2
    assert len(seen.launches) == 6
