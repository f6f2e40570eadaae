"""Volumes that a pod of the short forms may have: four sources, and where they are mounted.

Rule: sources of the node (hostPath) and projected tokens are not among them; who needs those writes a native `spec`.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from task_pipeline.kinds._scalars import DnsLabel, FileMode, KeyName, KindModel, ObjectName, Quantity, Text

MountPath = Annotated[Text, Field(min_length=1, pattern=r"^[^:]+$")]


class KeyToPath(KindModel):
    """One key of a ConfigMap or Secret, and the file it becomes."""

    key: KeyName = Field(description="The key to project.")
    path: Annotated[Text, Field(min_length=1)] = Field(description="Relative path of the file.")
    mode: FileMode | None = Field(default=None, description="Permission bits of the file.")


Items = Annotated[tuple[KeyToPath, ...], Field(strict=False)]


class EmptyDir(KindModel):
    """A directory that lives as long as the pod."""

    medium: Literal["", "Memory"] | None = Field(default=None, description="Memory for a tmpfs.")
    size_limit: Quantity | None = Field(default=None, description="Most space it may use, such as 1Gi.")


class ConfigMapVolume(KindModel):
    """The keys of a ConfigMap as files."""

    name: ObjectName = Field(description="The ConfigMap.")
    items: Items | None = Field(default=None, description="Which keys; absent = all of them.")
    default_mode: FileMode | None = Field(default=None, description="Permission bits of the files.")
    optional: bool | None = Field(default=None, description="true: start even if it does not exist.")


class SecretVolume(KindModel):
    """The keys of a Secret as files."""

    secret_name: ObjectName = Field(description="The Secret.")
    items: Items | None = Field(default=None, description="Which keys; absent = all of them.")
    default_mode: FileMode | None = Field(default=None, description="Permission bits of the files.")
    optional: bool | None = Field(default=None, description="true: start even if it does not exist.")


class ClaimVolume(KindModel):
    """A PersistentVolumeClaim of the same namespace."""

    claim_name: ObjectName = Field(description="The PersistentVolumeClaim.")
    read_only: bool | None = Field(default=None, description="true: mount it for reading only.")


class Volume(KindModel):
    """A volume: its name and exactly one source."""

    name: DnsLabel = Field(description="The name that volumeMounts refer to.")
    empty_dir: EmptyDir | None = Field(default=None, description="A directory that lives as long as the pod.")
    config_map: ConfigMapVolume | None = Field(default=None, description="The keys of a ConfigMap as files.")
    secret: SecretVolume | None = Field(default=None, description="The keys of a Secret as files.")
    persistent_volume_claim: ClaimVolume | None = Field(default=None, description="A PersistentVolumeClaim.")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        sources = (self.empty_dir, self.config_map, self.secret, self.persistent_volume_claim)
        if sum(source is not None for source in sources) != 1:
            raise ValueError("must have exactly one of emptyDir, configMap, secret, persistentVolumeClaim")
        return self


class VolumeMount(KindModel):
    """Where the container sees a volume."""

    name: DnsLabel = Field(description="The volume.")
    mount_path: MountPath = Field(description="The directory or file in the container.")
    sub_path: Text | None = Field(default=None, description="Only this path inside the volume.")
    read_only: bool | None = Field(default=None, description="true: mount it for reading only.")
