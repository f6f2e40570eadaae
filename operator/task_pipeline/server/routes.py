"""The route: one line of the table from which the application and the OpenAPI document are made.

Rule: default deny. A route says who may call it at all (`access`); whether this caller may touch this object is the
handler's question to `services.authorizer`.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import BaseModel

from task_pipeline.server.call import Call, Reply

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
FORM = "application/x-www-form-urlencoded"
API = "/api/v1"

Handler = Callable[[Call], Awaitable[Reply]]


class Access(StrEnum):
    """Who may call a route at all."""

    PUBLIC = "public"
    CALLER = "caller"
    ATTEMPT = "attempt"


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path.

    `path` has its parts in braces, each without a slash or a colon: `/pipelines/{name}:cancel`. `body` and `query` are
    validated before the handler runs; `media` are the content types of the body. `answers` are the models of the
    bodies by status, None for no body; `problems` the statuses of problems besides those that any route may have.
    `timeout` is in seconds. `stream` marks a route that is meant to be held open, which the cap on concurrent requests
    does not count. `headers` documents what a route reads beyond the usual, name to meaning.
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
    headers: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
