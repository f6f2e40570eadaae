"""What callers send: the bodies and queries of the REST API.

Rule: unknown fields are refused. A body is taken as it is, nothing in it is converted; queries are texts and are.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, StringConstraints
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from task_pipeline.api.common import SUBDOMAIN_PATTERN, Cancel, ClientId, Int32, Model, Seconds, SecondsOrZero, Text
from task_pipeline.api.pipeline import PipelineSpec, Rerun
from task_pipeline.api.states import State

MAX_PAGE = 500
Limit = Annotated[int, Field(ge=1, le=MAX_PAGE, description="How many items a page may have.")]
Continue = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Selector = Annotated[str, StringConstraints(max_length=2048)]


class _DescribedAs:
    """Lets a field take anything, and describes it as the model by which it is judged later, in better words."""

    def __init__(self, model: type[BaseModel]) -> None:
        self.model = model

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(self.model.__pydantic_core_schema__)


class NewMetadata(Model):
    """What may be said of a new Pipeline."""

    name: Annotated[str, Field(min_length=1, max_length=253, pattern=SUBDOMAIN_PATTERN)] | None = Field(
        default=None, description="Its name. One is made up if absent."
    )
    generate_name: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        default=None, description="The beginning of the name that is made up."
    )
    namespace: Text | None = Field(default=None, description="The namespace; the one of the path if absent.")
    labels: dict[str, str] = Field(default_factory=dict, description="Labels, as Kubernetes takes them.")
    annotations: dict[str, str] = Field(default_factory=dict, description="Annotations, as Kubernetes takes them.")


class NewPipeline(Model):
    """A Pipeline to be created."""

    api_version: Literal["taskpipeline.dev/v1alpha1"] | None = Field(default=None, description="May be left out.")
    kind: Literal["Pipeline"] | None = Field(default=None, description="May be left out.")
    metadata: NewMetadata = Field(default_factory=NewMetadata, description="Its name, labels and annotations.")
    spec: Annotated[Any, _DescribedAs(PipelineSpec)]


class Candidate(NewPipeline):
    """A Pipeline to be judged: whatever its spec is, the answer tells what is to be said of it."""

    spec: Any = Field(description="A spec as of a Pipeline; anything is taken.")


class PipelineEdit(Model):
    """The fields that can be changed at any time; null takes a field away, one that is absent stays as it is."""

    priority: Int32 | None = Field(default=None, description="Order among pipelines: smaller runs first.")
    suspend: bool | None = Field(default=None, description="true: nothing more is started.")
    cancel: Cancel | None = Field(default=None, description="Drain or Now.")
    fail_fast: bool | None = Field(default=None, description="true: a failure cancels what waits in its stage.")
    timeout: Seconds | None = Field(default=None, description="Seconds that a run may take.")
    ttl_seconds_after_finished: SecondsOrZero | None = Field(default=None, description="Seconds until clean-up.")
    ttl_policy: Literal["Slim", "Delete"] | None = Field(default=None, description="What clean-up removes.")
    rerun: Rerun | None = Field(default=None, description="Asks for another run once the Pipeline has finished.")


class PipelinePatch(Model):
    """A merge patch of a Pipeline."""

    spec: PipelineEdit = Field(description="The fields to change.")


class JobEdit(Model):
    """The fields of a PipelineJob that users may change."""

    priority: Int32 = Field(description="Order inside the stage: smaller runs first.")


class JobPatch(Model):
    """A merge patch of a PipelineJob."""

    spec: JobEdit = Field(description="The fields to change.")


class CancelRequest(Model):
    """How to cancel."""

    mode: Cancel = Field(default="Now", description="Now: running jobs are stopped. Drain: they finish.")


class RerunRequest(Model):
    """Which run to begin."""

    id: Annotated[str, Field(min_length=1, max_length=63)] | None = Field(
        default=None, description="The same id again does nothing. One is made up if absent."
    )
    scope: Literal["Failed", "All"] = Field(default="Failed", description="Failed: DONE jobs stay so. All: all again.")


class Query(BaseModel):
    """Base of queries: texts, converted."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class PipelineQuery(Query):
    """Which Pipelines to list."""

    limit: Limit = 50
    continue_: Continue | None = Field(
        default=None, alias="continue", description="metadata.continue of the page before."
    )
    label_selector: Selector | None = Field(default=None, description="A label selector of Kubernetes.")
    state: State | None = Field(default=None, description="Only Pipelines in this state.")
    client_id: ClientId | None = Field(default=None, description="Only Pipelines of this client.")


class JobQuery(Query):
    """Which PipelineJobs to list."""

    limit: Limit = 100
    continue_: Continue | None = Field(
        default=None, alias="continue", description="metadata.continue of the page before."
    )
    state: State | None = Field(default=None, description="Only jobs in this state.")
    stage: Annotated[str, StringConstraints(max_length=63, pattern=r"^[^,=!\\]+$")] | None = Field(
        default=None, description="Only jobs of this stage."
    )
    run: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = Field(default=None, description="Only jobs of this run.")


class RunQuery(Query):
    """Which run of a job is meant."""

    run: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = Field(
        default=None, description="Number of the run; the latest one that has the job if absent."
    )
