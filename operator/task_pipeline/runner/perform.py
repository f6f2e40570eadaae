"""One attempt of an HTTP job: from what the claim says to the request, and from its answer to the end.

Rule: whatever happens on the way is an end with a message; only being cancelled is not. The user's headers, the
secret ones and the protocol's own are sent, and nothing that the runner itself could be impersonated with.
"""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from task_pipeline.api.reasons import Reason
from task_pipeline.kinds.http import HttpParams
from task_pipeline.kinds.registry import parse
from task_pipeline.runner.ending import Ending, ending_of, failed
from task_pipeline.runner.resolver import Unresolvable
from task_pipeline.runner.send import Broken, Request, Sender
from task_pipeline.runner.targets import Refused

KEY_HEADER = "Idempotency-Key"
CALLBACK_HEADER = "Task-Pipeline-Callback"
TOKEN_HEADER = "Task-Pipeline-Token"  # noqa: S105 (the name of a header)


@dataclass(frozen=True, slots=True)
class Work:
    """What a claim says. `url` and `token` are those of the attempt at the REST server, `seconds` its time left.

    `secret_headers` are the values that the server has read; with `fault` it refuses to, and the attempt fails.
    """

    uid: str
    attempt: int
    kind: str
    version: str
    params: Mapping[str, object]
    url: str
    token: str = field(repr=False)
    seconds: float
    secret_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    fault: str | None = None


Perform = Callable[[Work, Sender], Coroutine[Any, Any, Ending | None]]


async def perform(work: Work, sender: Sender) -> Ending | None:
    """Send the request; how the attempt ends, or None when the service has accepted it and will report itself."""
    try:
        params = parse(work.kind, work.version, work.params)
    except (LookupError, ValidationError) as error:
        name = f"{work.kind} {work.version}"
        return Ending(f"this runner cannot read the params of {name}: {error}", Reason.CONFIG_ERROR)
    if not isinstance(params, HttpParams):
        return Ending(f"this runner does not know the kind {work.kind}: upgrade it", Reason.CONFIG_ERROR)
    if work.fault is not None:
        return Ending(work.fault, Reason.CONFIG_ERROR)
    lacking = sorted(set(params.secrets()) - set(work.secret_headers))
    if lacking:
        return Ending(f"the REST server gave no value for {', '.join(lacking)}: upgrade it", Reason.CONFIG_ERROR)
    try:
        return ending_of(await sender.send(request_for(work, params)), params)
    except (Refused, Unresolvable, Broken) as error:
        return failed(params, str(error))


def request_for(work: Work, params: HttpParams) -> Request:
    """The request of this attempt."""
    headers = {name: value for name, value in params.headers.items() if isinstance(value, str)}
    headers |= {name: work.secret_headers[name] for name in params.secrets()}
    content = params.content()
    if content is not None and "content-type" not in {name.lower() for name in headers}:
        headers["Content-Type"] = content[1]
    headers[KEY_HEADER] = f"{work.uid}/{work.attempt}"
    if params.mode == "Callback":
        headers |= {CALLBACK_HEADER: work.url, TOKEN_HEADER: work.token}
    return Request(params.target, params.method, headers, content[0] if content else None, work.seconds)
