"""The audit log: one line per decision, of who wanted what and what was said.

Rule: a line is built from the fields named here and nothing else; no header, query, body, secret or token can get
into it. Text that comes from a request is cut, and the JSON formatter escapes what would forge a line.
"""

import logging
from dataclasses import dataclass

from task_pipeline.server.auth.callers import Caller

MOST_CHARS = 256

log = logging.getLogger("task_pipeline.audit")


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision. `route` is the template, not the path; `target` is namespace/name, or empty; `outcome` is the
    status of the answer, and `reason` its problem's."""

    caller: Caller
    method: str
    route: str
    status: int
    request_id: str
    address: str
    target: str = ""
    reason: str = ""


def record(decision: Decision) -> None:
    """Write the line: at INFO what was done, at WARNING what was refused, at ERROR what failed."""
    caller = decision.caller
    fields = {
        "caller": _cut(caller.name),
        "callerKind": caller.kind.value,
        "method": _cut(decision.method),
        "route": decision.route,
        "target": _cut(decision.target),
        "status": decision.status,
        "reason": decision.reason,
        "requestId": _cut(decision.request_id),
        "address": _cut(decision.address),
    }
    shown = {name: value for name, value in fields.items() if value != ""}
    text = f"{fields['method']} {decision.route} for {caller.kind.value} {fields['caller']!r}: {decision.status}"
    log.log(_level(decision.status), "%s", text, extra={"fields": shown})


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CHARS else f"{text[: MOST_CHARS - 1]}…"


def _level(status: int) -> int:
    if status >= 500:
        return logging.ERROR
    return logging.WARNING if status in (401, 403, 429) else logging.INFO
