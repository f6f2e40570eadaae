"""Label selectors: `k`, `!k`, `k=v`, `k==v`, `k!=v`, `k in (a, b)`, `k notin (a, b)`, joined by commas.

Rule: as on the API server a missing label satisfies `!=` and `notin`, and a selector that cannot be read is refused.
"""

import re
from collections.abc import Callable, Mapping

from tests.fakes.refusals import bad_request

Labels = Mapping[str, str]
Matcher = Callable[[Labels], bool]

_PARTS = re.compile(r",(?![^(]*\))")
_SET = re.compile(r"(?P<key>\S+)\s+(?P<word>in|notin)\s*\((?P<values>[^)]*)\)")
_EQUAL = re.compile(r"(?P<key>[^\s=!]+)\s*(?P<word>==|=|!=)\s*(?P<value>[^\s=!]*)")
_EXISTS = re.compile(r"(?P<word>!?)\s*(?P<key>[^\s=!,()]+)")


def matcher(selector: str | None) -> Matcher:
    """A function that says whether labels match; raises Invalid (400) for a broken selector."""
    parts = [_part(part.strip(), selector) for part in _PARTS.split(selector)] if selector else []
    return lambda labels: all(part(labels) for part in parts)


def _part(text: str, selector: str | None) -> Matcher:
    if found := _SET.fullmatch(text):
        values = frozenset(value.strip() for value in found["values"].split(","))
        return _one_of(found["key"], values, wanted=found["word"] == "in")
    if found := _EQUAL.fullmatch(text):
        return _one_of(found["key"], frozenset({found["value"]}), wanted=found["word"] != "!=")
    if found := _EXISTS.fullmatch(text):
        key, wanted = found["key"], not found["word"]
        return lambda labels: (key in labels) is wanted
    raise bad_request(f"unable to parse requirement: {text!r} in the label selector {selector!r}")


def _one_of(key: str, values: frozenset[str], *, wanted: bool) -> Matcher:
    return lambda labels: (labels.get(key) in values) is wanted
