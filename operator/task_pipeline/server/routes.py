"""The route: one line of the table from which the application and the OpenAPI document are made.

Rule: default deny. A route says who may call it at all (`access`); whether this caller may touch this object is the
handler's question to `services.authorizer`.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from aiohttp import web
from pydantic import BaseModel

from task_pipeline.api.common import JOB_PATTERN, SUBDOMAIN_PATTERN
from task_pipeline.server.auth.callers import Authenticator
from task_pipeline.server.call import Call, Reply
from task_pipeline.server.problem import ProblemError

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
FORM = "application/x-www-form-urlencoded"
API = "/api/v1"
MAX_BODY = 3 * 2**20

Handler = Callable[[Call], Awaitable[Reply]]
Refuse = Callable[[web.Request, ProblemError], web.StreamResponse]


class Access(StrEnum):
    """Who may call a route at all."""

    PUBLIC = "public"
    CALLER = "caller"
    ATTEMPT = "attempt"
    SESSION = "session"


class Part(NamedTuple):
    """What a part of a path may be; anything else is a path that does not exist."""

    pattern: str
    length: int
    description: str

    def fits(self, text: str) -> bool:
        """Whether `text` may stand there."""
        return 0 < len(text) <= self.length and re.search(self.pattern, text) is not None


PARTS: Mapping[str, Part] = MappingProxyType(
    {
        "namespace": Part(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", 63, "A Kubernetes namespace."),
        "name": Part(SUBDOMAIN_PATTERN, 253, "Name of the Pipeline."),
        "job": Part(JOB_PATTERN, 63, "Name of the job in its Pipeline."),
        "n": Part(r"^[1-9][0-9]*$", 9, "Number of the attempt, from 1."),
    }
)
ANY_PART = Part(r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$", 253, "A name.")


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path.

    `path` has its parts in braces, each without a slash or a colon: `/pipelines/{name}:cancel`; `PARTS` says what they
    may be. `body` and `query` are validated before the handler runs; `media` are the content types of the body.
    `answers` are the models of the bodies by status, None for no body; `problems` the statuses of problems besides
    those that any route may have. `timeout` is in seconds. `stream` marks a route that is meant to be held open, which
    the cap on concurrent requests does not count. `largest` is how many bytes a body may have. `headers` documents what
    a route reads beyond the usual, name to meaning. A page has `refuse`, which makes its refusals, and is not in the
    OpenAPI document; what needs a session brings its own `authenticator`.
    """

    method: str
    path: str
    handler: Handler
    access: Access
    summary: str
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    answers: Mapping[int, type[BaseModel] | None] = field(default_factory=lambda: {200: None})
    problems: frozenset[int] = frozenset()
    media: tuple[str, ...] = (JSON,)
    timeout: float = 30.0
    stream: bool = False
    largest: int = MAX_BODY
    headers: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    refuse: Refuse | None = None
    authenticator: Authenticator | None = None

    @property
    def parts(self) -> Mapping[str, Part]:
        """The parts of the path in their order."""
        return {name: PARTS.get(name, ANY_PART) for name in re.findall(r"{(\w+)}", self.path)}
