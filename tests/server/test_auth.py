"""Authentication over HTTP: every credential at every kind of route, and what is said when it is wrong."""

from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest

from task_pipeline.api.resources import PIPELINE_CLIENTS
from task_pipeline.kube.errors import Unreachable
from tests.fakes import on
from tests.fakes.registry import Target
from tests.fakes.reviews import Account
from tests.server.auth_server import CLAIM, Clock, Replica, basic, replica
from tests.unit.server.auth.world import NAMESPACE, World

GOOD_ACCOUNT, OTHER_AUDIENCE, RUNNER = "good.account.token", "other.audience.token", "the.runner.token"
SECRET_FREE = "tps_" + "x" * 43


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    made.client("team-a", "a", "b")
    reviews = made.cluster.reviews
    reviews.tokens[GOOD_ACCOUNT] = Account("system:serviceaccount:a:worker", ("task-pipeline",))
    reviews.tokens[OTHER_AUDIENCE] = Account("system:serviceaccount:a:worker", ("https://kubernetes.default.svc",))
    reviews.tokens[RUNNER] = Account("system:serviceaccount:task-pipeline:http-runner", ("task-pipeline",))
    yield made
    made.cluster.close()


@pytest.fixture
def clock(world: World) -> Clock:
    return Clock(world)


@pytest.fixture
async def server(world: World, clock: Clock) -> AsyncIterator[Replica]:
    async with replica(world, clock, runner="task-pipeline/http-runner") as made:
        yield made


async def credentials(world: World, server: Replica, clock: Clock) -> dict[str, str | None]:
    """Every credential of the matrix by its name."""
    secret = await world.secret("team-a")
    tokens = server.auth.tokens
    token, _ = await tokens.for_client("team-a", {"a", "b"})
    clock.moved -= 2000
    expired, _ = await tokens.for_client("team-a", {"a", "b"})
    clock.moved += 2000
    forged = jwt.encode(
        jwt.decode(token, options={"verify_signature": False}),
        b"z" * 32,
        "HS256",
        headers=jwt.get_unverified_header(token),
    )
    return {
        "none": None,
        "another scheme": "Digest x",
        "malformed basic": "Basic ???",
        "garbage": "Bearer garbage",
        "garbage in the form of a token": "Bearer a.b.c",
        "forged": f"Bearer {forged}",
        "expired": f"Bearer {expired}",
        "unknown client": basic("nobody", secret),
        "wrong secret": basic("team-a", SECRET_FREE),
        "client": basic("team-a", secret),
        "token": f"Bearer {token}",
        "attempt": f"Bearer {await tokens.for_attempt(CLAIM)}",
        "account": f"Bearer {GOOD_ACCOUNT}",
        "another audience": f"Bearer {OTHER_AUDIENCE}",
        "runner": f"Bearer {RUNNER}",
    }


MATRIX = {
    # credential: (probe, attempt, open)
    "none": (401, 401, 200),
    "another scheme": (401, 401, 200),
    "malformed basic": (401, 401, 200),
    "garbage": (401, 401, 200),
    "garbage in the form of a token": (401, 401, 200),
    "forged": (401, 401, 200),
    "expired": (401, 401, 200),
    "unknown client": (401, 401, 200),
    "wrong secret": (401, 401, 200),
    "client": (200, 403, 200),
    "token": (200, 403, 200),
    "attempt": (403, 200, 200),
    "account": (200, 403, 200),
    "another audience": (401, 401, 200),
    "runner": (200, 403, 200),
}


async def test_every_credential_at_every_kind_of_route(world: World, server: Replica, clock: Clock) -> None:
    found = {}
    for name, value in (await credentials(world, server, clock)).items():
        answers = [await server.get(path, value) for path in ("/probe", "/attempt", "/open")]
        found[name] = tuple(answer.status for answer in answers)
        for answer in answers:
            if answer.status == 401:
                assert "WWW-Authenticate" in answer.headers, name
            if answer.status >= 400:
                assert answer.content_type == "application/problem+json"
    assert found == MATRIX


async def test_who_the_callers_are(world: World, server: Replica, clock: Clock) -> None:
    known = await credentials(world, server, clock)
    client = {"kind": "client", "name": "team-a", "namespaces": ["a", "b"]}
    assert await (await server.get("/probe", known["client"])).json() == client
    assert await (await server.get("/probe", known["token"])).json() == client
    account = await (await server.get("/probe", known["account"])).json()
    assert account == {"kind": "account", "name": "system:serviceaccount:a:worker", "namespaces": []}
    assert (await (await server.get("/probe", known["runner"])).json())["kind"] == "runner"
    attempt = await (await server.get("/attempt", known["attempt"])).json()
    assert attempt == {"kind": "attempt", "name": "a/p-job/2", "namespaces": ["a"]}


