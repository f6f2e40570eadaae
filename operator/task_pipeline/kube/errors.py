"""What can go wrong between the operator and the API server.

Callers act on the class, never on a status code or a text. `Unreachable` is special: the request may or may not have
been carried out, so only a repeatable request may follow it.
"""

from typing import Any

LONGEST_RETRY_AFTER = 60.0  # seconds: whoever asks for more is asked again


class KubeError(Exception):
    """Base of every error of this package."""


class Unreachable(KubeError):
    """No answer: connection refused or lost, a timeout. The request may have been carried out."""


class ApiError(KubeError):
    """The API server answered, and the answer is no.

    Attributes: `status` (HTTP), `reason` (the server's own word, e.g. AlreadyExists), `message`, `retry_after` (s).
    """

    def __init__(self, status: int, reason: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after = retry_after


class NotFound(ApiError):
    """404: the object, its namespace or its resource type does not exist."""


class AlreadyExists(ApiError):
    """409 on create: the name is taken."""


class Conflict(ApiError):
    """409 on a write: somebody else changed the object, or another field manager owns a field."""

    @property
    def of_managers(self) -> bool:
        """True when another field manager owns what an apply wants to set: it stays so until somebody gives in."""
        return self.message.startswith("Apply failed")


class Gone(ApiError):
    """410: the resourceVersion or the continue token is too old; list again."""


class Invalid(ApiError):
    """422 or 400: the object breaks a rule of its schema. It will never be accepted as it is."""


class Forbidden(ApiError):
    """403: missing rights, a quota, an admission plugin or PodSecurity."""

    @property
    def is_quota(self) -> bool:
        """True when a ResourceQuota is exhausted: that passes, the object itself is fine."""
        return "exceeded quota" in self.message

    @property
    def is_terminating(self) -> bool:
        """True when the namespace is being deleted."""
        return "being terminated" in self.message

    @property
    def lacks_account(self) -> bool:
        """True when the pod's service account does not exist, which in a new namespace is so for a moment."""
        return "error looking up service account" in self.message


class Unauthorized(ApiError):
    """401: the credential is missing, expired or revoked."""


class Overloaded(ApiError):
    """429: the server asks to come back later."""


class ServerError(ApiError):
    """5xx: the server's own trouble; the request may have been carried out."""


_BY_STATUS: dict[int, type[ApiError]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: Overloaded,
}


def from_status(status: int, body: Any, retry_after: str | None = None) -> ApiError:
    """The error for an HTTP status and the decoded body (a metav1.Status, or anything else)."""
    detail = body if isinstance(body, dict) else {}
    reason = str(detail.get("reason") or "")
    message = str(detail.get("message") or body or "no message")[:2000]
    kind = _BY_STATUS.get(status, ServerError if status >= 500 else ApiError)
    if reason == "AlreadyExists":
        kind = AlreadyExists
    seconds = min(LONGEST_RETRY_AFTER, float(retry_after)) if retry_after and retry_after.isdigit() else None
    return kind(status, reason, message, seconds)


def is_transient(error: KubeError) -> bool:
    """True when the same request may succeed later although nothing about it changes."""
    return isinstance(error, Unreachable | Overloaded | ServerError | Unauthorized)
