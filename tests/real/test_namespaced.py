"""Operators that may do nothing outside the namespaces they are for. Field case B079."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cluster import Cluster
from tests.contract.kubectl import Kubectl, manifest
from tests.onlooker import Onlooker, peak
from tests.operators import OperatorProcess
from tests.real import audit
from tests.real.pipelines import create_all, grid, jobs_of, states, wait_for_status
from tests.real.users import OPERATOR_RULES, grant, kubeconfig_of, service_account

pytestmark = pytest.mark.cluster


class Install(NamedTuple):
    """One installation: where its Pipelines are, where its operator and its clients are, and who the operator is."""

    team: Kubectl
    own: Kubectl
    account: str


@pytest.fixture
def namespaces(installed: Cluster, kubectl: Kubectl) -> Iterator[Callable[[str], Kubectl]]:
    """Makes namespaces, gone after the test."""
    made: list[str] = []

    def make(purpose: str) -> Kubectl:
        made.append(f"{purpose}-{kubectl.namespace}")
        kubectl.ok("create", "namespace", made[-1])
        return Kubectl(installed.paths.kubectl, made[-1])

    yield make
    kubectl.ok("delete", "namespace", "--wait=false", *made)


@pytest.fixture
def install(
    installed: Cluster,
    namespaces: Callable[[str], Kubectl],
    new_operator: Callable[..., OperatorProcess],
    tmp_path: Path,
) -> Callable[[str, int], Install]:
    """Installs and starts an operator with Roles only, for one namespace, with a limit of its own."""

    def make(name: str, limit: int) -> Install:
        team, own = namespaces(name), namespaces(f"{name}-system")
        own.ok("create", "-f", "-", stdin=manifest("PipelineClient", "default", {"namespaces": [team.namespace]}))
        account = service_account(own, "operator")
        for place in (team, own):
            grant(place, account, *OPERATOR_RULES)
        file = kubeconfig_of(own, "operator", installed.kubeconfig, tmp_path / f"{name}.kubeconfig")
        new_operator(
            kubeconfig=file,
            TASK_PIPELINE_NAMESPACES=f'["{team.namespace}"]',
            TASK_PIPELINE_OPERATOR_NAMESPACE=own.namespace,
            MAX_RUNNING_JOBS=str(limit),
        ).start()
        return Install(team, own, account)

    return make


def test_b079_two_installs_with_roles_only_do_not_meet(
    installed: Cluster, kubectl: Kubectl, install: Callable[[str, int], Install]
) -> None:
    since = audit.mark(installed.audit_log)
    dev, prod = install("dev", 1), install("prod", 2)
    places = (dev.team, prod.team, kubectl)
    with ExitStack() as watching:
        seen = [watching.enter_context(Onlooker(installed.kubeconfig, place.namespace)) for place in places[:2]]
        for place in places:
            create_all(place, {"iso": grid(1, 4, seconds=0.5)})
        for one in seen:
            one.wait_until_final(4)
    assert [most_running(one) for one in seen] == [1, 2]
    wait_for_status(dev.team, "tpl/iso", state="DONE")
    wait_for_status(prod.team, "tpl/iso", state="DONE")
    assert states(dev.team, "tpl") == states(prod.team, "tpl") == {"iso": "DONE"}
    assert states(kubectl, "tpl") == {"iso": "READY"}
    assert kubectl.get("tpl", "iso")["status"]["observedGeneration"] == -1
    assert jobs_of(kubectl) == []
    requests = list(audit.requests(installed.audit_log, since))
    for mine in (dev, prod):
        made = [one for one in requests if one["user"]["username"] == mine.account]
        assert {one["objectRef"].get("namespace") for one in made if "objectRef" in one} <= {
            mine.team.namespace, mine.own.namespace}  # fmt: skip
        assert Counter(one["requestURI"] for one in made if one["responseStatus"]["code"] == 403) == {}


def most_running(seen: Onlooker) -> int:
    """How many jobs were IN PROGRESS at the same time, at most."""
    return peak(change for change in seen.changes if not change.is_pod)
