"""Secrets and keys that change while three replicas are used: nobody with a right credential is sent away."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from itertools import cycle

import pytest

from task_pipeline.server.auth import keys
from tests.server.auth_server import CLAIM, Clock, Replica, basic, replica
from tests.unit.server.auth.world import World


class Load:
    """Requests of several clients to all replicas in turn; `statuses` counts what they got."""

    def __init__(self, servers: list[Replica]) -> None:
        self.servers = cycle(servers)
        self.statuses: dict[int, int] = {}
        self.headers: list[Callable[[], str]] = []

    async def once(self) -> None:
        """One request with every credential."""
        for header in self.headers:
            answer = await next(self.servers).get("/probe", header())
            self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1

    @contextlib.asynccontextmanager
    async def during(self) -> AsyncIterator[None]:
        """Requests without a pause while the block runs."""
        stop = asyncio.Event()

        async def go_on() -> None:
            while not stop.is_set():
                await self.once()

        tasks = [asyncio.create_task(go_on()) for _ in range(4)]
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*tasks)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    made.client("team-a", "a")
    yield made
    made.cluster.close()


@pytest.fixture
def clock(world: World) -> Clock:
    return Clock(world)


@pytest.fixture
async def servers(world: World, clock: Clock) -> AsyncIterator[list[Replica]]:
    async with replica(world, clock) as a, replica(world, clock) as b, replica(world, clock) as c:
        yield [a, b, c]


async def token_of(server: Replica, secret: str) -> str:
    answer = await server.token(authorization=basic("team-a", secret))
    assert answer.status == 200
    return f"Bearer {(await answer.json())['access_token']}"


async def test_a_secret_is_rotated_under_load(world: World, clock: Clock, servers: list[Replica]) -> None:
    old = await world.secret("team-a")
    in_use = [basic("team-a", old)]
    load = Load(servers)
    load.headers = [lambda: in_use[0]]
    async with load.during():
        new = await world.secret("team-a")
        clock.moved += 5  # a new secret is known within seconds
        await load.once()
        in_use[0] = basic("team-a", new)
        await load.once()
        world.credentials("team-a", lambda known: known[1:])
        clock.moved += 5
        await load.once()
    assert set(load.statuses) == {200}
    assert load.statuses[200] >= 12
    for server in servers:
        assert (await server.get("/probe", basic("team-a", old))).status == 401
        assert (await server.get("/probe", basic("team-a", new))).status == 200


async def test_an_old_secret_ends_at_its_time_on_every_replica(
    world: World, clock: Clock, servers: list[Replica]
) -> None:
    old = await world.secret("team-a", not_after=clock.now() + timedelta(hours=1))
    for server in servers:
        assert (await server.get("/probe", basic("team-a", old))).status == 200
    clock.moved += 3600
    for server in servers:
        assert (await server.get("/probe", basic("team-a", old))).status == 401


async def test_tokens_outlive_their_secret(world: World, clock: Clock, servers: list[Replica]) -> None:
    token = await token_of(servers[0], await world.secret("team-a"))
    world.credentials("team-a", lambda known: [])
    clock.moved += 60
    for server in servers:
        assert (await server.get("/probe", token)).status == 200


async def test_keys_are_rotated_under_load(world: World, clock: Clock, servers: list[Replica]) -> None:
    secret = await world.secret("team-a")
    load = Load(servers)
    tokens = [await token_of(server, secret) for server in servers]
    attempt = f"Bearer {await servers[0].auth.tokens.for_attempt(CLAIM)}"
    load.headers = [lambda: tokens[0], lambda: tokens[1], lambda: tokens[2]]
    async with load.during():
        for _ in range(5):
            await servers[1].auth.ring.rotate()
            for _ in range(4):
                clock.moved += keys.PUBLISH_SECONDS / 3
                tokens[:] = [await token_of(server, secret) for server in servers]
                await load.once()
    assert set(load.statuses) == {200}
    for server in servers:
        assert (await server.get("/attempt", attempt)).status == 200


async def test_keys_that_grow_old_are_rotated_under_load(world: World, clock: Clock, servers: list[Replica]) -> None:
    secret = await world.secret("team-a")
    load = Load(servers)
    tokens = [await token_of(servers[0], secret)]
    load.headers = [lambda: tokens[0]]
    seen = set()
    for _ in range(3):
        clock.moved += keys.ROTATE_SECONDS
        tokens[0] = await token_of(servers[0], secret)
        async with load.during():
            await load.once()
            clock.moved += 2 * keys.PUBLISH_SECONDS
            await load.once()
            tokens[0] = await token_of(servers[2], secret)
            await load.once()
        seen.add((await servers[1].auth.ring.signer()).id)
    assert set(load.statuses) == {200}
    assert len(seen) == 3


async def test_a_revoked_key_ends_its_tokens_everywhere(world: World, clock: Clock, servers: list[Replica]) -> None:
    secret = await world.secret("team-a")
    old = await token_of(servers[0], secret)
    await servers[1].auth.ring.rotate(revoke=True)
    clock.moved += keys.REFRESH_SECONDS
    for server in servers:
        assert (await server.get("/probe", old)).status == 401
        assert (await server.get("/probe", await token_of(servers[2], secret))).status == 200
