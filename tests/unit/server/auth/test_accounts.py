"""Kubernetes' own callers: tokens, audiences, rights, and what is kept of the answers."""

import asyncio

import pytest

from task_pipeline.api.resources import ACCESS_REVIEWS, TOKEN_REVIEWS
from task_pipeline.kube.errors import KubeError, Unreachable
from task_pipeline.server.auth import accounts as module
from task_pipeline.server.auth.accounts import Accounts, is_token
from task_pipeline.server.auth.callers import Caller, CallerKind, Verb
from tests.fakes import FakeCluster, on
from tests.fakes.refusals import bad_request, refusal
from tests.fakes.reviews import Account

pytestmark = [pytest.mark.looptime]

TOKEN = "aaa.bbb.ccc"
USER = "system:serviceaccount:a:worker"
CALLER = Caller(CallerKind.ACCOUNT, USER, uid="u", groups=("g",))


def accounts(cluster: FakeCluster) -> Accounts:
    return Accounts(cluster, clock=asyncio.get_running_loop().time)


async def test_a_token_for_our_audience_gives_its_user() -> None:
    cluster = FakeCluster()
    cluster.reviews.tokens[TOKEN] = Account(USER, ("task-pipeline", "other"), "u", ("b", "a"))
    found = await accounts(cluster).account(TOKEN)
    assert found == module.Account(USER, "u", ("a", "b"))
    (request,) = cluster.journal.of("post", TOKEN_REVIEWS)
    assert request.body["spec"] == {"token": TOKEN, "audiences": ["task-pipeline"]}


async def test_a_token_for_the_api_server_opens_nothing() -> None:
    cluster = FakeCluster()
    cluster.reviews.tokens[TOKEN] = Account(USER, ("https://kubernetes.default.svc",))
    assert await accounts(cluster).account(TOKEN) is None


async def test_an_api_server_that_does_not_say_for_which_audience_is_not_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = FakeCluster()

    async def careless(*_: object) -> bytes:
        return b'{"status": {"authenticated": true, "user": {"username": "x"}}}'

    monkeypatch.setattr(cluster, "post", careless)
    assert await accounts(cluster).account(TOKEN) is None


@pytest.mark.parametrize("token", ["", "abc", "a.b", "a.b.c.d", "a.b.ü", "a b.c.d", "x." * 2 + "y" * 9000])
async def test_what_has_not_the_form_of_a_token_is_not_asked_about(token: str) -> None:
    cluster = FakeCluster()
    assert not is_token(token)
    kept = accounts(cluster)
    assert kept.is_known(token)
    assert await kept.account(token) is None
    assert len(cluster.journal) == 0


@pytest.mark.parametrize("good", [True, False])
async def test_an_answer_is_kept_for_seconds(good: bool) -> None:
    cluster = FakeCluster()
    if good:
        cluster.reviews.tokens[TOKEN] = Account(USER, ("task-pipeline",))
    kept = accounts(cluster)
    assert not kept.is_known(TOKEN)
    for _ in range(5):
        assert (await kept.account(TOKEN) is not None) is good
    assert kept.is_known(TOKEN)
    assert len(cluster.journal) == 1
    cluster.reviews.tokens.clear()
    await asyncio.sleep(module.KEEP_SECONDS)
    assert await kept.account(TOKEN) is None
    assert len(cluster.journal) == 2


async def test_of_many_equal_questions_one_is_asked() -> None:
    cluster = FakeCluster()
    cluster.latency = 1.0
    cluster.reviews.tokens[TOKEN] = Account(USER, ("task-pipeline",))
    kept = accounts(cluster)
    found = await asyncio.gather(*(kept.account(TOKEN) for _ in range(20)))
    assert all(found)
    assert len(cluster.journal) == 1


