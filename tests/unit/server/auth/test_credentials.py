"""Client ids and secrets against PipelineClients and Secrets, and what is said while the API server is away."""

import asyncio
import hmac
from datetime import timedelta
from typing import Any

import orjson
import pytest

from task_pipeline.api.resources import PIPELINE_CLIENTS, SECRETS
from task_pipeline.kube.errors import KubeError, Unreachable
from task_pipeline.server.auth import credentials as module
from task_pipeline.server.auth import secrets, vault
from task_pipeline.server.auth.credentials import HASH, TYPE_CLIENT, Credentials, read_pepper
from tests.fakes import on
from tests.fakes.refusals import refusal, server_error
from tests.fakes.registry import Target
from tests.unit.server.auth.world import NAMESPACE, World

pytestmark = [pytest.mark.looptime]


def credentials(world: World) -> Credentials:
    loop = asyncio.get_running_loop()
    return Credentials(world.cluster, NAMESPACE, now=world.cluster.now, clock=loop.time)


async def test_a_right_secret_gives_the_client_and_its_namespaces() -> None:
    world = World()
    world.client("team-a", "a", "b")
    secret = await world.secret("team-a")
    login = await credentials(world).check("team-a", secret)
    assert login is not None
    assert (login.client, login.namespaces) == ("team-a", frozenset({"a", "b"}))


async def test_what_is_wrong_gives_nobody() -> None:
    world = World()
    world.client("team-a", "a")
    world.client("team-b", "b")
    world.client("none", "a")
    secret, other = await world.secret("team-a"), await world.secret("team-b")
    kept = credentials(world)
    for client, given in (
        ("team-a", other),
        ("team-a", ""),
        ("team-a", secret + "x"),
        ("team-a", secret[:-1]),
        ("TEAM-A", secret),
        ("none", secret),
        ("nobody", secret),
        ("", ""),
        ("team:a", secret),
        ("x" * 300, secret),
        ("team-a\x00", secret),
    ):
        assert await kept.check(client, given) is None, client
    assert await kept.check("team-a", secret) is not None


async def test_two_secrets_overlap_and_each_ends_at_its_time() -> None:
    world = World()
    world.client("a", "a")
    old = await world.secret("a", not_after=world.cluster.now() + timedelta(minutes=10))
    new = await world.secret("a")
    kept = credentials(world)
    assert await kept.check("a", old) is not None
    assert await kept.check("a", new) is not None
    await asyncio.sleep(600)
    assert await kept.check("a", old) is None
    assert await kept.check("a", new) is not None


async def test_a_withdrawn_reference_ends_within_seconds() -> None:
    world = World()
    world.client("a", "a")
    secret = await world.secret("a")
    kept = credentials(world)
    assert await kept.check("a", secret) is not None
    world.credentials("a", lambda known: [])
    await asyncio.sleep(module.FRESH_SECONDS)
    assert await kept.check("a", secret) is None


async def test_a_new_secret_is_good_a_second_later() -> None:
    world = World()
    world.client("a", "a")
    kept = credentials(world)
    await world.secret("a")
    await kept.check("a", "x")
    fresh = await world.secret("a")
    await asyncio.sleep(1)
    assert await kept.check("a", fresh) is not None


async def test_a_hash_belongs_to_its_client() -> None:
    world = World()
    world.client("a", "a")
    world.client("b", "b")
    secret = secrets.generate()
    name = await world.store("a", secret)
    world.credentials("b", lambda known: [{"secretRef": {"name": name}}])
    kept = credentials(world)
    assert await kept.check("a", secret) is not None
    assert await kept.check("b", secret) is None


BAD = {
    "another type": {"type": "Opaque"},
    "no hash": {"data": {}},
    "rubbish": {"data": {HASH: vault.encoded(b"rubbish")}},
    "no base64": {"data": {HASH: "*"}},
}


@pytest.mark.parametrize("change", BAD.values(), ids=BAD)
async def test_a_secret_that_holds_no_hash_lets_nobody_in_and_harms_nobody_else(change: dict[str, Any]) -> None:
    world = World()
    world.client("a", "a")
    world.client("b", "b")
    lost, good = secrets.generate(), await world.secret("b")
    name = await world.store("a", lost)
    world.cluster.registry.update(Target(SECRETS, NAMESPACE, name), lambda thing: {**thing, **change})
    kept = credentials(world)
    assert await kept.check("a", lost) is None
    assert await kept.check("b", good) is not None


