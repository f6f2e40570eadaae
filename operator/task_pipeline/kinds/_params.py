"""Params that several kinds have in common: environment, container, pod.

Rule: names and shapes are those of Kubernetes, except that `env` is a map. Faults of one field are found
here; faults between fields, and limits that depend on the operator's settings, are in `_checks`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from task_pipeline.kinds._scalars import (
    EnvName,
    Image,
    KeyName,
    KindModel,
    LabelKey,
    LabelValue,
    ObjectName,
    QualifiedName,
    Quantity,
    SomeTexts,
    Text,
    Texts,
    UserId,
    deliverable,
    integer_fault,
)
from task_pipeline.kinds._volumes import Volume, VolumeMount


class KeyRef(KindModel):
    """One key of a Secret or ConfigMap."""

    name: ObjectName = Field(description="The Secret or ConfigMap.")
    key: KeyName = Field(description="The key in it.")
    optional: bool | None = Field(default=None, description="true: leave the variable out if it does not exist.")


class FieldRef(KindModel):
    """A field of the pod itself."""

    field_path: Annotated[Text, Field(min_length=1)] = Field(description="Such as metadata.name or status.podIP.")


class EnvSource(KindModel):
    """Where the value of an environment variable comes from: exactly one of the three."""

    secret_key_ref: KeyRef | None = Field(default=None, description="A key of a Secret.")
    config_map_key_ref: KeyRef | None = Field(default=None, description="A key of a ConfigMap.")
    field_ref: FieldRef | None = Field(default=None, description="A field of the pod.")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        sources = (self.secret_key_ref, self.config_map_key_ref, self.field_ref)
        if sum(source is not None for source in sources) != 1:
            raise ValueError("must have exactly one of secretKeyRef, configMapKeyRef, fieldRef")
        return self


def _env_value(value: object) -> object:
    """Choose the one branch that `value` means, so that a fault is told once, not per branch."""
    if isinstance(value, float):
        raise ValueError('a number with a fraction may be changed on its way: quote it, as in "1.10"')
    if isinstance(value, Mapping):
        return EnvSource.model_validate(value, by_alias=True, by_name=False)
    if not isinstance(value, str | int | EnvSource):
        raise ValueError("must be a string, an integer, a boolean, or one of secretKeyRef, configMapKeyRef, fieldRef")
    if isinstance(value, str):
        return deliverable(value)
    fault = integer_fault(value) if isinstance(value, int) else None
    if fault is not None:
        raise ValueError(fault)
    return value


EnvValue = Annotated[str | bool | int | EnvSource, BeforeValidator(_env_value)]


class EnvFromRef(KindModel):
    """A ConfigMap or Secret of which every key becomes a variable."""

    name: ObjectName = Field(description="The ConfigMap or Secret.")
    optional: bool | None = Field(default=None, description="true: start even if it does not exist.")


class EnvFrom(KindModel):
    """Variables from all keys of one object."""

    prefix: EnvName | None = Field(default=None, description="Put before each name.")
    config_map_ref: EnvFromRef | None = Field(default=None, description="A ConfigMap.")
    secret_ref: EnvFromRef | None = Field(default=None, description="A Secret.")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.config_map_ref is None) == (self.secret_ref is None):
            raise ValueError("must have exactly one of configMapRef, secretRef")
        return self


class Resources(KindModel):
    """What the container asks for and what it may use at most."""

    requests: dict[QualifiedName, Quantity] | None = Field(default=None, description="What the scheduler sets aside.")
    limits: dict[QualifiedName, Quantity] | None = Field(default=None, description="What it may use at most.")


class Toleration(KindModel):
    """A taint of nodes that the pod puts up with."""

    key: QualifiedName | None = Field(default=None, description="The taint's key; absent = every key.")
    operator: Literal["Exists", "Equal"] | None = Field(default=None, description="How key and value are compared.")
    value: LabelValue | None = Field(default=None, description="The taint's value.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        default=None, description="The taint's effect; absent = every effect."
    )
    toleration_seconds: int | None = Field(default=None, description="For how long, with effect NoExecute.")


class SecurityContext(KindModel):
    """Who the container runs as. What is given wins over the operator's podSecurity setting."""

    run_as_user: UserId | None = Field(default=None, description="User id.")
    run_as_group: UserId | None = Field(default=None, description="Group id.")
    run_as_non_root: bool | None = Field(default=None, description="true: refuse to start as user 0.")
    fs_group: UserId | None = Field(default=None, description="Group that owns the volumes' files.")
    read_only_root_filesystem: bool | None = Field(default=None, description="true: the image's files are read-only.")


class LocalRef(KindModel):
    """An object of the same namespace."""

    name: ObjectName = Field(description="Its name.")


class ContainerParams(KindModel):
    """The short form of one container."""

    image: Image | None = Field(default=None, description="The image to run.")
    command: SomeTexts | None = Field(default=None, description="Program and first arguments, run without a shell.")
    args: Texts | None = Field(default=None, description="Arguments after command (or after the image's entry point).")
    env: dict[EnvName, EnvValue] | None = Field(
        default=None,
        description="Environment: name -> string, integer, boolean, or one of secretKeyRef, configMapKeyRef, fieldRef.",
    )
    env_from: Annotated[tuple[EnvFrom, ...], Field(strict=False)] | None = Field(
        default=None, description="All keys of ConfigMaps or Secrets as environment."
    )
    working_dir: Text | None = Field(default=None, description="Directory to start in; absent = the image's own.")
    resources: Resources | None = Field(default=None, description="Requests and limits.")
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = Field(
        default=None, description="When to pull the image; absent = as Kubernetes does by the tag."
    )
    volume_mounts: Annotated[tuple[VolumeMount, ...], Field(strict=False)] | None = Field(
        default=None, description="Where the container sees the volumes."
    )
    security_context: SecurityContext | None = Field(default=None, description="Who the container runs as.")


class PodParams(ContainerParams):
    """The short form of a pod with one container."""

    service_account_name: ObjectName | None = Field(
        default=None, description="Service account; absent = the namespace's default, without its token."
    )
    image_pull_secrets: Annotated[tuple[LocalRef, ...], Field(strict=False)] | None = Field(
        default=None, description="Secrets with which the image is pulled."
    )
    node_selector: dict[QualifiedName, LabelValue] | None = Field(
        default=None, description="Labels that the node must have."
    )
    tolerations: Annotated[tuple[Toleration, ...], Field(strict=False)] | None = Field(
        default=None, description="Taints of nodes that the pod puts up with."
    )
    volumes: Annotated[tuple[Volume, ...], Field(strict=False)] | None = Field(
        default=None, description="Volumes: emptyDir, configMap, secret, persistentVolumeClaim."
    )


class LabelledParams(PodParams):
    """A pod with labels and annotations of the user's own."""

    labels: dict[LabelKey, LabelValue] | None = Field(
        default=None, description="Labels; taskpipeline.dev/ and app.kubernetes.io/managed-by are reserved."
    )
    annotations: dict[LabelKey, Text] | None = Field(
        default=None, description="Annotations; taskpipeline.dev/ is reserved."
    )


NativeSpec = Annotated[dict[str, Any], Field(min_length=1)]
