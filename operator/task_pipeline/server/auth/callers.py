"""Who sends a request: the only words in which the rest of the server speaks of its callers.

Rule: a Caller is what an Authenticator has proved; nothing in it comes from the request unproved. NOBODY is the
caller of public routes, and may do nothing else.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from aiohttp import web

EVERY_NAMESPACE = "*"


class CallerKind(StrEnum):
    """What proved the caller's identity."""

    CLIENT = "client"  # clientId and secret, or a token given for them
    ACCOUNT = "account"  # a Kubernetes service account or user, checked by a TokenReview
    RUNNER = "runner"  # the service account of the HTTP runner
    ATTEMPT = "attempt"  # the token of one attempt of one job
    NOBODY = "nobody"


class Verb(StrEnum):
    """What a caller wants to do to Pipelines."""

    GET = "get"
    LIST = "list"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    CLAIM = "claim"


class Right(NamedTuple):
    """A right in the cluster: a verb on a resource, such as `pods` or `pods/log`, or on the one object `name` of it."""

    verb: str
    group: str
    resource: str
    name: str = ""

    def __str__(self) -> str:
        of = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{self.verb} {of}{'/' if self.name else ''}{self.name}"


@dataclass(frozen=True, slots=True)
class AttemptClaim:
    """The attempt that an attempt token stands for: `job` is the PipelineJob's object name, `uid` its UID."""

    namespace: str
    job: str
    uid: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Caller:
    """One proved caller.

    `name` is for the audit log (a clientId, a Kubernetes user name). `namespaces` are those of its PipelineClient or
    of its attempt; "*" is all of them. `client` is the clientId it is bound to, None when it is bound to none.
    `uid`, `groups` and `extra` are those of a Kubernetes user.
    """

    kind: CallerKind
    name: str
    namespaces: frozenset[str] = frozenset()
    client: str | None = None
    attempt: AttemptClaim | None = None
    uid: str | None = None
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def reaches(self, namespace: str) -> bool:
        """Whether `namespace` is among the caller's own. An ACCOUNT has none: the cluster answers for it."""
        return EVERY_NAMESPACE in self.namespaces or namespace in self.namespaces


NOBODY = Caller(CallerKind.NOBODY, "nobody")
CALLER: web.RequestKey[Caller] = web.RequestKey("caller", Caller)  # for the audit log


class Authenticator(Protocol):
    """Proves who sends a request."""

    async def authenticate(self, request: web.Request) -> Caller:
        """The caller of `request`. Raises ProblemError: 401 when nothing is proved, 429 when there are too many
        attempts, 503 when the control plane cannot be asked."""


class Authorizer(Protocol):
    """Says what a proved caller may do."""

    async def authorize(self, caller: Caller, verb: Verb, namespace: str, client_of_object: str | None = None) -> None:
        """Return when `caller` may do `verb` to Pipelines of `namespace`, which belong to client `client_of_object`
        (None: not about one object). Raises ProblemError: 404 for what is not the caller's own, just as for what does
        not exist; 403 where that reveals nothing; 503 when the control plane cannot be asked."""

    async def require(self, caller: Caller, namespace: str, right: Right) -> None:
        """Return when `caller`, an ACCOUNT, has `right` in `namespace`. Raises ProblemError 403, or 503 as above."""
