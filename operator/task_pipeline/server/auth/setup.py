"""Everything that authentication needs, made once at the start of a server process."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from task_pipeline.kube.cluster import Cluster
from task_pipeline.server.auth.accounts import Accounts
from task_pipeline.server.auth.authenticator import RequestAuthenticator
from task_pipeline.server.auth.authorizer import RequestAuthorizer
from task_pipeline.server.auth.credentials import Credentials
from task_pipeline.server.auth.gate import Gate, Limits
from task_pipeline.server.auth.headers import networks
from task_pipeline.server.auth.keys import KeyRing
from task_pipeline.server.auth.token_endpoint import TokenEndpoint
from task_pipeline.server.auth.tokens import Tokens
from task_pipeline.server.routes import Route


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class AuthConfig:
    """`namespace` is the operator's. `runner`: "namespace/name" of the HTTP runner's service account, None for none.

    `proxies` are networks (CIDR) whose X-Forwarded-For is believed.
    """

    namespace: str
    runner: str | None = None
    proxies: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Auth:
    """The parts that the rest of the server uses. `ring` is for whoever signs with its keys, or rotates them."""

    authenticator: RequestAuthenticator
    authorizer: RequestAuthorizer
    tokens: Tokens
    gate: Gate
    ring: KeyRing
    credentials: Credentials
    routes: tuple[Route, ...]


def set_up(
    cluster: Cluster,
    config: AuthConfig,
    *,
    now: Callable[[], datetime] = _now,
    clock: Callable[[], float] = time.monotonic,
) -> Auth:
    """The parts, made of each other; nothing is read yet. Raises ValueError for a setting that is wrong."""
    ring = KeyRing(cluster, config.namespace, now=lambda: now().timestamp(), clock=clock)
    tokens = Tokens(ring, now=lambda: now().timestamp())
    credentials = Credentials(cluster, config.namespace, now=now, clock=clock)
    accounts = Accounts(cluster, clock=clock)
    gate = Gate(config.limits, networks(config.proxies), clock)
    authenticator = RequestAuthenticator(credentials, tokens, accounts, gate, runner=_user(config.runner))
    endpoint = TokenEndpoint(authenticator, tokens, gate)
    return Auth(authenticator, RequestAuthorizer(accounts), tokens, gate, ring, credentials, (endpoint.route(),))


def _user(account: str | None) -> str | None:
    """The user name of a service account "namespace/name"."""
    if account is None:
        return None
    namespace, slash, name = account.partition("/")
    if not slash or not namespace or not name or "/" in name:
        raise ValueError(f"the runner's service account has to be NAMESPACE/NAME, not {account!r}")
    return f"system:serviceaccount:{namespace}:{name}"