async def test_a_secret_that_is_not_there_harms_nobody_else() -> None:
    world = World()
    world.client("a", "a", credentials=({"secretRef": {"name": "missing"}},))
    world.client("b", "b")
    good = await world.secret("b")
    kept = credentials(world)
    assert await kept.check("b", good) is not None
    assert await kept.check("a", good) is None


async def test_the_own_secrets_of_the_server_are_nobodys_hash() -> None:
    world = World()
    await read_pepper(world.cluster, NAMESPACE)
    world.client("a", "a", credentials=({"secretRef": {"name": vault.PEPPER_SECRET}},))
    assert await credentials(world).check("a", "") is None


async def test_replicas_that_start_together_share_one_pepper() -> None:
    world = World()
    peppers = await asyncio.gather(*(read_pepper(world.cluster, NAMESPACE) for _ in range(5)))
    assert len(set(peppers)) == 1


async def test_a_short_pepper_is_refused() -> None:
    world = World()
    body = vault.manifest(vault.PEPPER_SECRET, "t", {"pepper": b"short"})
    await vault.create(world.cluster, NAMESPACE, body)
    with pytest.raises(KubeError, match="holds no pepper"):
        await credentials(world).check("a", "b")


async def test_a_login_asks_nobody_and_strangers_cannot_make_it_ask() -> None:
    world = World()
    for number in range(3):
        world.client(f"c{number}", "a")
    right = await world.secret("c0")
    kept = credentials(world)
    await kept.check("c0", right)
    world.cluster.journal.clear()
    for number in range(200):
        assert await kept.check("c0", right) is not None
        await kept.check(f"guess-{number}", right)
        await asyncio.sleep(0.1)
    reads = world.cluster.journal.requests
    assert {request.verb for request in reads} == {"list"}
    assert len(reads) <= 21  # 20 seconds of wrong logins: one reading a second


async def test_many_logins_at_once_read_once() -> None:
    world = World()
    world.client("a", "a")
    secret = await world.secret("a")
    world.cluster.latency = 1.0
    kept = credentials(world)
    found = await asyncio.gather(*(kept.check("a", secret) for _ in range(50)))
    assert all(found)
    assert len(world.cluster.journal.of("list", PIPELINE_CLIENTS)) == 1


