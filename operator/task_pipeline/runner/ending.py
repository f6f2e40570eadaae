"""What an answer means for its job: pure, from the answer and the job's params to how the attempt ends.

Rule: the result always fits into the status of the PipelineJob; what is cut is said to be cut. Texts of the server are
shown with their control characters escaped, and none of ours names a query, a header or a secret.
"""

import codecs
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from task_pipeline.api.pipelinejob import MAX_RESULT
from task_pipeline.api.reasons import Reason
from task_pipeline.kinds.http import HttpParams
from task_pipeline.runner.send import Answer
from task_pipeline.runner.texts import escaped, shortened

KEPT_HEADERS = ("Content-Type", "Location", "ETag", "Retry-After", "X-Request-Id")
MAX_HEADER = 256
MAX_PHRASE = 60
MAX_EXCERPT = 300


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ends. `reason` is that of a failure, None for a success."""

    message: str
    reason: Reason | None = None
    result: Mapping[str, Any] | None = None


def ending_of(answer: Answer, params: HttpParams) -> Ending | None:
    """How `answer` ends the attempt; None when the service has accepted the work and will report its end itself."""
    said = f"answered {answer.status} {shortened(escaped(answer.phrase), MAX_PHRASE)}".rstrip()
    if not params.expects(answer.status):
        return Ending(f"{request_of(params)} {said}{_excerpt(answer)}", Reason.REQUEST_FAILED)
    if params.mode == "Callback":
        return None
    return Ending(said, result=_result(answer))


def failed(params: HttpParams, text: str) -> Ending:
    """The end of an attempt without an answer."""
    return Ending(f"{request_of(params)}: {escaped(text)}", Reason.REQUEST_FAILED)


def request_of(params: HttpParams) -> str:
    """The request in words: its method and its URL without the query."""
    return f"{params.method} {shortened(params.target.shown, MAX_EXCERPT)}"


def _excerpt(answer: Answer) -> str:
    """What the server says about its refusal, as an end of the sentence."""
    if 300 <= answer.status < 400:
        where = shortened(escaped(answer.headers.get("Location", "")), MAX_EXCERPT)
        return f" (redirects are not followed{': ' if where else ''}{where})"
    if answer.unreadable:
        return f" (its body cannot be read: {escaped(answer.unreadable)})"
    text = shortened(escaped(_text(answer).strip()), MAX_EXCERPT)
    return f": {text}" if text else ""


def _text(answer: Answer) -> str:
    """The kept body as a text; a character that was cut in two at the end of the kept bytes is left out."""
    return codecs.getincrementaldecoder("utf-8")("replace").decode(answer.body, final=answer.whole)


def _result(answer: Answer) -> dict[str, Any]:
    headers = {name: escaped(answer.headers[name]) for name in KEPT_HEADERS if name in answer.headers}
    result: dict[str, Any] = {
        "status": answer.status,
        "headers": {name: shortened(value, MAX_HEADER) for name, value in headers.items()},
        "body": "",
        "truncated": not answer.whole,
    }
    if answer.unreadable:
        return result | {"unreadable": shortened(escaped(answer.unreadable), MAX_HEADER)}
    text = _text(answer)
    if _size(result | {"body": text}) <= MAX_RESULT:
        return result | {"body": text}
    low, high = 0, len(text)  # text[:low] fits, text[:high] does not
    while high - low > 1:
        middle = (low + high) // 2
        fits = _size(result | {"body": text[:middle], "truncated": True}) <= MAX_RESULT
        low, high = (middle, high) if fits else (low, middle)
    return result | {"body": text[:low], "truncated": True}


def _size(result: dict[str, Any]) -> int:
    """Bytes of `result` as the server counts them."""
    return len(json.dumps(result, ensure_ascii=False, separators=(",", ":")).encode())
