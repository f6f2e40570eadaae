"""POST /oauth2/token, as RFC 6749 has it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.server.auth_server import Clock, Replica, basic, replica
from tests.unit.server.auth.world import World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    made.client("team-a", "a", "b")
    await made.store("team-a", SECRET)
    yield made
    made.cluster.close()


@pytest.fixture
async def server(world: World) -> AsyncIterator[Replica]:
    async with replica(world, Clock(world)) as made:
        yield made


SECRET = "tps_" + "s" * 43
GRANT = {"grant_type": "client_credentials"}
RIGHT = basic("team-a", SECRET)


@pytest.mark.parametrize(
    ("form", "authorization"),
    [
        (GRANT, RIGHT),
        (GRANT | {"client_id": "team-a"}, RIGHT),
        (GRANT | {"client_id": "team-a", "client_secret": SECRET}, None),
        (GRANT | {"audience": "ignored"}, RIGHT),
        (GRANT, basic("team%2Da", SECRET.replace("_", "%5F"))),
    ],
    ids=["basic", "basic and the same id", "form", "an unknown parameter", "form-encoded"],
)
async def test_a_token_is_given(server: Replica, form: dict[str, str], authorization: str | None) -> None:
    answer = await server.token(form, authorization)
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Pragma"] == "no-cache"
    body = await answer.json()
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 900)
    assert (await server.get("/probe", f"Bearer {body['access_token']}")).status == 200


REFUSED: dict[str, tuple[dict[str, str], str | None, int, str]] = {
    "nothing": ({}, None, 400, "invalid_request"),
    "no grant": ({}, RIGHT, 400, "invalid_request"),
    "another grant": ({"grant_type": "password"}, RIGHT, 400, "unsupported_grant_type"),
    "no client": (GRANT, None, 401, "invalid_client"),
    "wrong": (GRANT, basic("team-a", "x"), 401, "invalid_client"),
    "wrong in the form": (GRANT | {"client_id": "team-a", "client_secret": "x"}, None, 401, "invalid_client"),
    "id without a secret": (GRANT | {"client_id": "team-a"}, None, 401, "invalid_client"),
    "a very long secret": (GRANT | {"client_id": "a", "client_secret": "x" * 10**4}, None, 401, "invalid_client"),
    "secret twice": (GRANT | {"client_secret": SECRET}, RIGHT, 400, "invalid_request"),
    "two ids": (GRANT | {"client_id": "team-b"}, RIGHT, 400, "invalid_request"),
    "a token": (GRANT, "Bearer a.b.c", 400, "invalid_request"),
    "a header that cannot be read": (GRANT, "Basic ???", 401, "invalid_client"),
    "a scope": (GRANT | {"scope": "admin"}, RIGHT, 400, "invalid_scope"),
}


@pytest.mark.parametrize(("form", "authorization", "status", "error"), REFUSED.values(), ids=REFUSED)
async def test_no_token_is_given(
    server: Replica, form: dict[str, str], authorization: str | None, status: int, error: str
) -> None:
    answer = await server.token(form, authorization)
    body: dict[str, Any] = await answer.json()
    assert (answer.status, body["error"]) == (status, error)
    assert body["error_description"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert SECRET not in await answer.text()
    if status == 401 and (authorization or "").startswith("Basic"):
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")


async def test_only_a_form_is_read(server: Replica) -> None:
    answer = await server.http.post("/oauth2/token", json=GRANT, headers={"Authorization": RIGHT})
    assert answer.status == 415
    twice = await server.http.post(
        "/oauth2/token",
        data=b"grant_type=client_credentials&grant_type=client_credentials",
        headers={"Authorization": RIGHT, "Content-Type": "application/x-www-form-urlencoded"},
    )
    assert twice.status == 400
    assert (await server.get("/oauth2/token")).status == 405


async def test_the_audit_log_tells_who_got_a_token(server: Replica, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "task_pipeline.audit"):
        await server.token(GRANT, RIGHT)
        await server.token(GRANT, basic("team-a", "x"))
    given, refused = (vars(record)["fields"] for record in caplog.records if record.name == "task_pipeline.audit")
    assert (given["caller"], given["status"]) == ("team-a", 200)
    assert (refused["caller"], refused["status"]) == ("nobody", 401)