@pytest.mark.parametrize("client", ["a", "unknown", "team:a", ""])
async def test_an_unknown_id_and_a_wrong_secret_cost_the_same_work(
    client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """10,000 samples: the work of each is counted, and is one hash, twenty comparisons, and the same requests."""
    world = World()
    world.client("a", "a")
    world.client("b", "b")
    await world.secret("a")
    await world.secret("a")
    kept = credentials(world)
    await kept.check("a", "x")
    await asyncio.sleep(1.5)
    work: list[str] = []
    digest, compare = hmac.digest, hmac.compare_digest

    def counted_digest(key: bytes, message: bytes, kind: str) -> bytes:
        work.append("hash")
        return digest(key, message, kind)

    def counted_compare(a: bytes, b: bytes) -> bool:
        work.append("compare")
        return compare(a, b)

    monkeypatch.setattr(hmac, "digest", counted_digest)
    monkeypatch.setattr(hmac, "compare_digest", counted_compare)
    world.cluster.journal.clear()
    costs = set()
    for _ in range(10_000):
        work.clear()
        assert await kept.check(client, "tps_" + "x" * 43) is None
        costs.add((work.count("hash"), work.count("compare")))
    assert costs == {(1, 20)}
    assert [(one.verb, one.resource) for one in world.cluster.journal] == [("list", PIPELINE_CLIENTS)]


async def test_while_the_api_server_is_away_yes_is_said_and_no_is_not() -> None:
    world = World()
    world.client("a", "a")
    secret = await world.secret("a")
    kept = credentials(world)
    await kept.check("a", secret)
    world.cluster.fault(on(), before=Unreachable("away"), times=None)
    await asyncio.sleep(module.FRESH_SECONDS)
    assert await kept.check("a", secret) is not None
    for client in ("a", "unknown"):
        with pytest.raises(Unreachable):
            await kept.check(client, "wrong")
    await asyncio.sleep(module.STALE_SECONDS)
    with pytest.raises(Unreachable):
        await kept.check("a", secret)


async def test_an_api_server_that_hangs_does_not_make_every_login_wait() -> None:
    world = World()
    world.client("a", "a")
    secret = await world.secret("a")
    kept = credentials(world)
    await kept.check("a", secret)
    world.cluster.fault(on(), delay=1000.0, times=None)
    await asyncio.sleep(module.FRESH_SECONDS)
    loop = asyncio.get_running_loop()
    begin = loop.time()
    assert await kept.check("a", secret) is not None
    assert loop.time() - begin == pytest.approx(5.0)
    begin = loop.time()
    assert all([await kept.check("a", secret) for _ in range(100)])
    assert loop.time() == begin


async def test_one_lost_answer_is_asked_for_again() -> None:
    world = World()
    world.client("a", "a")
    secret = await world.secret("a")
    world.cluster.fault(on("list", PIPELINE_CLIENTS), before=server_error(503))
    world.cluster.fault(on("get", SECRETS), before=Unreachable("lost"))
    assert await credentials(world).check("a", secret) is not None


async def test_a_client_that_cannot_be_read_harms_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.client("a", "a")
    secret = await world.secret("a")
    listed = world.cluster.list

    async def with_rubbish(*arguments: Any, **more: Any) -> bytes:
        page = orjson.loads(await listed(*arguments, **more))
        page["items"].append({"metadata": {"name": "odd"}, "spec": {"namespaces": 7}})
        return orjson.dumps(page)

    monkeypatch.setattr(world.cluster, "list", with_rubbish)
    kept = credentials(world)
    assert await kept.check("a", secret) is not None
    assert await kept.namespaces("odd") is None
    assert await kept.namespaces("a") == frozenset({"a"})


async def test_a_time_that_cannot_be_read_has_passed() -> None:
    world = World()
    world.client("a", "a")
    secret = await world.secret("a")
    kept = credentials(world)
    entry = module._Credential(module._Ref("s"), "tomorrow")
    known = {"s": module._Kept(0, secrets.digest(b"p", "a", secret))}
    assert module._hashes([entry], known) == []
    assert await kept.check("a", secret) is not None


async def test_more_clients_than_a_page_holds() -> None:
    world = World()
    for number in range(501):
        world.client(f"c{number:04}", "a")
    secret = await world.secret("c0500")
    assert await credentials(world).check("c0500", secret) is not None
    assert TYPE_CLIENT.startswith("taskpipeline.dev/")


async def test_clients_beyond_the_bound_are_told_of_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "MOST_CLIENTS", 500)
    world = World()
    for number in range(501):
        world.client(f"c{number:04}", "a")
    assert await credentials(world).namespaces("c0500") is None
    assert "more than 500 PipelineClients" in caplog.text


async def test_a_list_that_changed_while_it_was_read_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    for number in range(501):
        world.client(f"c{number:04}", "a")
    secret = await world.secret("c0000")
    kept = credentials(world)
    world.cluster.fault(on("list"), before=refusal(410, "Expired", "too old"), skip=1)
    with pytest.raises(KubeError, match="changed while it was read"):
        await kept.check("c0000", secret)
    assert await kept.check("c0000", secret) is not None


async def test_a_secret_that_cannot_be_read_again_stays_good() -> None:
    world = World()
    world.client("a", "a")
    secret = await world.secret("a")
    kept = credentials(world)
    await kept.check("a", secret)
    world.cluster.fault(on("get", SECRETS), before=Unreachable("lost"), times=None)
    await asyncio.sleep(module.SECRET_SECONDS)
    assert await kept.check("a", secret) is not None


async def test_a_secret_that_was_never_read_is_no_refusal() -> None:
    world = World()
    world.client("a", "a")
    secret = await world.secret("a")
    await read_pepper(world.cluster, NAMESPACE)
    world.cluster.fault(on("get", SECRETS, "a-1"), before=Unreachable("lost"), times=None)
    with pytest.raises(Unreachable):
        await credentials(world).check("a", secret)
