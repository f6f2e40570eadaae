"""Client ids and secrets, from PipelineClients and the Secrets that they name.

Rule: a login touches memory only. All clients are read at once and kept for seconds, so that an unknown id costs no
more and no less than a wrong secret, and strangers cannot make the server ask the API server about ids of their
choice. What is known may be a minute old when it says yes while the API server is away; it never says no from a
reading that could not be renewed.
"""

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from task_pipeline.api.resources import PIPELINE_CLIENTS
from task_pipeline.api.times import parse_time
from task_pipeline.kube.cluster import Cluster
from task_pipeline.kube.errors import Forbidden, Gone, KubeError, NotFound
from task_pipeline.server.auth import secrets, vault
from task_pipeline.server.auth.asking import Flights, ask
from task_pipeline.server.auth.secrets import StoredHash
from task_pipeline.server.auth.vault import PEPPER_SECRET, TYPE_SERVER

TYPE_CLIENT = "taskpipeline.dev/client-secret"
HASH = "hash"
FRESH_SECONDS = 5.0
AGAIN_SECONDS = 1.0  # a refused login makes a replica read again, at most this often
STALE_SECONDS = 60.0
FAILED_SECONDS = 2.0  # after a reading that failed the old one serves without another attempt
SECRET_SECONDS = 300.0  # a Secret is read again after that time; a new reference is read at once
MOST_CLIENTS = 10_000
_AT_ONCE = 8

log = logging.getLogger(__name__)


class _Ref(msgspec.Struct):
    name: str


class _Credential(msgspec.Struct, rename="camel"):
    secret_ref: _Ref
    not_after: str | None = None


class _Spec(msgspec.Struct):
    namespaces: list[str]
    credentials: list[_Credential] = []


class _Meta(msgspec.Struct):
    name: str


class _Client(msgspec.Struct):
    metadata: _Meta
    spec: _Spec


class _ListMeta(msgspec.Struct):
    continue_: str = msgspec.field(default="", name="continue")


class _Page(msgspec.Struct):
    items: list[msgspec.Raw]
    metadata: _ListMeta


_page = msgspec.json.Decoder(_Page).decode
_client = msgspec.json.Decoder(_Client).decode


@dataclass(frozen=True, slots=True)
class Login:
    """A client that may log in: its id, its namespaces, and the hashes of its secrets."""

    client: str
    namespaces: frozenset[str]
    hashes: tuple[StoredHash, ...]


_NOBODY = Login("", frozenset(), secrets.NOBODYS)


@dataclass(frozen=True, slots=True)
class _Kept:
    time: float
    digest: bytes | None


