"""Signed tokens: what is believed, and that everything else is not."""

import asyncio
import base64
import json
from typing import Any

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from task_pipeline.server.auth import tokens
from task_pipeline.server.auth.callers import AttemptClaim
from task_pipeline.server.auth.keys import Key
from task_pipeline.server.auth.tokens import ClientClaim, Fault, TokenError, Tokens, is_ours

KEY = Key(b"k" * 32, 0.0, 0.0, "tp-" + "a" * 16)
OTHER = Key(b"x" * 32, 0.0, 0.0, "tp-" + "b" * 16)
NOW = 1_800_000_000
ATTEMPT = AttemptClaim("team-a", "p-a-1", "uid-1", 3)


class Ring:
    """A ring of one key."""

    async def signer(self) -> Key:
        return KEY

    async def verifier(self, key_id: str) -> Key | None:
        return {KEY.id: KEY}.get(key_id)


class Clock:
    def __init__(self) -> None:
        self.now = float(NOW)

    def __call__(self) -> float:
        return self.now


def made() -> tuple[Tokens, Clock]:
    clock = Clock()
    return Tokens(Ring(), now=clock), clock  # type: ignore[arg-type]


async def test_a_client_token_comes_back() -> None:
    kept, _ = made()
    token, seconds = await kept.for_client("team-a", {"b", "a"})
    assert seconds == 900
    assert await kept.read(token) == ClientClaim("team-a", frozenset({"a", "b"}))
    payload = jwt.decode(token, options={"verify_signature": False})
    assert set(payload) == {"iss", "aud", "sub", "iat", "exp", "jti", "namespaces"}
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "kid": KEY.id, "typ": "tp+jwt"}


async def test_no_two_tokens_are_equal() -> None:
    kept, _ = made()
    assert (await kept.for_client("a", {"b"}))[0] != (await kept.for_client("a", {"b"}))[0]


async def test_many_namespaces_stay_out_of_the_token() -> None:
    kept, _ = made()
    token, _ = await kept.for_client("a", {f"namespace-{number}" for number in range(1000)})
    assert len(token) < 1000
    assert await kept.read(token) == ClientClaim("a", None)


async def test_an_attempt_token_comes_back() -> None:
    kept, clock = made()
    token = await kept.for_attempt(ATTEMPT)
    assert await kept.read(token) == ATTEMPT
    clock.now += 7 * 86_400
    assert await kept.read(token) == ATTEMPT
    clock.now += 31
    with pytest.raises(TokenError) as caught:
        await kept.read(token)
    assert caught.value.fault is Fault.EXPIRED


@pytest.mark.parametrize(
    ("moved", "fault"),
    [(0, None), (929, None), (930, Fault.EXPIRED), (1e6, Fault.EXPIRED), (-30, None), (-31, Fault.WRONG)],
)
async def test_a_token_is_good_for_15_minutes_with_some_leeway(moved: float, fault: Fault | None) -> None:
    kept, clock = made()
    token, _ = await kept.for_client("a", {"b"})
    clock.now += moved
    if fault is None:
        assert await kept.read(token)
        return
    with pytest.raises(TokenError) as caught:
        await kept.read(token)
    assert caught.value.fault is fault


GOOD: dict[str, Any] = {
    "iss": "task-pipeline",
    "aud": "task-pipeline",
    "sub": "team-a",
    "jti": "1",
    "iat": NOW,
    "exp": NOW + 900,
    "namespaces": ["a"],
}
HEADERS = {"kid": KEY.id, "typ": "tp+jwt"}


def signed(claims: dict[str, Any], *, key: Any = KEY.secret, alg: str = "HS256", **headers: Any) -> str:
    return jwt.encode(claims, key, alg, headers=HEADERS | headers)


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in GOOD.items() if key != name}


WRONG = {
    "another key": signed(GOOD, key=OTHER.secret),
    "a key that is not there": signed(GOOD, key=OTHER.secret, kid=OTHER.id),
    "no key id": jwt.encode(GOOD, KEY.secret, "HS256", headers={"typ": "tp+jwt"}),
    "a key id of another form": signed(GOOD, kid="../../etc/passwd"),
    "another type": signed(GOOD, typ="JWT"),
    "no algorithm": signed(GOOD, key=None, alg="none"),
    "a longer algorithm": signed(GOOD, key=b"k" * 64, alg="HS512"),
    "a critical extension": signed(GOOD, crit=["b64"], b64=False),
    "another issuer": signed(GOOD | {"iss": "other"}),
    "no issuer": signed(without("iss")),
    "another audience": signed(GOOD | {"aud": "other"}),
    "both audiences": signed(GOOD | {"aud": ["task-pipeline", "attempt"]}),
    "no audience": signed(without("aud")),
    "no subject": signed(without("sub")),
    "no id": signed(without("jti")),
    "no end": signed(without("exp")),
    "an end as a text": signed(GOOD | {"exp": "never"}),
    "an end in a thousand years": signed(GOOD | {"exp": NOW + 10**10}),
    "an end before its beginning": signed(GOOD | {"exp": NOW - 1}),
    "no beginning": signed(without("iat")),
    "a beginning in the future": signed(GOOD | {"iat": NOW + 100}),
    "namespaces as a text": signed(GOOD | {"namespaces": "*"}),
    "an attempt without its job": signed(GOOD | {"aud": "attempt", "namespace": "a", "attempt": 1}),
    "an attempt as a text": signed(GOOD | {"aud": "attempt", "namespace": "a", "attempt": "1", "job": "j"}),
    "nothing": "",
    "dots": "..",
    "rubbish": "a.b.c",
    "too long": "a" * 9000,
}


@pytest.mark.parametrize("token", WRONG.values(), ids=WRONG)
async def test_what_is_not_believed(token: str) -> None:
    kept, _ = made()
    with pytest.raises(TokenError) as caught:
        await kept.read(token)
    assert caught.value.fault is Fault.WRONG
    assert str(caught.value) == "the token is wrong"
    assert caught.value.__cause__ is None


async def test_the_good_one_of_the_table_is_good() -> None:
    kept, _ = made()
    assert await kept.read(signed(GOOD)) == ClientClaim("team-a", frozenset({"a"}))


@settings(max_examples=300)
@given(st.data())
def test_no_changed_token_is_believed(data: st.DataObject) -> None:
    token = signed(GOOD)
    place = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.sampled_from("ABCabc019-_."))
    changed = token[:place] + letter + token[place + 1 :]
    kept, _ = made()
    try:
        found = asyncio.run(kept.read(changed))
    except TokenError:
        return
    # The last letter of base64 has bits that say nothing: another spelling of the same signature.
    assert _bytes(changed) == _bytes(token)
    assert found == ClientClaim("team-a", frozenset({"a"}))


def _bytes(token: str) -> list[bytes]:
    return [base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in token.split(".")]


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    assert tokens.key_of(text) is None


def test_a_token_of_kubernetes_is_not_ours() -> None:
    header = base64.urlsafe_b64encode(json.dumps({"alg": "RS256", "kid": "x"}).encode()).decode().rstrip("=")
    assert not is_ours(f"{header}.e30.AAAA")
    assert is_ours(signed(GOOD))
