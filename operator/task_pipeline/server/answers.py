"""What the REST API answers with beside problems: the contract's objects, lists of them, and a few of its own.

Rule: these models describe the answers in the OpenAPI document; the objects themselves go out as the API server has
them, in camelCase and without managedFields.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from task_pipeline.api.pipeline import PipelineSpec, PipelineStatus
from task_pipeline.api.pipelinejob import PipelineJobSpec, PipelineJobStatus
from task_pipeline.server.problem import Fault


class Answer(BaseModel):
    """Base of what is answered: an open object, since a newer cluster may know more."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow")


class Metadata(Answer):
    """The metadata of an object."""

    name: str
    namespace: str
    uid: str
    resource_version: str
    generation: int
    creation_timestamp: str
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class ListMetadata(Answer):
    """The metadata of a list."""

    continue_: str = Field(default="", alias="continue", description="Absent on the last page.")


class PipelineObject(Answer):
    """A Pipeline."""

    api_version: Literal["taskpipeline.dev/v1alpha1"]
    kind: Literal["Pipeline"]
    metadata: Metadata
    spec: PipelineSpec
    status: PipelineStatus = PipelineStatus()


class PipelineSummary(Answer):
    """A Pipeline in a list: complete but for spec.jobs."""

    metadata: Metadata
    spec: dict[str, Any] = Field(description="The spec without its jobs; GET the Pipeline itself for those.")
    status: PipelineStatus = PipelineStatus()


class PipelineList(Answer):
    """One page of Pipelines."""

    items: list[PipelineSummary]
    metadata: ListMetadata


class JobObject(Answer):
    """A PipelineJob."""

    api_version: Literal["taskpipeline.dev/v1alpha1"]
    kind: Literal["PipelineJob"]
    metadata: Metadata
    spec: PipelineJobSpec
    status: PipelineJobStatus = PipelineJobStatus()


class JobList(Answer):
    """One page of PipelineJobs."""

    items: list[JobObject]
    metadata: ListMetadata


class PlannedStage(Answer):
    """One stage as it would run."""

    stage: str
    jobs: list[str] = Field(description="Names of its jobs in the order in which they would be launched.")


class Verdict(Answer):
    """What is to be said of a Pipeline before it is created."""

    valid: bool
    errors: list[Fault] = Field(description="Every fault, with its path.")
    plan: list[PlannedStage] = Field(description="The stages in their order; empty if there are faults.")


class KindVersion(Answer):
    """One version of a job kind."""

    version: str
    params: dict[str, Any] = Field(description="JSON Schema of the params.")


class Kind(Answer):
    """One job kind."""

    name: str
    versions: list[KindVersion]


class KindList(Answer):
    """All job kinds of this server."""

    items: list[Kind]


class Health(Answer):
    """Whether the server is well."""

    status: Literal["ok"] = "ok"