def said(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "requestId"}


async def test_an_unknown_client_and_a_wrong_secret_get_the_same_answer(world: World, server: Replica) -> None:
    world.client("empty", "a")
    secret = await world.secret("team-a")
    answers, heads = [], []
    for client, given in (
        ("nobody", secret),
        ("team-a", SECRET_FREE),
        ("empty", secret),
        ("team-a", ""),
        ("", secret),
    ):
        answer = await server.get("/probe", basic(client, given))
        answers.append((answer.status, said(await answer.json())))
        heads.append({name.lower(): value for name, value in answer.headers.items()})
        for name in ("date", "x-request-id", "content-length"):
            heads[-1].pop(name, None)
    assert all(one == answers[0] for one in answers)
    assert heads == [heads[0]] * len(heads)
    tokens = [await server.token(authorization=basic(*pair)) for pair in (("nobody", "x"), ("team-a", "x"))]
    assert len({(one.status, await one.text()) for one in tokens}) == 1


IDS = ("team:a", "team/a", "A@corp", "client 1", "", "x" * 300, "team-a\n", "tëam", "../team-a", "*")


@pytest.mark.parametrize("client", IDS)
async def test_b062_an_id_that_cannot_be_is_a_wrong_credential_and_no_fault(server: Replica, client: str) -> None:
    """Field case B062: the alphabet is restricted where clients are registered; a login tells it."""
    for answer in (
        await server.get("/probe", basic(client, "s")),
        await server.token(authorization=basic(client, "s")),
        await server.token({"grant_type": "client_credentials", "client_id": client, "client_secret": "s"}),
    ):
        assert answer.status == 401
        text = await answer.text()
        assert "lower-case letters, digits, '-' and '.'" in text
        assert client == "" or len(client) == 1 or client not in text


async def test_two_authorization_headers_are_none(server: Replica) -> None:
    answer = await server.http.get("/probe", headers=[("Authorization", "Bearer a"), ("Authorization", "Bearer b")])
    assert answer.status == 401


async def test_an_expired_token_is_told_as_such(world: World, server: Replica, clock: Clock) -> None:
    token, _ = await server.auth.tokens.for_client("team-a", {"a"})
    clock.moved += 929
    assert (await server.get("/probe", f"Bearer {token}")).status == 200
    clock.moved += 10
    answer = await (await server.get("/probe", f"Bearer {token}")).json()
    assert (answer["status"], answer["reason"]) == (401, "TokenExpired")
    assert "/oauth2/token" in answer["detail"]


async def test_a_client_of_many_namespaces_logs_in_with_its_token(world: World, server: Replica, clock: Clock) -> None:
    names = [f"namespace-{number}" for number in range(1000)]
    world.client("broad", *names)
    secret = await world.secret("broad")
    token = (await (await server.token(authorization=basic("broad", secret))).json())["access_token"]
    answer = await (await server.get("/probe", f"Bearer {token}")).json()
    assert answer["namespaces"] == sorted(names)
    world.cluster.registry.delete(Target(PIPELINE_CLIENTS, NAMESPACE, "broad"))
    clock.moved += 10
    assert (await server.get("/probe", f"Bearer {token}")).status == 401


async def test_away_is_503_and_never_401(world: World, server: Replica, clock: Clock) -> None:
    known = await credentials(world, server, clock)
    assert (await server.get("/probe", known["client"])).status == 200
    world.cluster.fault(on(), before=Unreachable("the API server is away"), times=None)
    clock.moved += 20
    statuses = {name: (await server.get("/probe", value)).status for name, value in known.items()}
    assert {name: status for name, status in statuses.items() if status == 200} == {"client": 200, "token": 200}
    own_fault = {"none", "another scheme", "malformed basic", "garbage", "forged", "expired"}
    assert {name for name, status in statuses.items() if status == 401} == own_fault
    assert statuses["attempt"] == 403
    away = {"garbage in the form of a token", "unknown client", "wrong secret", "account", "another audience", "runner"}
    assert {name for name, status in statuses.items() if status == 503} == away
    answer = await server.get("/probe", known["wrong secret"])
    assert int(answer.headers["Retry-After"]) >= 1
    assert (await server.token(authorization=known["wrong secret"])).status == 503


async def test_a_server_that_starts_while_the_api_server_is_away(world: World, clock: Clock) -> None:
    secret = await world.secret("team-a")
    fault = world.cluster.fault(on(), before=Unreachable("away"), times=None)
    async with replica(world, clock) as server:
        assert (await server.get("/probe", basic("team-a", secret))).status == 503
        assert (await server.token(authorization=basic("team-a", secret))).status == 503
        fault.remove()
        assert (await server.get("/probe", basic("team-a", secret))).status == 200
