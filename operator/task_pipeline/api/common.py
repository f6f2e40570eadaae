"""The base of all models, and the texts and numbers that several of them share.

Rule: models are frozen, camelCase on the wire, and never coerce: "5" is not an integer, true is
not 1. What users write refuses unknown fields (`Model`); what the operator reads back of its own
writing ignores them (`StatusModel`), so that a version can read what a newer one has written.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from task_pipeline.api.states import State
from task_pipeline.api.times import parse_time

MAX_SECONDS = 100_000_000_000  # 3,170 years: far, yet adding it to a date cannot overflow
MAX_ATTEMPTS = 100
MAX_STAGES = 64
MAX_JOBS = 2000
MAX_MESSAGE = 32_768
MAX_GENERATION = 2**53 - 1  # the largest whole number on which all JSON readers agree

STAGE_PATTERN = r"^[^\x00-\x20\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\x9f])?$"
JOB_PATTERN = r"^[._-]*[A-Za-z0-9][A-Za-z0-9._-]*$"
KIND_PATTERN = r"^[A-Za-z][A-Za-z0-9.-]*(/[A-Za-z][A-Za-z0-9.-]*)?$"
VERSION_PATTERN = r"^(0|[1-9][0-9]*)[.](0|[1-9][0-9]*)[.](0|[1-9][0-9]*)$"
SUBDOMAIN_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
NAMESPACE_PATTERN = r"^([*]|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$"

PATTERN_HINTS: dict[str, str] = {
    STAGE_PATTERN: "must not hold control characters, nor begin or end with a blank",
    JOB_PATTERN: "must consist of A-Z a-z 0-9 . _ - with at least one letter or digit",
    KIND_PATTERN: "must be the name of a job kind, such as Shell or K8S/Job",
    VERSION_PATTERN: "must be the exact version of the job kind, three numbers such as 1.0.0; "
    "the kinds that come with the operator have 1.0.0, and tpctl kinds lists all of them",
    SUBDOMAIN_PATTERN: "must be a DNS name: lower case letters, digits, - and . such as team-a",
    NAMESPACE_PATTERN: 'must be the name of a namespace, or "*" for all of them',
}


class Model(BaseModel):
    """Base of everything users write: frozen, strict, unknown fields refused."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=False,
    )

    def to_dict(self) -> dict[str, Any]:
        """The object as it stands on the wire: camelCase, absent fields left out, plain types."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class StatusModel(Model):
    """Base of what the operator writes and reads back: unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore")


def _is_time(text: str) -> str:
    parse_time(text)
    return text


Int32 = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
Positive = Annotated[int, Field(ge=1, le=2**31 - 1)]
Generation = Annotated[int, Field(ge=-1, le=MAX_GENERATION)]
Seconds = Annotated[int, Field(ge=1, le=MAX_SECONDS)]
SecondsOrZero = Annotated[int, Field(ge=0, le=MAX_SECONDS)]
Text = Annotated[str, Field(max_length=253)]
Message = Annotated[str, Field(max_length=MAX_MESSAGE)]
Timestamp = Annotated[str, Field(max_length=40, json_schema_extra={"format": "date-time"})]
CheckedTimestamp = Annotated[Timestamp, AfterValidator(_is_time)]
StageName = Annotated[str, Field(min_length=1, max_length=63, pattern=STAGE_PATTERN)]
JobName = Annotated[str, Field(min_length=1, max_length=63, pattern=JOB_PATTERN)]
KindName = Annotated[str, Field(min_length=1, max_length=63, pattern=KIND_PATTERN)]
KindVersion = Annotated[str, Field(min_length=1, max_length=32, pattern=VERSION_PATTERN)]
ClientId = Annotated[str, Field(min_length=1, max_length=253, pattern=SUBDOMAIN_PATTERN)]
# Strict mode would take only a State or a tuple itself, never the text or list of a JSON document.
StateField = Annotated[State, Field(strict=False)]
Cancel = Literal["Now", "Drain"]


class Condition(StatusModel):
    """One condition, with the fields and meaning of Kubernetes' own `metav1.Condition`."""

    type: Text = Field(description="What the condition is about, such as Finished or Succeeded.")
    status: Literal["True", "False", "Unknown"] = Field(
        description="Whether it holds: True, False or Unknown.",
    )
    reason: Text = Field(description="Why, as one CamelCase word; the list is in docs/reasons.md.")
    message: Message = Field(default="", description="Why, as a sentence for people.")
    last_transition_time: Timestamp = Field(description="When status last changed.")
    observed_generation: Generation | None = Field(
        default=None,
        description="The metadata.generation that the condition was judged for.",
    )
