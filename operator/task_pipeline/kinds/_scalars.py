"""The smallest parts of params: names, keys, texts and numbers, as Kubernetes would accept them.

Rule: whatever passes here can be launched. A value that the API server or the kernel would refuse is refused
beforehand, in words that say how to write it. No message ever repeats the value, which may be a secret.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from task_pipeline.api.common import SUBDOMAIN_PATTERN
from task_pipeline.api.group import LABEL_MANAGED_BY, RESERVED_PREFIX
from task_pipeline.core.workload import Params

DNS_LABEL_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
KEY_PATTERN = r"^[-._a-zA-Z0-9]+$"
ENV_NAME_PATTERN = r"^([-_A-Za-z]|[.][-_A-Za-z0-9])[-._A-Za-z0-9]*$"
_NAME_PART = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
QUALIFIED_NAME_PATTERN = rf"^([a-z0-9]([-a-z0-9.]{{0,251}}[a-z0-9])?/)?{_NAME_PART}$"
LABEL_VALUE_PATTERN = rf"^({_NAME_PART})?$"
QUEUE_PATTERN = rf"^{_NAME_PART}$"
IMAGE_PATTERN = r"^[^\s\x00-\x20\x7f]+$"

HINTS: Mapping[str, str] = {
    DNS_LABEL_PATTERN: "must be a DNS label: lower case letters, digits and -",
    KEY_PATTERN: "must consist of A-Z a-z 0-9 . _ -",
    ENV_NAME_PATTERN: "must be the name of an environment variable: A-Z a-z 0-9 . _ -, not beginning with a digit",
    QUALIFIED_NAME_PATTERN: "must be a name such as team or example.com/team, at most 63 characters after the /",
    LABEL_VALUE_PATTERN: "must be at most 63 of A-Z a-z 0-9 . _ - and begin and end with a letter or digit",
    QUEUE_PATTERN: "must be at most 63 of A-Z a-z 0-9 . _ - and begin and end with a letter or digit",
    IMAGE_PATTERN: "must be an image reference without blanks",
}

_QUANTITY = re.compile(r"[+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([numkMGTPE]|[KMGTPE]i|[eE][-+]?[0-9]+)?", re.ASCII)
_HALF_PAIR = re.compile("[\ud800-\udfff]")
_INT64 = range(-(2**63), 2**63)


class KindModel(Params):
    """Base of all params: camelCase on the wire, nothing coerced, no input repeated in errors."""

    model_config = ConfigDict(strict=True, alias_generator=to_camel, hide_input_in_errors=True)

    def wire(self) -> dict[str, Any]:
        """The object as Kubernetes spells it: camelCase, absent fields left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def deliverable(text: str) -> str:
    """`text` itself; raises ValueError when no argument, variable or file could carry it as it is."""
    if "\x00" in text:
        raise ValueError("must not hold a NUL character: the kernel would end the text there")
    if _HALF_PAIR.search(text):
        raise ValueError("must consist of valid characters: half of a surrogate pair is none")
    return text


def reserved(key: str) -> str | None:
    """Why nobody but the operator may set the label or annotation `key`; None when anybody may."""
    if key.startswith(RESERVED_PREFIX) or key == LABEL_MANAGED_BY:
        return f"is reserved for the operator, like everything below {RESERVED_PREFIX}; use another name"
    return None


def _unreserved(key: str) -> str:
    fault = reserved(key)
    if fault is not None:
        raise ValueError(fault)
    return key


def integer_fault(value: int) -> str | None:
    """Why `value` would not reach a container digit by digit; None when it does."""
    return None if value in _INT64 else 'is beyond 64 bits and would be rounded: quote it, as in "123"'


def _quantity(value: object) -> object:
    if isinstance(value, str) and _QUANTITY.fullmatch(value):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**63:
        return value
    raise ValueError("must be a quantity, such as 500m, 2, 0.5 or 4Gi")


Text = Annotated[str, AfterValidator(deliverable)]
# Strict mode would take only a tuple itself, never the list of a JSON document.
Texts = Annotated[tuple[Text, ...], Field(strict=False)]
SomeTexts = Annotated[tuple[Text, ...], Field(strict=False, min_length=1)]
ObjectName = Annotated[str, Field(min_length=1, max_length=253, pattern=SUBDOMAIN_PATTERN)]
DnsLabel = Annotated[str, Field(min_length=1, max_length=63, pattern=DNS_LABEL_PATTERN)]
KeyName = Annotated[str, Field(max_length=253, pattern=KEY_PATTERN)]
EnvName = Annotated[str, Field(pattern=ENV_NAME_PATTERN)]
QualifiedName = Annotated[str, Field(pattern=QUALIFIED_NAME_PATTERN)]
LabelKey = Annotated[QualifiedName, AfterValidator(_unreserved)]
LabelValue = Annotated[str, Field(pattern=LABEL_VALUE_PATTERN)]
QueueName = Annotated[str, Field(pattern=QUEUE_PATTERN)]
Image = Annotated[str, Field(pattern=IMAGE_PATTERN)]
Quantity = Annotated[str | int | float, BeforeValidator(_quantity)]
FileMode = Annotated[int, Field(ge=0, le=0o777)]
UserId = Annotated[int, Field(ge=0, le=2**31 - 1)]
Port = Annotated[int, Field(ge=1, le=65535)]
Natural = Annotated[int, Field(ge=0, le=2**31 - 1)]
Positive = Annotated[int, Field(ge=1, le=2**31 - 1)]
