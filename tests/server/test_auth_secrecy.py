"""No secret in any log line, traceback, answer or object (field cases B081 and B082)."""

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from task_pipeline.kube.errors import Unreachable
from task_pipeline.observability.logs import JsonFormatter
from task_pipeline.server.auth import secrets as secrets_module
from task_pipeline.server.auth import vault
from tests.fakes import on
from tests.fakes.refusals import bad_request, server_error
from tests.fakes.reviews import Account
from tests.server.auth_server import CLAIM, Clock, Replica, basic, replica
from tests.unit.server.auth.world import NAMESPACE, World

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
GRANT = "grant_type=client_credentials"
CANARY = "tps_CANARY-" + "c" * 36
WRONG = "tps_WRONG-CANARY-" + "w" * 30
TOKEN = "canary-head.canary-body.canary-signature"


class Everything(logging.Handler):
    """All records of all loggers, as JSON and as plain text, with tracebacks and every attribute."""

    def __init__(self) -> None:
        super().__init__(0)
        self.text = io.StringIO()

    def emit(self, record: logging.LogRecord) -> None:
        for formatter in (JsonFormatter(), logging.Formatter("%(message)s")):
            print(formatter.format(record), file=self.text)
        print({name: str(value) for name, value in vars(record).items()}, file=self.text)


@pytest.fixture
def logged() -> Iterator[Everything]:
    handler, root = Everything(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(1)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    made.client("team-a", "a")
    await made.store("team-a", CANARY)
    made.cluster.reviews.tokens[TOKEN] = Account("system:serviceaccount:a:worker", ("task-pipeline",))
    yield made
    made.cluster.close()


@pytest.fixture
async def server(world: World) -> AsyncIterator[Replica]:
    asyncio.get_running_loop().set_debug(True)
    async with replica(world, Clock(world)) as made:
        yield made


async def everything(server: Replica) -> list[str]:
    """Right, wrong and broken requests in every place where a secret can stand; returns the answers."""
    token, _ = await server.auth.tokens.for_client("team-a", {"a"})
    attempt = await server.auth.tokens.for_attempt(CLAIM)
    answers = []
    for value in (
        basic("team-a", CANARY),
        basic("team-a", WRONG),
        basic("nobody", CANARY),
        basic(CANARY, "x"),
        basic("team-a", CANARY)[:-7],
        f"Basic {CANARY}",
        CANARY,
        f"Bearer {CANARY}",
        f"Bearer {TOKEN}",
        f"Bearer {TOKEN}x",
        f"Bearer {token}",
        f"Bearer {token}x",
        f"Bearer {attempt}",
        f"Bearer {attempt[:-3]}",
    ):
        for path in ("/probe", "/attempt"):
            answers.append(await (await server.get(path, value)).text())
        answers.append(await (await server.token(authorization=value)).text())
    for body in (
        f"{GRANT}&client_id=team-a&client_secret={CANARY}&client_secret={CANARY}",
        f"{GRANT}&client_id=team-a&client_secret={WRONG}",
        f"{GRANT}&client_id=team-a&client_secret={CANARY}%ff%",
        f"{{'client_secret': '{CANARY}'",
        f"{CANARY}",
    ):
        answers.append(await (await server.http.post("/oauth2/token", data=body, headers=FORM)).text())
        answers.append(await (await server.http.post("/oauth2/token", data=body)).text())
    return answers


async def secrets_of(world: World) -> list[str]:
    """Whatever must not be seen: what was sent, and what the server keeps."""
    pepper = (await vault.read(world.cluster, NAMESPACE, vault.PEPPER_SECRET)).data["pepper"]
    keys = (await vault.read(world.cluster, NAMESPACE, vault.KEYS_SECRET)).data
    signing = [json.loads(raw)["secret"] for raw in keys.values()]
    sent = [CANARY, WRONG, TOKEN, "canary-signature", basic("team-a", CANARY)[6:], basic("team-a", WRONG)[6:]]
    return [*sent, vault.encoded(pepper), repr(pepper)[2:-1], pepper.hex(), *signing]


async def test_b082_nothing_secret_is_logged(world: World, server: Replica, logged: Everything) -> None:
    """Field case B082: with debug logging on, right, wrong and malformed requests, and a broken control plane."""
    await everything(server)
    for error in (Unreachable(f"about {TOKEN}"), bad_request(f"cannot read {TOKEN}"), server_error()):
        fault = world.cluster.fault(on("post"), before=error, times=None)
        await server.get("/probe", f"Bearer {TOKEN[:-1]}")
        fault.remove()
    text = logged.text.getvalue()
    assert "task_pipeline.audit" in text
    for secret in await secrets_of(world):
        assert secret not in text
    assert "Authorization" not in text


async def test_b082_a_fault_of_ours_does_not_show_them_either(
    world: World, server: Replica, logged: Everything, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> bool:
        raise RuntimeError("a fault of ours")

    await server.get("/probe", basic("team-a", CANARY))
    monkeypatch.setattr(secrets_module, "matches", broken)
    answers = [
        await (await server.get("/probe", basic("team-a", CANARY))).text(),
        await (await server.token(authorization=basic("team-a", CANARY))).text(),
        await (
            await server.http.post("/oauth2/token", data=f"{GRANT}&client_id=a&client_secret={WRONG}", headers=FORM)
        ).text(),
    ]
    text = logged.text.getvalue()
    assert "a fault of ours" in text
    assert "Traceback" in text
    assert "a fault of ours" not in str(answers)
    for secret in (CANARY, WRONG, basic("team-a", CANARY)[6:]):
        assert secret not in text
        assert secret not in str(answers)


async def test_b081_no_answer_and_no_object_holds_a_secret(world: World, server: Replica) -> None:
    """Field case B081: hashes and references only, in every object and every answer."""
    answers = "\n".join(await everything(server))
    store = world.cluster.store
    objects = json.dumps([store.items(resource) for resource in store.resources()])
    for secret in (CANARY, WRONG, TOKEN):
        assert secret not in objects
        assert secret not in answers
    assert vault.encoded(CANARY.encode()) not in objects
