"""The PipelineClient: who may submit, how much of it runs at once, and in which order.

Rule: its metadata.name is the clientId. Only those in the operator's own namespace count, out of
tenants' reach. Absent means unlimited and 0 means closed, for every limit.
"""

from typing import Annotated

from pydantic import Field

from task_pipeline.api.common import (
    NAMESPACE_PATTERN,
    SUBDOMAIN_PATTERN,
    CheckedTimestamp,
    Condition,
    Count,
    Generation,
    Int32,
    KindName,
    Model,
    Seconds,
    StatusModel,
)
from task_pipeline.api.pipeline import DEFAULT_PRIORITY

NamespaceName = Annotated[str, Field(min_length=1, max_length=63, pattern=NAMESPACE_PATTERN)]
SecretName = Annotated[str, Field(min_length=1, max_length=253, pattern=SUBDOMAIN_PATTERN)]


class SecretRef(Model):
    """The name of a Secret in the operator's namespace."""

    name: SecretName = Field(description="Name of a Secret in the operator's namespace.")


class Credential(Model):
    """One secret with which the client may log in."""

    secret_ref: SecretRef = Field(description="The Secret that holds the hash of the client secret.")
    not_after: CheckedTimestamp | None = Field(
        default=None,
        description="The credential is refused after this time. Always valid if absent.",
    )


class PipelineClientSpec(Model):
    """Rights, limits and rank of one client."""

    priority: Int32 = Field(
        default=DEFAULT_PRIORITY,
        description="Rank among the clients: the work of the smaller one runs first.",
    )
    max_running_jobs: Count | None = Field(
        default=None,
        description="How many jobs of the client may be IN PROGRESS. Absent: unlimited; 0: closed.",
    )
    queue_size: Count | None = Field(
        default=None,
        description="How many jobs of the client may be enqueued. Absent: unlimited; 0: closed.",
    )
    namespaces: tuple[NamespaceName, ...] = Field(
        strict=False,
        max_length=1000,
        description='Namespaces whose Pipelines may name this client; "*" stands for all of them.',
    )
    suspend: bool = Field(
        default=False,
        description="true: nothing more of this client is started; what runs goes on.",
    )
    highest_priority: Int32 | None = Field(
        default=None,
        description="The smallest priority value that the client's Pipelines may use. Any if absent.",
    )
    allowed_kinds: tuple[KindName, ...] | None = Field(
        default=None,
        strict=False,
        max_length=100,
        description="Job kinds that the client may use. All if absent.",
    )
    max_wait_seconds: Seconds | None = Field(
        default=None,
        description="A job that has waited longer goes to the front of the queue. Strict order if absent.",
    )
    credentials: tuple[Credential, ...] = Field(
        default=(),
        strict=False,
        max_length=10,
        description="Secrets with which the client may log in to the REST API; two during a rotation.",
    )

    def allows_namespace(self, namespace: str) -> bool:
        """Whether Pipelines of `namespace` may name this client."""
        return "*" in self.namespaces or namespace in self.namespaces

    def allows_kind(self, kind: str) -> bool:
        """Whether the client's Pipelines may use the job kind `kind`."""
        return self.allowed_kinds is None or kind in self.allowed_kinds


class PipelineClientStatus(StatusModel):
    """What the client is using now, written at most every ten seconds."""

    observed_generation: Generation | None = Field(
        default=None,
        description="The metadata.generation that this status was judged for.",
    )
    running: Count = Field(default=0, description="Jobs of the client that are IN PROGRESS.")
    queued: Count = Field(default=0, description="Jobs of the client that are enqueued.")
    conditions: tuple[Condition, ...] = Field(
        default=(),
        strict=False,
        max_length=32,
        description="Ready: whether the client can be used as it is written.",
    )
