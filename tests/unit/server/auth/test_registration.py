"""Giving a client a secret: what is written where, and what is refused."""

import asyncio
from datetime import timedelta
from typing import Any

import orjson
import pytest

from task_pipeline.api.resources import PIPELINE_CLIENTS, SECRETS
from task_pipeline.kube.errors import Unreachable
from task_pipeline.server.auth import registration
from task_pipeline.server.auth.credentials import Credentials
from task_pipeline.server.auth.registration import NewSecret, NotRegistered, add_secret, store_hash
from tests.fakes import FakeCluster, on
from tests.fakes.refusals import stale
from tests.unit.server.auth.world import NAMESPACE, World

pytestmark = [pytest.mark.looptime]


async def credentials(cluster: FakeCluster, client: str) -> list[dict[str, Any]]:
    thing = orjson.loads(await cluster.get(PIPELINE_CLIENTS, NAMESPACE, client))
    found: list[dict[str, Any]] = thing["spec"].get("credentials", [])
    return found


async def works(world: World, client: str, made: NewSecret) -> bool:
    kept = Credentials(world.cluster, NAMESPACE, now=world.cluster.now, clock=asyncio.get_running_loop().time)
    return await kept.check(client, made.secret) is not None


async def test_a_secret_is_given_and_only_its_hash_is_kept() -> None:
    world = World()
    world.client("a", "a")
    made = await add_secret(world.cluster, NAMESPACE, "a", world.cluster.now())
    assert await works(world, "a", made)
    assert await credentials(world.cluster, "a") == [{"secretRef": {"name": made.name}}]
    secret = orjson.loads(await world.cluster.get(SECRETS, NAMESPACE, made.name))
    owner = orjson.loads(await world.cluster.get(PIPELINE_CLIENTS, NAMESPACE, "a"))["metadata"]
    assert secret["immutable"] is True
    assert secret["metadata"]["ownerReferences"][0]["uid"] == owner["uid"]
    assert made.secret not in str(world.cluster.journal.writes) + repr(made)


async def test_a_second_one_lets_the_first_go_on_as_long_as_is_said() -> None:
    world = World()
    world.client("a", "a")
    first = await add_secret(world.cluster, NAMESPACE, "a", world.cluster.now())
    second = await add_secret(world.cluster, NAMESPACE, "a", world.cluster.now())
    assert await works(world, "a", first)
    third = await add_secret(world.cluster, NAMESPACE, "a", world.cluster.now(), old_end=timedelta(hours=1))
    again = await add_secret(world.cluster, NAMESPACE, "a", world.cluster.now(), old_end=timedelta(hours=5))
    assert [await works(world, "a", one) for one in (first, second, third, again)] == [True] * 4
    await asyncio.sleep(3600)
    assert [await works(world, "a", one) for one in (first, second, third, again)] == [False, False, True, True]


async def test_what_has_expired_is_cleared_away() -> None:
    world = World()
    world.client("a", "a", credentials=({"secretRef": {"name": "foreign"}, "notAfter": "2020-01-01T00:00:00Z"},))
    await world.cluster.create(SECRETS, NAMESPACE, {"metadata": {"name": "foreign"}, "type": "Opaque"})
    first = await add_secret(world.cluster, NAMESPACE, "a", world.cluster.now())
    second = await add_secret(world.cluster, NAMESPACE, "a", world.cluster.now(), old_end=timedelta(0))
    third = await add_secret(world.cluster, NAMESPACE, "a", world.cluster.now())
    names = {thing["metadata"]["name"] for thing in world.cluster.store.items(SECRETS)}
    assert names == {"task-pipeline-server-pepper", "foreign", second.name, third.name}
    assert first.name not in names
    assert [entry["secretRef"]["name"] for entry in await credentials(world.cluster, "a")] == [second.name, third.name]


IDS = ("team:a", "team/a", "A@corp", "client 1", "", "x" * 300, "team-a\n", "-a", "a.", "tëam")


@pytest.mark.parametrize("client", IDS)
async def test_b062_an_id_that_cannot_be_is_refused_with_the_alphabet(client: str) -> None:
    """Field case B062: at registration the message says what an id may be; nothing is written."""
    world = World()
    with pytest.raises(NotRegistered, match="lower-case letters, digits"):
        await add_secret(world.cluster, NAMESPACE, client, world.cluster.now())
    assert len(world.cluster.journal) == 0


async def test_a_client_that_is_not_there_is_named() -> None:
    world = World()
    with pytest.raises(NotRegistered, match="no PipelineClient nobody in the namespace task-pipeline: create it"):
        await add_secret(world.cluster, NAMESPACE, "nobody", world.cluster.now())
    assert world.cluster.journal.writes == []


async def test_there_is_room_for_ten() -> None:
    world = World()
    world.client("a", "a")
    for _ in range(10):
        await add_secret(world.cluster, NAMESPACE, "a", world.cluster.now())
    with pytest.raises(NotRegistered, match="10 credentials"):
        await add_secret(world.cluster, NAMESPACE, "a", world.cluster.now())
    assert len(world.cluster.store.items(SECRETS)) == 11


async def test_a_lost_answer_gives_one_reference() -> None:
    world = World()
    world.client("a", "a")
    world.cluster.fault(on("patch", PIPELINE_CLIENTS), after=Unreachable("lost"))
    world.cluster.fault(on("create", SECRETS), after=Unreachable("lost"))
    made = await add_secret(world.cluster, NAMESPACE, "a", world.cluster.now())
    assert await credentials(world.cluster, "a") == [{"secretRef": {"name": made.name}}]
    assert await works(world, "a", made)


async def test_two_at_once_both_succeed() -> None:
    world = World()
    world.client("a", "a")
    made = await asyncio.gather(*(add_secret(world.cluster, NAMESPACE, "a", world.cluster.now()) for _ in range(3)))
    assert all([await works(world, "a", one) for one in made])


async def test_who_is_disturbed_for_ever_gives_up_and_leaves_nothing() -> None:
    world = World()
    world.client("a", "a")
    world.cluster.fault(on("patch"), before=lambda: stale(PIPELINE_CLIENTS, "a"), times=None)
    with pytest.raises(NotRegistered, match="try again"):
        await add_secret(world.cluster, NAMESPACE, "a", world.cluster.now())
    assert [thing["metadata"]["name"] for thing in world.cluster.store.items(SECRETS)] == [
        "task-pipeline-server-pepper"
    ]


async def test_a_hash_without_a_reference_is_nobodys_yet() -> None:
    world = World()
    world.client("a", "a")
    made = await store_hash(world.cluster, NAMESPACE, "a")
    assert not await works(world, "a", made)
    world.credentials("a", lambda known: [{"secretRef": {"name": made.name}}])
    assert await works(world, "a", made)


async def test_the_longest_id_has_a_secret_too() -> None:
    world = World()
    name = ".".join(["x" * 63] * 3 + ["x" * 61])
    world.client(name, "a")
    made = await add_secret(world.cluster, NAMESPACE, name, world.cluster.now())
    assert len(made.name) <= 253
    assert await works(world, name, made)
    registration.check_id(made.name)
