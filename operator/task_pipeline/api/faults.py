"""The faults of an object: where, what is wrong in plain words, and their readable sum.

Rule: every text names what must be and what was found. Texts of users are cut and stripped of
unprintable characters before they are repeated. Of the faults of one object so many are told as people may read; a
hostile object could have a million, and its judge would do nothing else for minutes.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

from task_pipeline.api.common import PATTERN_HINTS

MAX_ERROR_TEXT = 8_000
MAX_FAULTS = 3_000  # of one object, or of the params of one job
_MAX_VALUE_TEXT = 60

Location = tuple[str | int, ...]


class FieldError(NamedTuple):
    """One fault: where (`spec.jobs[3].timeout`), what, and the name of the job if one is concerned."""

    path: str
    message: str
    job: str | None = None

    def __str__(self) -> str:
        where = self.path if self.job is None else f"{self.path} ({self.job})"
        return f"{where}: {self.message}"


class InvalidObject(ValueError):
    """An object that cannot be used; `errors` holds every fault, the text as many as are readable."""

    def __init__(self, errors: Iterable[FieldError]) -> None:
        self.errors: tuple[FieldError, ...] = tuple(errors)
        super().__init__(_text(self.errors))


def message_for(fault: Any) -> str:
    """The fault in our words: what must be, and what was found."""
    context, found = fault.get("ctx", {}), f", got {shown(fault['input'])}"
    match fault["type"]:
        case "missing":
            return "is required"
        case "string_pattern_mismatch":
            return PATTERN_HINTS.get(context["pattern"], f"must match {context['pattern']}") + found
        case "string_too_short" | "string_too_long":
            return f"must have {_bound(context)} character(s){found}"
        case "too_short" | "too_long":
            return f"must have {_bound(context)} item(s), got {len(fault['input'])}"
        case "greater_than_equal":
            return f"must be {context['ge']} or more{found}"
        case "less_than_equal":
            return f"must be {context['le']} or less{found}"
        case "literal_error" | "enum":
            return f"must be {context['expected']}{found}"
        case "invalid_key":
            return "the name of a field must be a text; put it in quotes"
        case "value_error":
            return str(context["error"])
        case other:
            return f"must be {_TYPES.get(other, other)}{found}"


_TYPES = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller number",
    "string_type": "a text",
    "string_unicode": "a text of valid characters",
    "bool_type": "true or false",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "tuple_type": "a list",
}


def _bound(context: Mapping[str, Any]) -> str:
    return f"at least {context['min_length']}" if "min_length" in context else f"at most {context['max_length']}"


def shown(value: object) -> str:
    """`value` as JSON would show its kind and, if it is short, its content."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return f'the text "{cut(value)}"'
        case int() | float():
            return f"the number {cut(str(value))}"
        case list() | tuple():
            return "a list"
        case _:
            return "an object"


def cut(text: str) -> str:
    """`text` short and printable, fit to be repeated in a message."""
    clean = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return clean if len(clean) <= _MAX_VALUE_TEXT else clean[: _MAX_VALUE_TEXT - 3] + "..."


def suggestion(name: str, known: Iterable[str]) -> str:
    """The name of `known` that was probably meant, as a question, or nothing."""
    near = get_close_matches(name[:_MAX_VALUE_TEXT], list(known), n=1)
    return f' (did you mean "{near[0]}"?)' if near else ""


def path_of(location: Location) -> str:
    """`("jobs", 3, "timeout")` as `spec.jobs[3].timeout`."""
    return "spec" + "".join(f"[{part}]" if isinstance(part, int) else f".{cut(part)}" for part in location)


def _text(errors: tuple[FieldError, ...]) -> str:
    """All faults in one line each, cut to a readable size with the number of those left out."""
    lines: list[str] = []
    size = 0
    for number, error in enumerate(errors):
        line = str(error)
        size += len(line) + 2
        if size > MAX_ERROR_TEXT:
            lines.append(f"and {len(errors) - number} more")
            break
        lines.append(line)
    return "; ".join(lines) or "invalid"
