"""The session: who has logged in, in a cookie that any replica can read and nobody else can make.

Rule: the cookie holds no credential. It is signed with the server's keys (HS256, as tokens are, for an audience of its
own, so neither can be used as the other) and says who was proved. What that caller may do is asked anew for every
request; a client's session also ends with the secret that it was opened with. Formats: RFC 7519, RFC 6265.
"""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jwt
import msgspec
from aiohttp import web

from task_pipeline.kube.errors import KubeError
from task_pipeline.server.auth.authenticator import unavailable
from task_pipeline.server.auth.callers import Caller, CallerKind
from task_pipeline.server.auth.credentials import Credentials
from task_pipeline.server.auth.gate import Gate, unauthorized
from task_pipeline.server.auth.keys import LEEWAY_SECONDS, KeyRing
from task_pipeline.server.problem import problem
from task_pipeline.server.standing import PROOF

CLIENT_SECONDS = 8 * 3600
ACCOUNT_SECONDS = 3600  # the cluster's word that a token is good is not asked for again in that time
MOST_CHARS = 3800  # browsers drop cookies above 4096 bytes
TYPE = "tp-session+jwt"
_ALGORITHM, _ISSUER, _AUDIENCE = "HS256", "task-pipeline", "session"


class _Claims(msgspec.Struct, kw_only=True):
    sub: str
    jti: str
    iat: int
    exp: int
    kind: CallerKind
    proof: str = ""
    uid: str | None = None
    groups: list[str] = []
    extra: dict[str, list[str]] = {}


@dataclass(frozen=True, slots=True)
class Session:
    """An open session: its caller, the token that its forms carry, and the Unix time of its end."""

    caller: Caller
    csrf: str
    ends: int


SESSION: web.RequestKey[Session] = web.RequestKey("session", Session)


class Sessions:
    """Opens and reads sessions. `now` is Unix time; `secure`: the cookie is for TLS only."""

    def __init__(
        self, ring: KeyRing, credentials: Credentials, gate: Gate, *, now: Callable[[], float], secure: bool
    ) -> None:
        self._ring = ring
        self._credentials = credentials
        self._gate = gate
        self._now = now
        self._secure = secure
        self.cookie = "__Host-task-pipeline" if secure else "task-pipeline"

    async def authenticate(self, request: web.Request) -> Caller:
        """The caller whose session the request belongs to. Raises ProblemError 401, 429, 503."""
        self._gate.enter(request)
        try:
            session = await self._read(request)
        except KubeError as error:
            raise unavailable(error) from None
        if session is None:
            raise unauthorized("you are not logged in, or the session has ended: log in")
        self._gate.pass_caller(f"{session.caller.kind}:{session.caller.name}")
        request[SESSION] = session

        async def prove() -> Caller | None:
            found = await self._read(request)
            return None if found is None else found.caller

        request[PROOF] = prove
        return session.caller

    async def open_for_client(self, client: str, secret: str) -> str:
        """The cookie's header for a client that has just proved itself. Raises KubeError."""
        proof = self._credentials.proof(client, secret)
        return await self._open({"sub": client, "kind": CallerKind.CLIENT, "proof": proof}, CLIENT_SECONDS)

    async def open_for_account(self, caller: Caller, token: str) -> str:
        """Likewise for a Kubernetes user with that token, whose own end is the latest. Raises ProblemError 422 when he
        is in so many groups that no cookie holds them, and KubeError."""
        identity = {
            "sub": caller.name,
            "kind": CallerKind.ACCOUNT,
            "uid": caller.uid,
            "groups": list(caller.groups),
            "extra": {name: list(values) for name, values in caller.extra},
        }
        return await self._open(identity, min(ACCOUNT_SECONDS, _end_of(token) - int(self._now())))

    def closed(self) -> str:
        """The header that takes the cookie away."""
        return self._header("", 0)

    async def _open(self, identity: dict[str, Any], seconds: int) -> str:
        key, now = await self._ring.signer(), int(self._now())
        times = {"iat": now, "exp": now + seconds, "jti": secrets.token_hex(16)}
        claims = {"iss": _ISSUER, "aud": _AUDIENCE, **times, **identity}
        text = jwt.encode(claims, key.secret, _ALGORITHM, headers={"kid": key.id, "typ": TYPE})
        if len(text) > MOST_CHARS:
            raise problem(422, "TooManyGroups", "you are in too many groups for a session: use a service account")
        return self._header(text, seconds)

    def _header(self, value: str, seconds: int) -> str:
        secure = "; Secure" if self._secure else ""
        return f"{self.cookie}={value}; Path=/; Max-Age={max(0, seconds)}; HttpOnly; SameSite=Strict{secure}"

    async def _read(self, request: web.Request) -> Session | None:
        claims = await self._claims(_cookie(request, self.cookie))
        if claims is None:
            return None
        caller = await self._caller(claims)
        if caller is None:
            return None
        return Session(caller, hashlib.sha256(f"csrf:{claims.jti}".encode()).hexdigest(), claims.exp)

    async def _claims(self, text: str) -> _Claims | None:
        """What a cookie says, None when it is not believed, or over."""
        if not text or len(text) > MOST_CHARS:
            return None
        try:
            header = jwt.get_unverified_header(text)
            key_id = header.get("kid")
            key = await self._ring.verifier(key_id) if isinstance(key_id, str) and header.get("typ") == TYPE else None
            if key is None:
                return None
            options: Any = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}  # by our own clock, below
            payload = jwt.decode(
                text, key.secret, algorithms=[_ALGORITHM], audience=_AUDIENCE, issuer=_ISSUER, options=options
            )
            claims = msgspec.convert(payload, _Claims)
        except (jwt.PyJWTError, msgspec.ValidationError, ValueError):
            return None
        now = self._now()
        return claims if claims.iat <= now + LEEWAY_SECONDS and now < claims.exp else None

    async def _caller(self, claims: _Claims) -> Caller | None:
        if claims.kind is CallerKind.ACCOUNT:
            extra = tuple((name, tuple(values)) for name, values in sorted(claims.extra.items()))
            return Caller(claims.kind, claims.sub, uid=claims.uid, groups=tuple(claims.groups), extra=extra)
        namespaces = await self._credentials.proved(claims.sub, claims.proof)
        return None if namespaces is None else Caller(CallerKind.CLIENT, claims.sub, namespaces, claims.sub)


def _cookie(request: web.Request, name: str) -> str:
    """The cookie's value, "" for none; one that is sent twice was not set by us alone."""
    values = []
    for line in request.headers.getall("Cookie", ()):
        for part in line.split(";"):
            key, _, value = part.strip().partition("=")
            if key == name:
                values.append(value)
    return values[0] if len(values) == 1 else ""


def _end_of(token: str) -> int:
    """When a token that the API server has just found good ends; far away if it does not say so."""
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
        return int(claims["exp"])
    except (jwt.PyJWTError, KeyError, TypeError, ValueError):
        return 2**53