async def test_one_who_gives_up_does_not_stop_the_others() -> None:
    cluster = FakeCluster()
    cluster.latency = 1.0
    cluster.reviews.tokens[TOKEN] = Account(USER, ("task-pipeline",))
    kept = accounts(cluster)
    first = asyncio.ensure_future(kept.account(TOKEN))
    second = asyncio.ensure_future(kept.account(TOKEN))
    await asyncio.sleep(0.1)
    first.cancel()
    assert await second is not None


@pytest.mark.parametrize("error", [Unreachable("about " + TOKEN), bad_request("what is " + TOKEN)])
async def test_an_api_server_that_does_not_answer_is_no_refusal(error: KubeError) -> None:
    cluster = FakeCluster()
    cluster.fault(on("post"), before=error, times=None)
    kept = accounts(cluster)
    for question in (kept.account(TOKEN), kept.may(CALLER, Verb.GET, "a")):
        with pytest.raises(KubeError) as caught:
            await question
        assert TOKEN not in str(caught.value)
        assert caught.value.__suppress_context__
    assert not kept.is_known(TOKEN)


async def test_a_missing_right_of_the_server_is_told_as_such() -> None:
    cluster = FakeCluster()
    cluster.fault(on("post"), before=refusal(403, "Forbidden", "tokenreviews is forbidden"), times=None)
    with pytest.raises(KubeError, match="see the rights of the server"):
        await accounts(cluster).account(TOKEN)


VERBS = {
    Verb.GET: "get",
    Verb.LIST: "list",
    Verb.CREATE: "create",
    Verb.UPDATE: "patch",
    Verb.DELETE: "delete",
}


@pytest.mark.parametrize(("verb", "word"), VERBS.items())
async def test_rights_are_those_of_kubectl(verb: Verb, word: str) -> None:
    cluster = FakeCluster()
    cluster.reviews.rules.add((USER, word, "pipelines", "a"))
    kept = accounts(cluster)
    assert await kept.may(CALLER, verb, "a")
    assert not await kept.may(CALLER, verb, "b")
    assert not await kept.may(CALLER, verb, "*")
    assert await kept.may(CALLER, verb, "a")
    assert len(cluster.journal) == 3
    spec = cluster.journal.of("post", ACCESS_REVIEWS)[0].body["spec"]
    attributes = {"group": "taskpipeline.dev", "version": "v1alpha1", "resource": "pipelines", "verb": word}
    assert spec == {"user": USER, "uid": "u", "groups": ["g"], "resourceAttributes": attributes | {"namespace": "a"}}


async def test_a_right_in_all_namespaces_is_asked_for_without_one() -> None:
    cluster = FakeCluster()
    cluster.reviews.rules.add(("g", "list", "pipelines", ""))
    assert await accounts(cluster).may(CALLER, Verb.LIST, "*")
    assert "namespace" not in cluster.journal.requests[0].body["spec"]["resourceAttributes"]


async def test_nobody_claims_by_a_role() -> None:
    cluster = FakeCluster()
    cluster.reviews.rules.add(("*", "*", "*", "*"))
    assert not await accounts(cluster).may(CALLER, Verb.CLAIM, "a")
    assert len(cluster.journal) == 0


async def test_rights_of_users_with_other_groups_are_not_mixed_up() -> None:
    cluster = FakeCluster()
    cluster.reviews.rules.add(("admins", "get", "pipelines", "a"))
    kept = accounts(cluster)
    assert not await kept.may(CALLER, Verb.GET, "a")
    assert await kept.may(Caller(CallerKind.ACCOUNT, USER, uid="u", groups=("admins",)), Verb.GET, "a")


async def test_who_waits_behind_others_is_answered_in_time() -> None:
    cluster = FakeCluster()
    cluster.fault(on("post"), delay=1000.0, times=None)
    kept = accounts(cluster)
    begin = asyncio.get_running_loop().time()
    answers = await asyncio.gather(*(kept.account(f"a.b.{number}") for number in range(50)), return_exceptions=True)
    assert all(isinstance(answer, KubeError) for answer in answers)
    assert asyncio.get_running_loop().time() - begin < 6
