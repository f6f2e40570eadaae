"""Limits and order with the whole operator, as an onlooker with watches of its own sees them."""

from collections.abc import Callable, Iterable

import pytest

from tests.cluster import Cluster
from tests.contract.kubectl import Kubectl
from tests.onlooker import FINAL, Change, Onlooker, peak
from tests.operators import OperatorProcess
from tests.real.pipelines import create_all, grid, shell, wait_for_status
from tests.real.submissions import accepted, draw, launched, sorted_keys

pytestmark = pytest.mark.cluster

LIMIT, LIMITS = 4, {"alpha": 3, "beta": 2}


def used_share(changes: Iterable[Change], client_of: Callable[[str], str], jobs: dict[str, int]) -> float:
    """The share of the usable slot-seconds in which a job was IN PROGRESS. A slot is usable if its job waits."""
    running, left, before = dict.fromkeys(jobs, 0), dict(jobs), None
    used = usable = 0.0
    states: dict[str, str] = {}
    for change in (one for one in changes if not one.is_pod):
        if before is not None:
            passed = max(0.0, change.moment - before)
            used += passed * sum(running.values())
            usable += passed * min(LIMIT, sum(min(LIMITS[client], left[client]) for client in left))
        client, old = client_of(change.job), states.get(change.job, "READY")
        running[client] += (change.state == "IN PROGRESS") - (old == "IN PROGRESS")
        left[client] -= change.state in FINAL and old not in FINAL
        states[change.job] = change.state
        if change.state == "IN PROGRESS" or before is not None:
            before = change.moment
    return used / usable


def overtakes(changes: Iterable[Change], client_of: Callable[[str], str]) -> int:
    """How many of alpha's jobs started, at most, between the end of one of beta's and the start of beta's next."""
    most = now = 0
    waits = False
    ended: set[str] = set()
    for change in changes:
        is_beta = client_of(change.job) == "beta"
        if change.is_pod and change.is_new:
            now, waits = (0, False) if is_beta else (now + waits, waits)
            most = max(most, now)
        elif is_beta and not change.is_pod and change.state in FINAL and change.job not in ended:
            ended.add(change.job)
            waits = True
    return most


def test_no_limit_is_exceeded_no_slot_stays_empty_and_a_client_at_its_limit_delays_nobody(
    installed: Cluster, kubectl: Kubectl, clients: Callable[..., None], new_operator: Callable[..., OperatorProcess]
) -> None:
    clients(alpha={"priority": 1, "maxRunningJobs": 3}, beta={"priority": 5, "maxRunningJobs": 2})
    new_operator(MAX_RUNNING_JOBS=str(LIMIT)).start()
    with Onlooker(installed.kubeconfig, kubectl.namespace) as seen:
        create_all(
            kubectl,
            {f"{client}-{n}": grid(1, 5, seconds=3) | {"clientId": client} for n in range(5) for client in LIMITS},
        )
        seen.wait_until_final(50)
        changes = seen.changes

    def client_of(job: str) -> str:
        return str(seen.jobs[job]["clientId"])

    assert set(seen.states.values()) == {"DONE"}
    assert peak(changes) == LIMIT
    for client, limit in LIMITS.items():
        assert peak(changes, lambda job, of=client: client_of(job) == of) == limit  # type: ignore[misc]
    share, worst = used_share(changes, client_of, dict.fromkeys(LIMITS, 25)), overtakes(changes, client_of)
    print(f"usable slots in use: {share:.1%}; jobs of alpha started while a slot waited for beta: {worst} at most")
    assert worst <= LIMITS["alpha"]
    assert share >= 0.9


@pytest.mark.parametrize(("seed", "window"), [(1, 1000), (2, 1000), (3, 12), (4, 1)])
def test_one_slot_is_given_in_the_order_of_the_keys(
    installed: Cluster,
    kubectl: Kubectl,
    clients: Callable[..., None],
    new_operator: Callable[..., OperatorProcess],
    seed: int,
    window: int,
) -> None:
    """A filler has the only slot until 12 shuffled submissions wait behind it; then it is cancelled."""
    who, what = draw(seed, 12)
    clients(**who)
    new_operator(MAX_RUNNING_JOBS="1", QUEUE_SIZE=str(window)).start()
    create_all(kubectl, {"filler": {"stages": ["s"], "jobs": [shell("a", seconds=600)]}})
    wait_for_status(kubectl, "tpl/filler", state="IN PROGRESS")
    with Onlooker(installed.kubeconfig, kubectl.namespace) as seen:
        create_all(kubectl, what)
        found = accepted(kubectl, what)
        kubectl.ok(*kubectl.merge("tpl/filler", {"spec": {"cancel": "Now"}}))
        seen.wait_until_final(12 * 16)
    assert peak(seen.changes, lambda job: job in seen.jobs) == 1
    assert launched(seen) == sorted_keys(who, what, found)
