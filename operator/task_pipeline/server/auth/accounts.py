"""Callers that Kubernetes knows: their tokens by TokenReview, their rights by SubjectAccessReview.

Rule: the API server answers both; its answers are kept for seconds, and of many equal questions at once one is asked.
A token has to be issued for the audience `task-pipeline`: one for the API server or for another program that leaks
here, or from here, opens nothing. Neither a token nor the API server's words about it are ever logged or passed on.
"""

import asyncio
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from task_pipeline.api.group import GROUP
from task_pipeline.api.resources import ACCESS_REVIEWS, PIPELINES, TOKEN_REVIEWS
from task_pipeline.kube.cluster import Cluster
from task_pipeline.kube.errors import KubeError, is_transient
from task_pipeline.server.auth.asking import Flights, ask
from task_pipeline.server.auth.callers import EVERY_NAMESPACE, Caller, Right, Verb
from task_pipeline.server.auth.memory import Memory

AUDIENCE = "task-pipeline"
KEEP_SECONDS = 10.0
MOST_ENTRIES = 10_000
MOST_CHARS = 8192
_AT_ONCE = 16
_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")

# What the caller would have to be allowed to do with kubectl; the server changes objects by patches.
_VERBS = {Verb.GET: "get", Verb.LIST: "list", Verb.CREATE: "create", Verb.UPDATE: "patch", Verb.DELETE: "delete"}

T = TypeVar("T")


class _User(msgspec.Struct):
    username: str = ""
    uid: str = ""
    groups: list[str] = []
    extra: dict[str, list[str]] = {}


class _TokenStatus(msgspec.Struct):
    authenticated: bool = False
    user: _User = msgspec.field(default_factory=_User)
    audiences: list[str] = []


class _TokenReview(msgspec.Struct):
    status: _TokenStatus


class _AccessStatus(msgspec.Struct):
    allowed: bool = False


class _AccessReview(msgspec.Struct):
    status: _AccessStatus


@dataclass(frozen=True, slots=True)
class Account:
    """A user as the API server knows it; None of its fields is a secret."""

    username: str
    uid: str
    groups: tuple[str, ...]
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class _Answer:
    account: Account | None


class Accounts:
    """Asks `cluster` about tokens and rights. `clock` is a steady clock in seconds."""

    def __init__(self, cluster: Cluster, *, clock: Callable[[], float]) -> None:
        self._cluster = cluster
        self._tokens: Memory[bytes, _Answer] = Memory(KEEP_SECONDS, MOST_ENTRIES, clock)
        self._rights: Memory[tuple[Caller, str, Right], bool] = Memory(KEEP_SECONDS, MOST_ENTRIES, clock)
        self._token_flights: Flights[bytes, Account | None] = Flights()
        self._right_flights: Flights[tuple[Caller, str, Right], bool] = Flights()
        self._gate = asyncio.Semaphore(_AT_ONCE)

    def is_known(self, token: str) -> bool:
        """Whether the token can be judged without asking: reviewed seconds ago, or no token by its form."""
        return not is_token(token) or self._tokens.get(_key(token)) is not None

    async def account(self, token: str) -> Account | None:
        """Whom a token stands for, None when it is not good here. Raises KubeError."""
        if not is_token(token):
            return None
        key = _key(token)
        known = self._tokens.get(key)
        if known is not None:
            return known.account
        found = await self._token_flights.join(key, lambda: self._review(token))
        self._tokens.put(key, _Answer(found))
        return found

    async def may(self, caller: Caller, verb: Verb, namespace: str) -> bool:
        """Whether the user may do that to Pipelines of the namespace ("*": of all). Raises KubeError."""
        word = _VERBS.get(verb)
        if word is None:
            return False
        return await self.has(caller, Right(word, GROUP, PIPELINES.plural), namespace)

    async def has(self, caller: Caller, right: Right, namespace: str) -> bool:
        """Whether the user has that right in the namespace ("*": in all). Raises KubeError."""
        key = (caller, namespace, right)
        known = self._rights.get(key)
        if known is not None:
            return known
        found = await self._right_flights.join(key, lambda: self._access(caller, right, namespace))
        self._rights.put(key, found)
        return found

    async def _review(self, token: str) -> Account | None:
        spec = {"token": token, "audiences": [AUDIENCE]}
        raw = await self._post(TOKEN_REVIEWS, spec)
        status = msgspec.json.decode(raw, type=_TokenReview).status
        if not status.authenticated or AUDIENCE not in status.audiences or not status.user.username:
            return None
        user = status.user
        extra = tuple((name, tuple(values)) for name, values in sorted(user.extra.items()))
        return Account(user.username, user.uid, tuple(sorted(user.groups)), extra)

    async def _access(self, caller: Caller, right: Right, namespace: str) -> bool:
        resource, _, subresource = right.resource.partition("/")
        wanted = {"group": right.group, "resource": resource, "verb": right.verb}
        if subresource:
            wanted["subresource"] = subresource
        if right.group == GROUP:
            wanted["version"] = PIPELINES.version
        if right.name:
            wanted["name"] = right.name
        if namespace != EVERY_NAMESPACE:
            wanted["namespace"] = namespace
        spec: dict[str, Any] = {"user": caller.name, "groups": list(caller.groups), "resourceAttributes": wanted}
        if caller.uid:
            spec["uid"] = caller.uid
        if caller.extra:  # authorizers may read it: scopes narrow what a token is good for
            spec["extra"] = {name: list(values) for name, values in caller.extra}
        raw = await self._post(ACCESS_REVIEWS, spec)
        return msgspec.json.decode(raw, type=_AccessReview).status.allowed

    async def _post(self, resource: Any, spec: dict[str, Any]) -> bytes:
        body = {"apiVersion": resource.api_version, "kind": resource.kind, "spec": spec}

        async def question() -> bytes:
            async with self._gate:  # inside of the question, so that waiting here ends in time, too
                return await self._cluster.post(resource, None, body)

        try:
            return await ask(question)
        except KubeError as error:
            raise _without_words(error) from None


def is_token(token: str) -> bool:
    """Whether it has the form of a token that Kubernetes issues: a JWT of bounded length."""
    return len(token) <= MOST_CHARS and _JWT.fullmatch(token) is not None


def _key(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _without_words(error: KubeError) -> KubeError:
    """The error without the server's text, which may quote what was sent."""
    kind = type(error).__name__
    return KubeError(
        f"a review was not answered: {kind}{'' if is_transient(error) else ', see the rights of the server'}"
    )
