"""Logs: one line an event, JSON for machines and plain text on a terminal. Secrets never reach a logger.

Rule: every line is one JSON object with the same keys: time, level, logger, message; then what the event is about,
under the names of `about`; then traceback or stack. Also what Python itself would print (warnings, errors that nobody
caught) becomes such a line. What looks like a credential is taken out, although none should be there: texts of others,
such as an error of a library, may hold one.
"""

import json
import logging
import re
import sys
import threading
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from task_pipeline.core.records import JobRecord, PipelineRecord

MOST_CHARS = 16_384  # of one text in a line

_CREDENTIAL = re.compile(
    r"eyJ[\w-]{8,}\.[\w-]+\.[\w-]*"  # a JSON web token, such as a service account's
    r"|(?<=bearer )[\w.~+/=-]{8,}|(?<=basic )[A-Za-z0-9+/]{8,}=*"  # the rest of an Authorization header
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)",  # user and password of a URL
    re.IGNORECASE,
)

log = logging.getLogger(__name__)


class JsonFormatter(logging.Formatter):
    """A record as one JSON object: time, level, logger, message, its `fields`, and the traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The line for `record`, without its end."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": clean(_message(record)),
        }
        fields = getattr(record, "fields", {})
        line |= {name: _plain(value) for name, value in fields.items() if name not in line}
        if record.exc_info:
            line["traceback"] = clean(self.formatException(record.exc_info))
        if record.stack_info:
            line["stack"] = clean(record.stack_info)
        return json.dumps(line)


class PlainFormatter(logging.Formatter):
    """A record for a person at a terminal."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """The lines for `record`."""
        return _CREDENTIAL.sub("***", super().format(record))


def about(record: JobRecord | PipelineRecord | None) -> dict[str, Any]:
    """What an event is about, as `extra` of a log call: names, client, attempt, state and reason of an object."""
    if record is None:
        return {}
    status = record.status
    fields: dict[str, Any] = {"namespace": record.namespace}
    if isinstance(record, JobRecord):
        spec = record.spec
        fields |= {"pipeline": spec.pipeline, "job": spec.name, "client": spec.client_id, "kind": spec.kind}
        fields |= {"run": spec.run, "attempt": record.status.attempt or 0}
    else:
        fields |= {"pipeline": record.name, "client": record.spec.client_id if record.spec else "", "run": record.run}
    return {"fields": {**fields, "state": status.state.value, "reason": status.reason or ""}}


def clean(text: str) -> str:
    """`text` without credentials, and not longer than a line should be."""
    text = _CREDENTIAL.sub("***", text)
    return text if len(text) <= MOST_CHARS else f"{text[: MOST_CHARS - 1]}…"


def set_up(level: str) -> None:
    """Log to standard error: JSON unless it is a terminal."""
    handler = logging.StreamHandler(sys.stderr)
    if sys.stderr.isatty():
        handler.setFormatter(PlainFormatter())
    else:
        handler.setFormatter(JsonFormatter())
        _take_over()
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("kopf", "asyncio", "aiohttp.access", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)  # signals are ours, it warns of that


def _take_over() -> None:
    """What Python would print in several lines becomes a record."""
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_of_thread
    sys.unraisablehook = _unraisable


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    log.critical("nobody caught %s", kind.__name__, exc_info=(kind, error, trace))


def _uncaught_of_thread(found: threading.ExceptHookArgs) -> None:
    if found.exc_value is not None and found.exc_type is not SystemExit:
        name = found.thread.name if found.thread is not None else "?"
        trace = (found.exc_type, found.exc_value, found.exc_traceback)
        log.critical("nobody caught %s in thread %s", found.exc_type.__name__, name, exc_info=trace)


def _unraisable(found: "sys.UnraisableHookArgs") -> None:
    trace = (found.exc_type, found.exc_value, found.exc_traceback) if found.exc_value is not None else None
    log.error("%s", found.err_msg or "an error that could not be raised", exc_info=trace)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):  # a fault of ours; the line must not be lost for it
        return f"{record.msg} (with {record.args!r})"


def _plain(value: Any) -> Any:
    """A value of a field as JSON has it."""
    if value is None or isinstance(value, bool | int | float):
        return value
    return clean(str(value))
