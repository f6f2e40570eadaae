"""Signed tokens: what the server says of a caller, so that any replica believes it later without asking anybody.

Rule: HS256 and nothing else; each purpose has its audience; every claim is typed and required. HS256 because signer
and verifier are the same program with the same Secret: a public key would serve nobody, a signature would cost twenty
times as much, and a library that knows one family of algorithms cannot confuse two.
"""

import re
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import jwt
import msgspec

from task_pipeline.server.auth.callers import AttemptClaim
from task_pipeline.server.auth.keys import LEEWAY_SECONDS, LONGEST_TOKEN_SECONDS, Key, KeyRing

ISSUER = "task-pipeline"
ALGORITHM = "HS256"
TYPE = "tp+jwt"
CLIENT_SECONDS = 900
MOST_CHARS = 8192
MOST_NAMESPACE_CHARS = 2000  # a header has to fit into what proxies take

_KEY_ID = re.compile(r"tp-[0-9a-f]{16}")


class Audience(StrEnum):
    """What a token is for."""

    CLIENT = "task-pipeline"
    ATTEMPT = "attempt"


class Fault(StrEnum):
    """Why a token is not believed."""

    EXPIRED = "expired"
    WRONG = "wrong"


class TokenError(Exception):
    """A token that is not believed."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(f"the token is {fault}")
        self.fault = fault


@dataclass(frozen=True, slots=True)
class ClientClaim:
    """A client, and its namespaces; None when there were too many for a token."""

    client: str
    namespaces: frozenset[str] | None


class _Claims(msgspec.Struct, kw_only=True):
    iss: str
    aud: str
    sub: str
    jti: str
    iat: int
    exp: int
    namespaces: list[str] | None = None
    namespace: str | None = None
    job: str | None = None
    attempt: int | None = None


class Tokens:
    """Signs and reads tokens with the keys of `ring`. `now` is Unix time in seconds."""

    def __init__(self, ring: KeyRing, *, now: Callable[[], float]) -> None:
        self._ring = ring
        self._now = now

    async def for_client(self, client: str, namespaces: Collection[str]) -> tuple[str, int]:
        """A token for the client, and the seconds that it lives. Raises KubeError."""
        claims: dict[str, Any] = {"sub": client}
        if sum(len(name) + 3 for name in namespaces) <= MOST_NAMESPACE_CHARS:
            claims["namespaces"] = sorted(namespaces)
        return await self._sign(Audience.CLIENT, claims, CLIENT_SECONDS), CLIENT_SECONDS

    async def for_attempt(self, claim: AttemptClaim, seconds: int = LONGEST_TOKEN_SECONDS) -> str:
        """A token for one attempt of one job, good for `seconds`, at most a week. Raises KubeError."""
        claims = {"sub": claim.uid, "namespace": claim.namespace, "job": claim.job, "attempt": claim.attempt}
        return await self._sign(Audience.ATTEMPT, claims, max(1, min(seconds, LONGEST_TOKEN_SECONDS)))

    async def read(self, token: str) -> ClientClaim | AttemptClaim:
        """What a token says. Raises TokenError when it is not believed, KubeError when no key can be read."""
        key_id = key_of(token)
        key = None if key_id is None else await self._ring.verifier(key_id)
        if key is None:
            raise TokenError(Fault.WRONG)
        claims = _verified(token, key)
        now = self._now()
        if claims.exp <= claims.iat or claims.exp - claims.iat > LONGEST_TOKEN_SECONDS:
            raise TokenError(Fault.WRONG)
        if claims.iat > now + LEEWAY_SECONDS:
            raise TokenError(Fault.WRONG)
        if claims.exp <= now - LEEWAY_SECONDS:
            raise TokenError(Fault.EXPIRED)
        return _meaning(claims)

    async def _sign(self, audience: Audience, claims: dict[str, Any], seconds: int) -> str:
        key, now = await self._ring.signer(), int(self._now())
        common = {"iss": ISSUER, "aud": audience.value, "iat": now, "exp": now + seconds, "jti": secrets.token_hex(16)}
        return jwt.encode(common | claims, key.secret, ALGORITHM, headers={"kid": key.id, "typ": TYPE})


def is_ours(token: str) -> bool:
    """Whether a token claims to be one of these; others may be Kubernetes' own."""
    return key_of(token) is not None


def key_of(token: str) -> str | None:
    """The key id that a token names, None when it is none of ours by its form."""
    if len(token) > MOST_CHARS:
        return None
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError):
        return None
    key_id = header.get("kid")
    if header.get("alg") != ALGORITHM or header.get("typ") != TYPE or not isinstance(key_id, str):
        return None
    return key_id if _KEY_ID.fullmatch(key_id) else None


def _verified(token: str, key: Key) -> _Claims:
    """The claims of a token with a good signature; times are judged by our own clock, not by the library's."""
    options: Any = {"verify_exp": False, "verify_iat": False, "verify_nbf": False, "strict_aud": False}
    audiences = [audience.value for audience in Audience]
    try:
        payload = jwt.decode(
            token, key.secret, algorithms=[ALGORITHM], audience=audiences, issuer=ISSUER, options=options
        )
        return msgspec.convert(payload, _Claims)
    except (jwt.PyJWTError, msgspec.ValidationError, ValueError):
        raise TokenError(Fault.WRONG) from None  # the cause may quote the token


def _meaning(claims: _Claims) -> ClientClaim | AttemptClaim:
    if claims.aud == Audience.CLIENT:
        return ClientClaim(claims.sub, None if claims.namespaces is None else frozenset(claims.namespaces))
    if claims.namespace is None or claims.job is None or claims.attempt is None:
        raise TokenError(Fault.WRONG)
    return AttemptClaim(claims.namespace, claims.job, claims.sub, claims.attempt)
