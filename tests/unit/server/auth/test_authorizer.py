"""Who may do what: one table."""

import asyncio

import pytest

from task_pipeline.kube.errors import Unreachable
from task_pipeline.server.auth.accounts import Accounts
from task_pipeline.server.auth.authorizer import RequestAuthorizer
from task_pipeline.server.auth.callers import NOBODY, AttemptClaim, Caller, CallerKind, Verb
from task_pipeline.server.problem import ProblemError
from tests.fakes import FakeCluster, on

pytestmark = [pytest.mark.looptime]

CLIENT = Caller(CallerKind.CLIENT, "c", frozenset({"a", "b"}), "c")
EVERYWHERE = Caller(CallerKind.CLIENT, "c", frozenset({"*"}), "c")
ACCOUNT = Caller(CallerKind.ACCOUNT, "user", uid="u")
RUNNER = Caller(CallerKind.RUNNER, "runner")
ATTEMPT = Caller(CallerKind.ATTEMPT, "a/j/1", frozenset({"a"}), attempt=AttemptClaim("a", "j", "u", 1))

TABLE = {
    "a client, its own": (CLIENT, Verb.GET, "a", "c", None),
    "a client, no object yet": (CLIENT, Verb.CREATE, "b", None, None),
    "a client, another's": (CLIENT, Verb.GET, "a", "d", 404),
    "a client, another's, to change": (CLIENT, Verb.UPDATE, "a", "d", 404),
    "a client, another's, to delete": (CLIENT, Verb.DELETE, "a", "default", 404),
    "a client, another's, to claim": (CLIENT, Verb.CLAIM, "a", "d", 404),
    "a client, its own, to claim": (CLIENT, Verb.CLAIM, "a", "c", None),
    "a client elsewhere": (CLIENT, Verb.GET, "x", None, 403),
    "a client elsewhere, its own": (CLIENT, Verb.GET, "x", "c", 403),
    "a client elsewhere, another's": (CLIENT, Verb.GET, "x", "d", 403),
    "a client, everything": (CLIENT, Verb.LIST, "*", None, 403),
    "a client of all namespaces": (EVERYWHERE, Verb.LIST, "*", None, None),
    "a client of all namespaces, another's": (EVERYWHERE, Verb.GET, "x", "d", 404),
    "an account with a role": (ACCOUNT, Verb.GET, "a", "anybody", None),
    "an account with a role, another verb": (ACCOUNT, Verb.DELETE, "a", "anybody", 403),
    "an account elsewhere": (ACCOUNT, Verb.GET, "b", "anybody", 403),
    "an account, everything": (ACCOUNT, Verb.LIST, "*", None, 403),
    "an account, to claim": (ACCOUNT, Verb.CLAIM, "a", None, 403),
    "the runner claims": (RUNNER, Verb.CLAIM, "a", "d", None),
    **{f"the runner, {verb}": (RUNNER, verb, "a", None, 403) for verb in Verb if verb is not Verb.CLAIM},
    **{f"an attempt, {verb}": (ATTEMPT, verb, "a", None, 403) for verb in Verb},
    **{f"nobody, {verb}": (NOBODY, verb, "a", None, 401) for verb in Verb},
}


@pytest.mark.parametrize(("caller", "verb", "namespace", "owner", "status"), TABLE.values(), ids=TABLE)
async def test_who_may_do_what(
    caller: Caller, verb: Verb, namespace: str, owner: str | None, status: int | None
) -> None:
    cluster = FakeCluster()
    cluster.reviews.rules.add(("user", "get", "pipelines", "a"))
    authorizer = RequestAuthorizer(Accounts(cluster, clock=asyncio.get_running_loop().time))
    if status is None:
        await authorizer.authorize(caller, verb, namespace, owner)
        return
    with pytest.raises(ProblemError) as caught:
        await authorizer.authorize(caller, verb, namespace, owner)
    assert caught.value.status == status


async def test_a_refusal_of_an_object_says_nothing_of_it() -> None:
    authorizer = RequestAuthorizer(Accounts(FakeCluster(), clock=asyncio.get_running_loop().time))
    texts = set()
    for owner in ("d", "default", "secret-client"):
        with pytest.raises(ProblemError) as caught:
            await authorizer.authorize(CLIENT, Verb.GET, "a", owner)
        texts.add((caught.value.reason, caught.value.detail))
    assert len(texts) == 1


async def test_an_api_server_that_is_away_is_no_refusal() -> None:
    cluster = FakeCluster()
    cluster.fault(on("post"), before=Unreachable("away"), times=None)
    authorizer = RequestAuthorizer(Accounts(cluster, clock=asyncio.get_running_loop().time))
    with pytest.raises(ProblemError) as caught:
        await authorizer.authorize(ACCOUNT, Verb.GET, "a")
    assert caught.value.status == 503


async def test_a_long_list_of_namespaces_is_cut() -> None:
    authorizer = RequestAuthorizer(Accounts(FakeCluster(), clock=asyncio.get_running_loop().time))
    many = Caller(CallerKind.CLIENT, "c", frozenset(f"n{number:03}" for number in range(50)), "c")
    with pytest.raises(ProblemError, match="n009 and 40 more"):
        await authorizer.authorize(many, Verb.GET, "x")
