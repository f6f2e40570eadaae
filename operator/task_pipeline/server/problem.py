"""Problems: the one form in which the server says no (RFC 9457, application/problem+json).

Rule: a handler says no by raising ProblemError, and nothing else; errors of the API server are translated here, once.
A problem names a `reason` that programs can act on, a `detail` for people with the way out, and every fault with its
path. It never holds a trace, a secret or what a caller may not know.
"""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from task_pipeline.kube.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    KubeError,
    NotFound,
)

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 2


class Fault(BaseModel):
    """One fault of a request."""

    model_config = ConfigDict(frozen=True)

    path: str = Field(description="Where the fault is, such as spec.jobs[3].timeout or query.limit.")
    message: str = Field(description="What is wrong, and what must be.")


class Problem(BaseModel):
    """Why a request was not carried out (RFC 9457)."""

    model_config = ConfigDict(frozen=True)

    type: str = Field(default="about:blank", description="Always about:blank: the status and the reason say it.")
    title: str = Field(description="The status in words.")
    status: int = Field(description="The HTTP status.")
    reason: str = Field(description="Why, as one CamelCase word for programs.")
    detail: str = Field(description="Why, as a sentence for people, with the way out.")
    instance: str = Field(description="The path that was asked for.")
    requestId: str = Field(description="Identifies the request in the server's log.")
    errors: list[Fault] = Field(default_factory=list, description="Every fault of the request, with its path.")


class ProblemError(Exception):
    """A request that is not carried out. `errors` are (path, message); `retry_after` is in seconds."""

    def __init__(
        self,
        status: int,
        reason: str,
        detail: str,
        errors: Iterable[tuple[str, str]] = (),
        retry_after: float | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {reason}: {detail}")
        self.status = status
        self.reason = reason
        self.detail = detail
        self.errors = tuple(errors)
        self.retry_after = retry_after
        self.headers = dict(headers or {})

    def document(self, instance: str, request_id: str) -> Problem:
        """The body of the answer."""
        return Problem(
            title=HTTPStatus(self.status).phrase,
            status=self.status,
            reason=self.reason,
            detail=self.detail,
            instance=instance,
            requestId=request_id,
            errors=[Fault(path=path, message=message) for path, message in self.errors],
        )


def problem(
    status: int,
    reason: str,
    detail: str,
    errors: Iterable[tuple[str, str]] = (),
    retry_after: float | None = None,
) -> ProblemError:
    """A problem to raise: `raise problem(404, "NotFound", "...")`."""
    return ProblemError(status, reason, detail, errors, retry_after)


def from_kube(error: KubeError) -> ProblemError:
    """The problem for an error of the API server that is final, or stayed after the server's own retries."""
    match error:
        case NotFound():
            return problem(404, error.reason or "NotFound", error.message)
        case AlreadyExists():
            return problem(409, "AlreadyExists", error.message)
        case Gone():
            return problem(410, "Gone", "the continue token is too old: start the list again without it")
        case Invalid():
            return problem(422, error.reason or "Invalid", error.message)
        case Forbidden():
            return problem(403, error.reason or "Forbidden", error.message)
        case Conflict():
            return problem(503, "Conflict", "others keep changing the object: ask again", retry_after=RETRY_SECONDS)
        case _:
            return away(error)


def away(error: Any = None) -> ProblemError:
    """503: the API server cannot be reached, is overloaded, or does not accept this server's own credential."""
    asked = error.retry_after if isinstance(error, ApiError) else None
    text = "the Kubernetes API server cannot be reached or is overloaded: ask again"
    return problem(503, "ControlPlaneUnavailable", text, retry_after=max(asked or 0, RETRY_SECONDS))
