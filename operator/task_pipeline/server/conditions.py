"""Headers that make a request repeatable or conditional: Idempotency-Key, If-Match, If-None-Match.

Rule: a header that cannot be read is refused, not ignored: whoever sends one relies on it.
"""

import re
from collections.abc import Mapping

from task_pipeline.server.call import Call
from task_pipeline.server.problem import problem
from task_pipeline.server.upstream import Object

KEY_HEADER = "Idempotency-Key"
MATCH, NONE_MATCH = "If-Match", "If-None-Match"

_TAG = r'(W/)?"[!#-~]*"'
_TAGS = rf"^(\*|{_TAG}([ ]*,[ ]*{_TAG})*)$"
PATTERNS: Mapping[str, str] = {KEY_HEADER: "^[!-~]([ -~]{0,253}[!-~])?$", MATCH: _TAGS, NONE_MATCH: _TAGS}


def key_of(call: Call) -> str | None:
    """The Idempotency-Key, None without one. Raises ProblemError 400."""
    return _header(call, KEY_HEADER, "must be 1 to 255 printable characters of ASCII")


def etag(thing: Object) -> str:
    """The entity tag of an object: its quoted resourceVersion."""
    return f'"{thing["metadata"]["resourceVersion"]}"'


def check_match(call: Call, thing: Object) -> None:
    """Raise 412 unless If-Match is absent, `*`, or names the version of `thing`; 400 when it cannot be read."""
    tags = _tags(call, MATCH)
    if tags is not None and "*" not in tags and etag(thing) not in tags:
        text = f"the object has changed and is {etag(thing)} now: read it again, and decide anew"
        raise problem(412, "PreconditionFailed", text)


def unchanged(call: Call, thing: Object) -> bool:
    """Whether If-None-Match names the version of `thing`. Raises ProblemError 400."""
    tags = _tags(call, NONE_MATCH) or frozenset()
    return "*" in tags or etag(thing) in {tag.removeprefix("W/") for tag in tags}


def _tags(call: Call, name: str) -> frozenset[str] | None:
    given = _header(call, name, 'must be *, or ETags as they were answered, such as "1842"')
    return None if given is None else frozenset(tag.strip() for tag in given.split(","))


def _header(call: Call, name: str, advice: str) -> str | None:
    given = call.headers.get(name)
    if given is not None and not re.search(PATTERNS[name], given):
        text = f"{name} {advice}"
        raise problem(400, "InvalidHeader", text, [(f"header.{name}", text)])
    return given
