"""From bytes to models: what a request brings, capped before it is read and checked before a handler sees it.

Rule: the order is size, content type, depth, JSON, model; each step bounds what the next one may cost. Every fault of
a body or a query is told at once, with its path.
"""

import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl

import orjson
from aiohttp import web
from pydantic import BaseModel, ValidationError

from task_pipeline.api.faults import cut, message_for, suggestion
from task_pipeline.server.problem import ProblemError, problem
from task_pipeline.server.routes import FORM, MAX_BODY, Route

MAX_DEPTH = 64
MAX_FAULTS = 500
_CHARSETS = ("", "utf-8", "utf8")
# A text, even one without its end, is one match, so that no input is looked at twice.
_TEXT = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_BESIDE = bytes(set(range(256)) - set(b"[]{}"))
_AS_LISTS = bytes.maketrans(b"{}", b"[]")


def check_declared(request: web.Request) -> None:
    """Refuse by its headers alone a body that is too large or compressed; raises ProblemError 413 or 415."""
    if (request.content_length or 0) > MAX_BODY:
        raise _too_large(MAX_BODY)
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise problem(415, "UnsupportedEncoding", "send the body as it is, without Content-Encoding")


async def read_body(request: web.Request, route: Route) -> Any:
    """The body as the route's model; no body counts as an empty object. Raises ProblemError 400, 413, 415, 422."""
    assert route.body is not None
    raw = await _read(request, route.largest)
    if raw:
        _check_media(request, route.media)
    if request.content_type == FORM and FORM in route.media:
        plain: Any = _form(raw)
    else:
        plain = parse_json(raw) if raw else {}
    try:
        return route.body.model_validate(plain)
    except ValidationError as error:
        raise invalid(faults_of(error, route.body)) from error


def read_query(request: web.Request, model: type[BaseModel] | None) -> Any:
    """The query as `model`, None without one. Raises ProblemError 400, also for what the model does not know."""
    known = set() if model is None else {field.alias or name for name, field in model.model_fields.items()}
    faults = [
        (f"query.{cut(name)}", "no such parameter" + suggestion(name, known)) for name in set(request.query) - known
    ]
    faults += [(f"query.{name}", "is given twice") for name in known if len(request.query.getall(name, ())) > 1]
    value = None
    if model is not None:
        try:
            value = model.model_validate({name: request.query[name] for name in known if name in request.query})
        except ValidationError as error:
            faults += [(f"query.{path}", message) for path, message in faults_of(error, model)]
    if faults:
        raise problem(400, "InvalidQuery", _sum("the query", faults), sorted(faults)[:MAX_FAULTS])
    return value


def parse_json(raw: bytes) -> Any:
    """JSON with at most MAX_DEPTH levels; raises ProblemError 400."""
    if _is_deep(_TEXT.sub(b"", raw).translate(_AS_LISTS, _BESIDE)):
        raise problem(400, "TooDeep", f"the body is nested in more than {MAX_DEPTH} levels")
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise problem(400, "InvalidJSON", f"the body is not JSON: {error.msg} at character {error.pos}") from error


def _is_deep(brackets: bytes) -> bool:
    """Whether [ and ] are nested in more than MAX_DEPTH levels, up to where they close what is not open."""
    left = brackets
    for _ in range(MAX_DEPTH):  # one level a time, in C: a body of empty lists would cost seconds otherwise
        left = left.replace(b"[]", b"")
    if not left:
        return False
    depth = 0
    for bracket in brackets:
        depth += 1 if bracket == b"["[0] else -1
        if depth < 0 or depth > MAX_DEPTH:
            break
    return depth > MAX_DEPTH


def faults_of(error: ValidationError, model: type[BaseModel]) -> list[tuple[str, str]]:
    """The faults as (path, message), in our words; one more than are listed, at most."""
    known = [field.alias or name for name, field in model.model_fields.items()]
    faults = []
    for fault in islice(error.errors(include_url=False), MAX_FAULTS + 1):
        if fault["type"] == "extra_forbidden":
            guess = suggestion(str(fault["loc"][-1]), known) if len(fault["loc"]) == 1 else ""
            message = "unknown field; remove it or correct its name" + guess
        else:
            message = message_for(fault)
        faults.append((path_of(fault["loc"]), message))
    return faults


def path_of(location: Iterable[str | int]) -> str:
    """`("spec", "jobs", 3)` as `spec.jobs[3]`; `body` for the whole."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{cut(part)}" for part in location)
    return text.removeprefix(".") or "body"


def invalid(faults: list[tuple[str, str]], reason: str = "Invalid") -> ProblemError:
    """422 with every fault, at most MAX_FAULTS of them in the list."""
    return problem(422, reason, _sum("the body", faults), faults[:MAX_FAULTS])


def _sum(what: str, faults: list[tuple[str, str]]) -> str:
    if len(faults) == 1:
        return f"{faults[0][0]}: {faults[0][1]}"
    left_out = f", of which the first {MAX_FAULTS} are listed" if len(faults) > MAX_FAULTS else ""
    return f"{what} has {len(faults)} faults{left_out}; the first one is {faults[0][0]}: {faults[0][1]}"


async def _read(request: web.Request, most: int) -> bytes:
    if (request.content_length or 0) > most:
        raise _too_large(most)
    parts, size = [], 0
    async for chunk in request.content.iter_any():
        size += len(chunk)
        if size > most:
            raise _too_large(most)
        parts.append(chunk)
    return b"".join(parts)


def _check_media(request: web.Request, media: tuple[str, ...]) -> None:
    given = "" if "Content-Type" not in request.headers else request.content_type
    if given not in media or (request.charset or "").lower() not in _CHARSETS:
        raise problem(415, "UnsupportedMediaType", f"send the body as {' or '.join(media)} in UTF-8")


def _form(raw: bytes) -> Mapping[str, str]:
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, strict_parsing=True, max_num_fields=32)
    except ValueError as error:
        raise problem(400, "InvalidForm", "the body is not a form") from error
    if len(dict(pairs)) != len(pairs):
        raise problem(400, "InvalidForm", "a field of the form is given twice")
    return dict(pairs)


def _too_large(most: int) -> ProblemError:
    return problem(413, "TooLarge", f"the body is larger than {most} bytes")
