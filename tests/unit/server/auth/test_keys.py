"""Signing keys: the rules of their life, and the ring of several replicas on one cluster."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_pipeline.api.resources import SECRETS
from task_pipeline.kube.errors import KubeError, Unreachable
from task_pipeline.server.auth import keys, vault
from task_pipeline.server.auth.keys import Key, KeyRing, TooManyKeys
from task_pipeline.server.auth.vault import KEYS_SECRET
from tests.fakes import FakeCluster, on

DAY = 86_400.0


def key(name: str, created: float, signs_from: float | None = None) -> Key:
    return Key(b"k" * 32, created, created if signs_from is None else signs_from, name)


SIGNING = {
    "the only one": ([key("a", 0)], 10, "a"),
    "the newest": ([key("a", 0), key("b", 5)], 10, "b"),
    "not before its time": ([key("a", 0), key("b", 5, 20)], 10, "a"),
    "at its time": ([key("a", 0), key("b", 5, 20)], 20, "b"),
    "none is ready": ([key("b", 5, 30), key("a", 5, 20)], 10, "a"),
}


@pytest.mark.parametrize(("known", "now", "wanted"), SIGNING.values(), ids=SIGNING)
def test_which_key_signs(known: list[Key], now: float, wanted: str) -> None:
    assert keys.signing(known, now).id == wanted


def test_a_key_is_over_when_its_last_token_is() -> None:
    last = keys.LONGEST_TOKEN_SECONDS + keys.STALE_SECONDS + 2 * keys.LEEWAY_SECONDS
    known = [key("a", 0), key("b", 30 * DAY)]
    assert keys.over(known, 30 * DAY + last) == []
    assert [one.id for one in keys.over(known, 30 * DAY + last + 1)] == ["a"]
    assert keys.over([known[0]], 1e12) == []


@given(st.lists(st.floats(0, 400 * DAY), min_size=1, max_size=6), st.floats(0, 500 * DAY))
def test_whoever_signs_is_never_over(times: list[float], now: float) -> None:
    known = [key(str(number), time) for number, time in enumerate(times)]
    assert keys.signing(known, now) not in keys.over(known, now)


def test_no_repr_shows_a_key() -> None:
    assert repr(keys.new_key(0, 0)).startswith("Key(tp-")
    assert "secret" not in repr(keys.new_key(0, 0))


def ring(cluster: FakeCluster) -> KeyRing:
    loop = asyncio.get_running_loop()
    return KeyRing(cluster, "task-pipeline", now=lambda: cluster.now().timestamp(), clock=loop.time)


async def stored(cluster: FakeCluster) -> dict[str, Key]:
    return keys.parse((await vault.read(cluster, "task-pipeline", KEYS_SECRET)).data)


@pytest.mark.looptime
async def test_replicas_that_start_together_share_one_key() -> None:
    cluster = FakeCluster()
    rings = [ring(cluster) for _ in range(5)]
    signers = await asyncio.gather(*(one.signer() for one in rings))
    assert len({one.id for one in signers}) == 1
    assert set(await stored(cluster)) == {signers[0].id}


@pytest.mark.looptime
async def test_a_new_key_comes_after_30_days_and_signs_when_all_know_it() -> None:
    cluster = FakeCluster()
    first, second = ring(cluster), ring(cluster)
    old = await first.signer()
    await asyncio.sleep(30 * DAY + 1)
    assert (await first.signer()).id == old.id
    assert len(await stored(cluster)) == 2
    await asyncio.sleep(keys.PUBLISH_SECONDS + 1)
    new = await first.signer()
    assert new.id != old.id
    assert await second.verifier(new.id) == new
    assert await second.verifier(old.id) == old


@pytest.mark.looptime
async def test_old_keys_are_removed_when_their_tokens_are_over() -> None:
    cluster = FakeCluster()
    one = ring(cluster)
    for _ in range(6):
        await one.signer()
        await asyncio.sleep(30 * DAY + 1)
    await one.signer()
    assert 1 <= len(await stored(cluster)) <= 3


@pytest.mark.looptime
async def test_an_unknown_id_makes_a_replica_read_once_a_second() -> None:
    cluster = FakeCluster()
    one = ring(cluster)
    await one.signer()
    cluster.journal.clear()
    await asyncio.sleep(2)
    for _ in range(100):
        assert await one.verifier("tp-" + "0" * 16) is None
    assert len(cluster.journal.of("get", SECRETS)) == 1


@pytest.mark.looptime
async def test_a_key_that_another_replica_made_a_moment_ago_verifies() -> None:
    cluster = FakeCluster()
    first, second = ring(cluster), ring(cluster)
    await first.signer()
    await second.signer()
    await asyncio.sleep(2)
    fresh = await first.rotate(revoke=True)
    assert (await second.verifier(fresh)) is not None


@pytest.mark.looptime
async def test_revoking_leaves_the_new_key_alone() -> None:
    cluster = FakeCluster()
    one, other = ring(cluster), ring(cluster)
    old = await one.signer()
    await other.signer()
    fresh = await one.rotate(revoke=True)
    assert set(await stored(cluster)) == {fresh}
    await asyncio.sleep(keys.REFRESH_SECONDS)
    assert await other.verifier(old.id) is None
    assert (await other.signer()).id == fresh


@pytest.mark.looptime
async def test_rotating_keeps_the_old_keys_and_has_a_bound() -> None:
    cluster = FakeCluster()
    one = ring(cluster)
    old = await one.signer()
    for _ in range(keys.MOST_KEYS - 1):
        await one.rotate()
    assert old.id in await stored(cluster)
    with pytest.raises(TooManyKeys, match="16 keys"):
        await one.rotate()
    assert len(await stored(cluster)) == keys.MOST_KEYS


@pytest.mark.looptime
async def test_two_who_rotate_at_once_lose_no_key() -> None:
    cluster = FakeCluster()
    one, other = ring(cluster), ring(cluster)
    await one.signer()
    made = await asyncio.gather(one.rotate(), other.rotate())
    assert set(made) <= set(await stored(cluster))


@pytest.mark.looptime
async def test_known_keys_serve_on_while_the_api_server_is_away() -> None:
    cluster = FakeCluster()
    one = ring(cluster)
    known = await one.signer()
    cluster.fault(on(), before=Unreachable("gone"), times=None)
    await asyncio.sleep(keys.STALE_SECONDS - 60)
    assert await one.verifier(known.id) == known
    with pytest.raises(KubeError):
        await one.verifier("tp-" + "1" * 16)
    await asyncio.sleep(120)
    with pytest.raises(KubeError):
        await one.verifier(known.id)


@pytest.mark.looptime
async def test_an_api_server_that_hangs_does_not_make_every_token_wait() -> None:
    cluster = FakeCluster()
    one = ring(cluster)
    known = await one.signer()
    cluster.fault(on(), delay=1000.0, times=None)
    await asyncio.sleep(keys.REFRESH_SECONDS)
    assert await one.verifier(known.id) == known
    begin = asyncio.get_running_loop().time()
    for _ in range(100):
        assert await one.verifier(known.id) == known
    assert asyncio.get_running_loop().time() == begin


@pytest.mark.looptime
async def test_entries_that_are_no_keys_are_passed_over() -> None:
    cluster = FakeCluster()
    bad = {"a": b"nothing", "b": b"\xff", "c": b'{"secret":"c2hvcnQ=","created":1,"signs_from":1}'}
    await vault.create(cluster, "task-pipeline", vault.manifest(KEYS_SECRET, "t", bad))
    one = ring(cluster)
    assert (await one.signer()).id.startswith("tp-")


@pytest.mark.looptime
async def test_a_lost_answer_costs_no_key() -> None:
    cluster = FakeCluster()
    cluster.fault(on("create", SECRETS), after=Unreachable("gone"))
    cluster.fault(on("patch", SECRETS), after=Unreachable("gone"))
    one = ring(cluster)
    assert set(await stored_after(one, cluster)) == {(await one.signer()).id}


async def stored_after(one: KeyRing, cluster: FakeCluster) -> dict[str, Key]:
    await one.signer()
    return await stored(cluster)