class Credentials:
    """Checks client ids and secrets. `now` is the time of day in UTC, `clock` a steady one in seconds."""

    def __init__(
        self, cluster: Cluster, namespace: str, *, now: Callable[[], datetime], clock: Callable[[], float]
    ) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._now = now
        self._clock = clock
        self._pepper = b""
        self._logins: Mapping[str, Login] = {}
        self._secrets: dict[str, _Kept] = {}
        self._read_at = float("-inf")
        self._failure: tuple[float, KubeError] | None = None
        self._flights: Flights[str, None] = Flights()

    async def check(self, client: str, secret: str) -> Login | None:
        """The client with that id and secret, None when there is none. Raises KubeError when it cannot be said."""
        problem = await self._renew(FRESH_SECONDS)
        presented = secrets.digest(self._pepper, client, secret)
        login = self._match(client, presented)
        if login is not None:
            return login
        problem = problem or await self._renew(AGAIN_SECONDS)
        login = self._match(client, presented)
        if login is None and problem is not None:
            raise problem
        return login

    async def namespaces(self, client: str) -> frozenset[str] | None:
        """The namespaces of a client, None when there is no such client. Raises KubeError."""
        problem = await self._renew(FRESH_SECONDS)
        login = self._logins.get(client)
        if login is None and problem is not None:
            raise problem
        return None if login is None else login.namespaces

    def proof(self, client: str, secret: str) -> str:
        """What a session remembers of a secret that has just been found right: neither it nor what is stored of it."""
        return _proof(secrets.digest(self._pepper, client, secret))

    async def proved(self, client: str, proof: str) -> frozenset[str] | None:
        """The namespaces of the client while the secret of `proof` is one of its own, else None. Raises KubeError."""
        problem = await self._renew(FRESH_SECONDS)
        login, now = self._logins.get(client, _NOBODY), self._now()
        if any(hmac.compare_digest(_proof(one.digest), proof) for one in login.hashes if now < one.not_after):
            return login.namespaces
        if problem is not None:
            raise problem
        return None

    def _match(self, client: str, presented: bytes) -> Login | None:
        login = self._logins.get(client, _NOBODY)
        return login if secrets.matches(presented, login.hashes, self._now()) else None

    async def _renew(self, seconds: float) -> KubeError | None:
        """Read again what is older than `seconds`; returns why that failed while the old reading still serves."""
        age = self._clock() - self._read_at
        if age < seconds:
            return None
        if age < STALE_SECONDS and self._failure and self._clock() - self._failure[0] < FAILED_SECONDS:
            return self._failure[1]
        try:
            await self._flights.join("read", self._read)
        except KubeError as error:
            self._failure = (self._clock(), error)
            if age >= STALE_SECONDS:
                raise
            return error
        return None

    async def _read(self) -> None:
        if not self._pepper:
            self._pepper = await read_pepper(self._cluster, self._namespace)
        clients = await self._list()
        named = {credential.secret_ref.name for one in clients for credential in one.spec.credentials}
        kept = await self._read_secrets(named)
        self._secrets = kept
        self._logins = {one.metadata.name: _login(one, kept) for one in clients}
        self._read_at = self._clock()

    async def _list(self) -> list[_Client]:
        found: list[_Client] = []
        token: str | None = None
        while len(found) < MOST_CLIENTS:
            page = await self._page(token)
            found.extend(client for client in map(_decoded, page.items) if client is not None)
            token = page.metadata.continue_ or None
            if token is None:
                return found
        log.error("more than %d PipelineClients: those beyond cannot log in", MOST_CLIENTS)
        return found

    async def _page(self, token: str | None) -> _Page:
        try:
            return _page(
                await ask(
                    lambda: self._cluster.list(PIPELINE_CLIENTS, self._namespace, limit=500, continue_token=token)
                )
            )
        except Gone:
            raise KubeError("the list of PipelineClients changed while it was read") from None

    async def _read_secrets(self, named: set[str]) -> dict[str, _Kept]:
        """What is known of the Secrets `named`; raises KubeError when one that was never read cannot be read now."""
        now, gate = self._clock(), asyncio.Semaphore(_AT_ONCE)

        async def one(name: str) -> tuple[str, _Kept]:
            known = self._secrets.get(name)
            if known is not None and known.digest is not None and now - known.time < SECRET_SECONDS:
                return name, known
            async with gate:
                try:
                    return name, _Kept(now, await self._read_secret(name))
                except KubeError:
                    if known is None:
                        raise
                    return name, known

        results = await asyncio.gather(*map(one, sorted(named)), return_exceptions=True)
        kept: dict[str, _Kept] = {}
        for result in results:
            if isinstance(result, BaseException):
                raise result
            kept[result[0]] = result[1]
        return kept

    async def _read_secret(self, name: str) -> bytes | None:
        try:
            sealed = await vault.read(self._cluster, self._namespace, name)
        except (NotFound, Forbidden) as error:
            log.warning("Secret %s, which a PipelineClient names, cannot be read: %s", name, error.reason)
            return None
        found = secrets.from_data(sealed.data.get(HASH)) if sealed.type == TYPE_CLIENT else None
        if found is None:
            log.warning("Secret %s, which a PipelineClient names, holds no hash of a client secret", name)
        return found


def _proof(digest: bytes) -> str:
    return hashlib.sha256(b"session:" + digest).hexdigest()


async def read_pepper(cluster: Cluster, namespace: str) -> bytes:
    """The key of the hashes, made when it is not there yet. Raises KubeError."""
    try:
        sealed = await vault.read(cluster, namespace, PEPPER_SECRET)
    except NotFound:
        fresh = {"pepper": secrets.new_pepper()}
        await vault.create(cluster, namespace, vault.manifest(PEPPER_SECRET, TYPE_SERVER, fresh, immutable=True))
        sealed = await vault.read(cluster, namespace, PEPPER_SECRET)
    pepper = sealed.data.get("pepper", b"")
    if len(pepper) < secrets.PEPPER_BYTES:
        raise KubeError(f"Secret {PEPPER_SECRET} holds no pepper of {secrets.PEPPER_BYTES} bytes: delete or mend it")
    return pepper


def _decoded(raw: msgspec.Raw) -> _Client | None:
    try:
        return _client(raw)
    except msgspec.ValidationError as error:
        log.warning("a PipelineClient that cannot be read is passed over: %s", error)
        return None


def _login(client: _Client, kept: Mapping[str, _Kept]) -> Login:
    return Login(
        client.metadata.name, frozenset(client.spec.namespaces), secrets.padded(_hashes(client.spec.credentials, kept))
    )


def _hashes(credentials: Sequence[_Credential], kept: Mapping[str, _Kept]) -> list[StoredHash]:
    found = []
    for credential in credentials[: secrets.MOST_CREDENTIALS]:
        digest = kept[credential.secret_ref.name].digest
        if digest is None:
            continue
        try:
            until = secrets.FOREVER if credential.not_after is None else parse_time(credential.not_after)
        except ValueError:
            continue  # a time that cannot be read has passed
        found.append(StoredHash(digest, until))
    return found
