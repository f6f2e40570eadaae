"""What pydantic found wrong, in words for the author of a Pipeline.

Rule: one fault per place, with the place as the author wrote it, and never the value itself, which may be a
secret. The branches of a union, which pydantic puts into the location, are told as one "must be this or that".
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from pydantic import BaseModel, ValidationError

from task_pipeline.api.common import PATTERN_HINTS
from task_pipeline.api.faults import MAX_FAULTS, FieldError, cut, suggestion
from task_pipeline.kinds._scalars import HINTS

ROOT = "params"

_TYPES: Mapping[str, str] = {
    "string_type": "a text",
    "string_unicode": "a text of valid characters",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "dict_type": "a map",
    "mapping_type": "a map",
    "model_type": "a map",
    "model_attributes_type": "a map",
    "tuple_type": "a list",
    "list_type": "a list",
    "float_type": "a number",
}
_BOUNDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "missing": lambda _: "is required",
    "value_error": lambda context: str(context["error"]),
    "string_too_short": lambda context: f"must have at least {context['min_length']} character(s)",
    "string_too_long": lambda context: f"must have at most {context['max_length']} characters",
    "too_short": lambda context: f"must have at least {context['min_length']} item(s)",
    "too_long": lambda context: f"must have at most {context['max_length']} items",
    "greater_than_equal": lambda context: f"must be {context['ge']} or more",
    "less_than_equal": lambda context: f"must be {context['le']} or less",
    "literal_error": lambda context: f"must be {context['expected']}",
    "string_pattern_mismatch": lambda context: _pattern(context["pattern"]),
}


def field_errors(error: ValidationError, raw: Any, model: type[BaseModel]) -> tuple[FieldError, ...]:
    """The faults of `raw`, one per place, in the order in which they were found; at most MAX_FAULTS."""
    found: dict[str, dict[str, None]] = {}  # used as ordered sets: branches of a union may say the same
    for fault in islice(error.errors(include_url=False, include_input=False), MAX_FAULTS):
        location = _place(fault["loc"], raw, fault["type"] == "missing")
        found.setdefault(path_of(location), {})[_message(fault, model)] = None
    return tuple(FieldError(path, _either(list(messages))) for path, messages in found.items())


def heads(errors: Iterable[FieldError]) -> frozenset[str]:
    """The top-level fields that `errors` are about."""
    return frozenset(error.path.removeprefix(f"{ROOT}.").partition(".")[0].partition("[")[0] for error in errors)


def path_of(location: Sequence[str | int]) -> str:
    """`("env", "X")` as `params.env.X`."""
    return ROOT + "".join(f"[{part}]" if isinstance(part, int) else f".{cut(part)}" for part in location)


def _place(location: Sequence[str | int], raw: Any, missing: bool) -> tuple[str | int, ...]:
    """`location` without what does not exist in `raw`, such as branches of a union and the mark of a key."""
    place: list[str | int] = []
    for index, part in enumerate(location):
        last = index == len(location) - 1
        inside = part in raw if isinstance(raw, Mapping) else isinstance(raw, list | tuple) and isinstance(part, int)
        if inside:
            raw = raw[part]
            place.append(part)
        elif missing and last:
            place.append(part)
    return tuple(place)


def _message(fault: Any, model: type[BaseModel]) -> str:
    kind = fault["type"]
    if kind == "extra_forbidden":
        names = [field.alias or name for name, field in model.model_fields.items()]
        near = suggestion(str(fault["loc"][-1]), names) if len(fault["loc"]) == 1 else ""
        return "unknown field; remove it or correct its name" + near
    bound = _BOUNDS.get(kind)
    message = bound(fault.get("ctx", {})) if bound is not None else f"must be {_TYPES.get(kind, kind)}"
    return f"the name {message}" if fault["loc"][-1:] == ("[key]",) else message


def _pattern(pattern: str) -> str:
    return HINTS.get(pattern) or PATTERN_HINTS.get(pattern) or f"must match {pattern}"


def _either(messages: Sequence[str]) -> str:
    """The messages of one place in one: what it may be, or all that is wrong with it."""
    if all(message.startswith("must be ") for message in messages):
        return " or ".join([messages[0], *(message.removeprefix("must be ") for message in messages[1:])])
    return "; ".join(messages)
