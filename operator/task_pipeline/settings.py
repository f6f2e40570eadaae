"""Every setting of the operator: its name, default and meaning, once.

Read from the environment (prefix TASK_PIPELINE_; QUEUE_SIZE and MAX_RUNNING_JOBS also as they stand) and from the YAML
file that TASK_PIPELINE_CONFIG names. For limits 0 means closed, `unlimited` no limit, and negative is refused.
"""

import os
from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, BeforeValidator, Field
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from task_pipeline.core.deadlines import Timeouts
from task_pipeline.core.retry import Backoff
from task_pipeline.core.workload import KindDefaults, PodSecurity

PREFIX = "TASK_PIPELINE_"
UNLIMITED = "unlimited"


def _limit(value: object) -> object:
    return None if value == UNLIMITED else value


Limit = Annotated[Annotated[int, Field(ge=0)] | None, BeforeValidator(_limit)]
Seconds = Annotated[float, Field(gt=0, le=3_153_600_000)]


class Settings(BaseSettings):
    """The operator's settings; frozen. Raises pydantic's ValidationError naming every wrong one."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", populate_by_name=True)

    queue_size: Limit = Field(
        default=1000,
        validation_alias=AliasChoices("queue_size", f"{PREFIX}QUEUE_SIZE", "QUEUE_SIZE"),
        description="How many READY jobs of open stages may be enqueued. 0: closed; unlimited: no limit.",
    )
    max_running_jobs: Limit = Field(
        default=100,
        validation_alias=AliasChoices("max_running_jobs", f"{PREFIX}MAX_RUNNING_JOBS", "MAX_RUNNING_JOBS"),
        description="How many jobs may be IN PROGRESS at once. 0: closed; unlimited: no limit.",
    )
    retry_backoff: Annotated[float, Field(ge=0, le=86_400)] = Field(
        default=10.0, description="Seconds before the first retry. 0: retry at once."
    )
    retry_backoff_factor: Annotated[float, Field(ge=1, le=100)] = Field(
        default=2.0, description="Each further pause is this many times as long."
    )
    retry_backoff_limit: Annotated[float, Field(ge=0, le=86_400)] = Field(
        default=300.0, description="No pause is longer than this, in seconds."
    )
    retry_backoff_jitter: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.2, description="Share by which pauses are spread; 0.2 is 20 %."
    )
    timeout: Seconds = Field(default=86_400.0, description="Seconds an attempt may take if its job names none.")
    start_timeout: Seconds = Field(
        default=600.0,
        description="Seconds a launched attempt may take to begin to run if its job names none.",
    )
    ttl_seconds_after_finished: Annotated[float, Field(ge=0)] = Field(
        default=604_800.0, description="Seconds after which the children of a finished Pipeline are removed."
    )
    shell_image: str | None = Field(default=None, description="Image of Shell jobs that name none.")
    pod_security: PodSecurity = Field(
        default=PodSecurity.BASELINE,
        description="baseline, or restricted: also non-root and no capabilities.",
    )
    namespaces: tuple[str, ...] = Field(default=(), description="The namespaces to watch; empty: all of them.")
    operator_namespace: str = Field(
        default="task-pipeline",
        min_length=1,
        description="The operator's own namespace, where PipelineClients live.",
    )
    kubeconfig: Path | None = Field(
        default=None,
        validation_alias=AliasChoices("kubeconfig", f"{PREFIX}KUBECONFIG", "KUBECONFIG"),
        description="The kubeconfig file; inside a pod the service account is used instead.",
    )
    health_port: Annotated[int, Field(ge=0, le=65_535)] = Field(default=8080, description="Port of /healthz; 0: none.")
    health_address: str = Field(default="127.0.0.1", description="Address of /healthz.")
    workers: Annotated[int, Field(ge=1, le=256)] = Field(
        default=32, description="How many objects are worked on at once, and connections for writes."
    )
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Log level.")

    @property
    def backoff(self) -> Backoff:
        """The pauses between attempts."""
        return Backoff(
            self.retry_backoff, self.retry_backoff_factor, self.retry_backoff_limit, self.retry_backoff_jitter
        )

    @property
    def timeouts(self) -> Timeouts:
        """The defaults of jobs that name no timeouts."""
        return Timeouts(run=self.timeout, start=self.start_timeout)

    @property
    def kind_defaults(self) -> KindDefaults:
        """What job kinds may use."""
        return KindDefaults(shell_image=self.shell_image, pod_security=self.pod_security)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments beat the environment, the environment beats the file."""
        file = os.environ.get(f"{PREFIX}CONFIG")
        if file is None:
            return init_settings, env_settings
        return init_settings, env_settings, YamlConfigSettingsSource(settings_cls, yaml_file=file)
