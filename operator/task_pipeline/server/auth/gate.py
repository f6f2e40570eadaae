"""The gate in front of all authentication: whose request it is by address, and whether it has to wait.

Rule: what is refused here has cost a table look-up and nothing else.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from task_pipeline.server.auth import headers
from task_pipeline.server.auth.limits import Buckets, Failures, Patience, Rate
from task_pipeline.server.problem import ProblemError, problem

REALM = 'realm="task-pipeline"'
_WRONG = (
    "the client id or the secret is wrong, or the secret is no longer good (a client id consists of lower-case "
    "letters, digits, '-' and '.')"
)
_WRONG_TOKEN = "the token is not good here: wrong, issued for another audience, or revoked"  # noqa: S105
_EXPIRED = "the token has expired: get a new one at /oauth2/token"


@dataclass(frozen=True, slots=True)
class Limits:
    """How often one address and one caller may ask, and how wrong credentials are slowed down."""

    address: Rate = field(default_factory=lambda: Rate(per_second=100, burst=400))
    caller: Rate = field(default_factory=lambda: Rate(per_second=100, burst=400))
    patience: Patience = field(default_factory=Patience)


class Gate:
    """Counts requests and failures. `proxies` are networks whose X-Forwarded-For is believed; `clock` in seconds."""

    def __init__(self, limits: Limits, proxies: tuple[headers.Network, ...], clock: Callable[[], float]) -> None:
        self._proxies = proxies
        self._addresses = Buckets(limits.address, clock)
        self._callers = Buckets(limits.caller, clock)
        self._failures = Failures(limits.patience, clock)

    def address(self, request: web.Request) -> str:
        """The address that the request counts for."""
        return headers.address(request.remote, request.headers.getall("X-Forwarded-For", ()), self._proxies)

    def enter(self, request: web.Request) -> str:
        """Let a request in and return its address. Raises ProblemError 429."""
        address = self.address(request)
        if (wait := self._addresses.take(address)) > 0:
            raise too_many("requests from this address", wait)
        return address

    def pass_caller(self, name: str) -> None:
        """Count a request of a proved caller. Raises ProblemError 429."""
        if (wait := self._callers.take(name)) > 0:
            raise too_many("requests of this caller", wait)

    def must_wait(self, address: str) -> ProblemError | None:
        """The refusal for a guess that is not even looked at, None when it may be."""
        wait = self._failures.wait(address)
        return too_many("wrong credentials from this address", wait) if wait > 0 else None

    def wrong_secret(self, address: str) -> ProblemError:
        """Count a wrong client id or secret, and say so: always in the same words."""
        return self._wrong(address, _WRONG, f'Basic {REALM}, charset="UTF-8"')

    def wrong_token(self, address: str) -> ProblemError:
        """Count a wrong token, and say so."""
        return self._wrong(address, _WRONG_TOKEN, f'Bearer {REALM}, error="invalid_token"')

    def _wrong(self, address: str, text: str, challenge: str) -> ProblemError:
        refusal = self.must_wait(address)
        self._failures.failed(address)
        return refusal or unauthorized(text, challenge)


def unauthorized(text: str, challenge: str = f"Bearer {REALM}", reason: str = "Unauthorized") -> ProblemError:
    """401 with the challenge that RFC 9110 wants."""
    return ProblemError(401, reason, text, headers={"WWW-Authenticate": challenge})


def expired() -> ProblemError:
    """401 for a token that was good; no guess, so nothing is counted."""
    return unauthorized(_EXPIRED, f'Bearer {REALM}, error="invalid_token"', "TokenExpired")


def too_many(what: str, wait: float) -> ProblemError:
    """429 with the time to wait."""
    return problem(429, "TooManyRequests", f"too many {what}: wait {wait:.0f} s or more", retry_after=max(1.0, wait))
