"""HTTP: one request to a service, sent by the HTTP runner, which has no credential of the cluster.

Rule: here only what can be judged without the network: the form of the URL, names and values of headers, the body.
Whether the target is allowed depends on the runner's settings and on what its name resolves to, and is judged
there, just before the request. A secret is given by reference only, and the runner gets nothing but its value.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from task_pipeline.core.urls import Target, WrongURL, parse_url
from task_pipeline.core.workload import KindDefaults, Right
from task_pipeline.kinds._checks import Problem
from task_pipeline.kinds._scalars import KeyName, KindModel, ObjectName, Text

QUEUE = "http"
MAX_BODY = 262_144  # bytes
MAX_HEADERS = 64
MAX_HEADER_VALUE = 8192
OWN_PREFIX = "task-pipeline-"
OWN_HEADERS = frozenset(
    "accept-encoding connection content-length expect host idempotency-key keep-alive proxy-authorization "
    "proxy-connection te trailer transfer-encoding upgrade".split()
)

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}", re.ASCII)
_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?", re.ASCII)
_RANGE = re.compile(r"([2-5][0-9][0-9])-([2-5][0-9][0-9])", re.ASCII)
_STATUSES = range(200, 600)


class SecretKey(KindModel):
    """One key of a Secret of the Pipeline's namespace."""

    name: ObjectName = Field(description="The Secret.")
    key: KeyName = Field(description="The key in it.")


class HeaderSource(KindModel):
    """Where the value of a header comes from."""

    secret_key_ref: SecretKey = Field(description="A key of a Secret that says to which hosts it may be sent.")


def header_value_fault(value: str) -> str | None:
    """Why `value` cannot be sent as the value of a header; None when it can."""
    if len(value) > MAX_HEADER_VALUE:
        return f"has {len(value)} characters, the limit is {MAX_HEADER_VALUE}: send what is long in the body"
    if value and not _VALUE.fullmatch(value):
        return "must be ASCII without line ends and other control characters, and not begin or end with a blank"
    return None


def _header_name(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise ValueError("must be the name of a header: letters, digits and -")
    if name.lower() in OWN_HEADERS or name.lower().startswith(OWN_PREFIX):
        raise ValueError("is set by the HTTP runner; remove it")
    return name


def _header_value(value: object) -> object:
    """Choose the one branch that `value` means, so that a fault is told once, not per branch."""
    if isinstance(value, Mapping):
        return HeaderSource.model_validate(value, by_alias=True, by_name=False)
    if not isinstance(value, str | HeaderSource):
        raise ValueError("must be a text, or secretKeyRef with name and key")
    fault = header_value_fault(value) if isinstance(value, str) else None
    if fault is not None:
        raise ValueError(fault)
    return value


def _body(value: object) -> object:
    if not isinstance(value, str | Mapping):
        raise ValueError("must be a text or an object; write any other JSON as a text")
    return value


def _statuses(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool) and value in _STATUSES:
        return value
    match = _RANGE.fullmatch(value) if isinstance(value, str) else None
    if match is None or match[1] > match[2]:
        raise ValueError('must be a status such as 200, or a range such as "200-299", between 200 and 599')
    return value


def _url(value: str) -> str:
    try:
        parse_url(value)
    except WrongURL as error:
        raise ValueError(str(error)) from None
    return value


Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
HeaderName = Annotated[str, AfterValidator(_header_name)]
HeaderValue = Annotated[str | HeaderSource, BeforeValidator(_header_value)]
Body = Annotated[Text | dict[str, Any], BeforeValidator(_body)]
Statuses = Annotated[int | str, BeforeValidator(_statuses)]


class HttpParams(KindModel):
    """The request, and what of its answer is a success."""

    url: Annotated[str, AfterValidator(_url)] = Field(
        description="Where to send it: https://... or http://..., as far as the operator's settings allow it."
    )
    method: Method = Field(default="POST", description="The method; absent = POST.")
    headers: Annotated[dict[HeaderName, HeaderValue], Field(max_length=MAX_HEADERS)] = Field(
        default_factory=dict, description="Headers: name -> text, or secretKeyRef with name and key."
    )
    body: Body | None = Field(default=None, description="The body: a text as it is, or an object, sent as JSON.")
    expect: Annotated[tuple[Statuses, ...], Field(strict=False)] = Field(
        default=("200-299",), description='Statuses that mean success, such as [200, 202, "300-399"]; absent = 200-299.'
    )
    mode: Literal["Response", "Callback"] = Field(
        default="Response",
        description="Response: the answer is the end of the work. Callback: the answer only accepts it, and the "
        "service reports the end through the REST API.",
    )

    @property
    def target(self) -> Target:
        """The URL as it is understood."""
        return parse_url(self.url)

    def expects(self, status: int) -> bool:
        """Whether an answer with this status is a success."""
        for wanted in self.expect:
            low, _, high = str(wanted).partition("-")
            if int(low) <= status <= int(high or low):
                return True
        return False

    def content(self) -> tuple[bytes, str] | None:
        """The body as it is sent, and its media type unless the headers name one; None without a body."""
        if self.body is None:
            return None
        if isinstance(self.body, str):
            return self.body.encode(), "text/plain; charset=utf-8"
        return _json(self.body).encode(), "application/json"

    def secrets(self) -> Mapping[str, SecretKey]:
        """The headers whose value is in a Secret."""
        return {name: value.secret_key_ref for name, value in self.headers.items() if isinstance(value, HeaderSource)}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _problems(params: HttpParams) -> Iterator[Problem]:
    lower = [name.lower() for name in params.headers]
    for index, name in enumerate(params.headers):
        if lower[index] in lower[:index]:
            yield f"headers.{name}", "is given twice: names of headers do not differ by case"
    if not params.expect:
        yield "expect", "must have at least 1 item(s)"
    if params.body is None:
        return
    if params.method == "HEAD":
        yield "body", "cannot be sent with HEAD: remove it, or use another method"
    try:
        content = params.content()
    except (TypeError, ValueError, RecursionError):
        yield "body", "must be an object as JSON knows it: texts, numbers, true, false, null, lists and objects"
        return
    size = len(content[0]) if content else 0
    if size > MAX_BODY:
        yield "body", f"has {size} bytes, the limit is {MAX_BODY}: store it elsewhere and send its address"


class HttpKind:
    """The kind `HTTP`."""

    name = "HTTP"
    versions: Mapping[str, type[BaseModel]] = MappingProxyType({"1.0.0": HttpParams})
    rights: tuple[Right, ...] = ()
    for_runner = True

    def problems(self, params: BaseModel, defaults: KindDefaults) -> Sequence[Problem]:
        """Headers given twice, and a body that cannot be sent."""
        assert isinstance(params, HttpParams)
        return tuple(_problems(params))

    def queue(self, params: BaseModel) -> str:
        """The queue of the HTTP runner."""
        return QUEUE


KIND = HttpKind()
