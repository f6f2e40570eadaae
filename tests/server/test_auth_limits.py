"""Who asks too often has to wait, and nobody can make anybody else wait."""

from collections.abc import AsyncIterator

import pytest

from task_pipeline.server.auth.gate import Limits
from task_pipeline.server.auth.limits import Patience, Rate
from tests.fakes.reviews import Account
from tests.server.auth_server import Clock, Replica, basic, replica
from tests.unit.server.auth.world import World

OPEN = Rate(1e6, 1e6)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    made.client("team-a", "a")
    made.client("team-b", "a")
    yield made
    made.cluster.close()


async def statuses(server: Replica, count: int, authorization: str | None, **headers: str) -> list[int]:
    return [(await server.get("/probe", authorization, **headers)).status for _ in range(count)]


async def test_an_address_has_a_burst_and_a_rate(world: World) -> None:
    clock, secret = Clock(world), await world.secret("team-a")
    async with replica(world, clock, Limits(Rate(0.5, 5), OPEN)) as server:
        right = basic("team-a", secret)
        assert await statuses(server, 7, right) == [200] * 5 + [429] * 2
        answer = await server.get("/probe", right)
        assert 1 <= int(answer.headers["Retry-After"]) <= 2
        assert (await answer.json())["reason"] == "TooManyRequests"
        assert (await server.token(authorization=right)).status == 429
        clock.moved += 4
        assert await statuses(server, 3, right) == [200, 200, 429]


async def test_a_client_has_a_rate_that_only_its_own_requests_use_up(world: World) -> None:
    clock = Clock(world)
    first, second = await world.secret("team-a"), await world.secret("team-b")
    async with replica(world, clock, Limits(OPEN, Rate(0.1, 5), Patience(free=10**9))) as server:
        assert set(await statuses(server, 50, basic("team-a", "guess"))) == {401}
        assert await statuses(server, 7, basic("team-a", first)) == [200] * 5 + [429] * 2
        assert await statuses(server, 5, basic("team-b", second)) == [200] * 5


async def test_guesses_have_to_wait_longer_and_longer_and_the_right_secret_does_not(world: World) -> None:
    clock, secret = Clock(world), await world.secret("team-a")
    patience = Patience(free=5, first=1, longest=60, forget=10**6)
    async with replica(world, clock, Limits(OPEN, OPEN, patience)) as server:
        assert await statuses(server, 6, basic("team-a", "guess")) == [401] * 6
        waits = []
        for _ in range(6):
            answer = await server.get("/probe", basic("team-a", "guess"))
            assert answer.status == 429
            waits.append(int(answer.headers["Retry-After"]))
            assert (await server.get("/probe", basic("team-a", secret))).status == 200
            assert (await server.token(authorization=basic("team-a", secret))).status == 200
            clock.moved += waits[-1]
            assert (await server.get("/probe", basic("nobody", "guess"))).status == 401
        assert waits == [1, 2, 4, 8, 16, 32]


async def test_the_wait_belongs_to_the_address_not_to_the_client(world: World) -> None:
    clock = Clock(world)
    async with replica(world, clock, Limits(OPEN, OPEN, Patience(free=2)), proxies=("127.0.0.0/8",)) as server:
        guess = basic("team-a", "guess")
        mine, other = {"X-Forwarded-For": "192.0.2.1"}, {"X-Forwarded-For": "192.0.2.2"}
        assert await statuses(server, 5, guess, **mine) == [401, 401, 401, 429, 429]
        assert await statuses(server, 2, guess, **other) == [401, 401]


async def test_a_forged_address_is_not_believed(world: World) -> None:
    clock = Clock(world)
    async with replica(world, clock, Limits(OPEN, OPEN, Patience(free=2))) as server:
        found = []
        for number in range(5):
            forged = {"X-Forwarded-For": f"192.0.2.{number}"}
            found += await statuses(server, 1, basic("a", "x"), **forged)
        assert found == [401, 401, 401, 429, 429]


async def test_while_guesses_wait_no_unknown_token_reaches_the_api_server(world: World) -> None:
    clock = Clock(world)
    world.cluster.reviews.tokens["known.good.token"] = Account("user", ("task-pipeline",))
    async with replica(world, clock, Limits(OPEN, OPEN, Patience(free=2))) as server:
        assert await statuses(server, 1, "Bearer known.good.token") == [200]
        assert await statuses(server, 3, basic("a", "x")) == [401] * 3
        world.cluster.journal.clear()
        assert await statuses(server, 20, "Bearer new.guess.token") == [429] * 20
        assert await statuses(server, 1, "Bearer known.good.token") == [200]
        assert world.cluster.journal.of("post") == []


async def test_no_credential_at_all_is_no_guess(world: World) -> None:
    async with replica(world, Clock(world), Limits(OPEN, OPEN, Patience(free=0))) as server:
        assert await statuses(server, 20, None) == [401] * 20
