"""One request as a handler sees it, and its answer.

Rule: a handler never looks at the raw request unless it writes a stream; all else has been decoded and checked.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from task_pipeline.server.auth.callers import Caller
from task_pipeline.server.services import Services


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `body` and `query` are instances of the route's models, None where it names none.

    `path` holds the parts of the path by name. `headers` ignores case. `request` is for streams (SSE, logs) only.
    """

    services: Services
    caller: Caller
    path: Mapping[str, str]
    body: Any
    query: Any
    headers: Mapping[str, str]
    request_id: str
    request: web.Request


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer. `body`: None for none, a pydantic model, plain JSON data, bytes of JSON that are ready to be sent, or
    a response that the handler has prepared and written itself.
    """

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
