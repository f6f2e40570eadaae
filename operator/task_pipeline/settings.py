"""Every setting of operator, REST server and HTTP runner: its name, default, meaning and when a change applies, once.

Read from flags, from the environment (prefix TASK_PIPELINE_; QUEUE_SIZE and MAX_RUNNING_JOBS also as they stand) and
from the YAML file that TASK_PIPELINE_CONFIG names; the first of them that has a setting wins. For limits 0 means
closed, `unlimited` no limit, and negative is refused. Settings marked `Live` change while the operator runs.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, ValidationInfo
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from task_pipeline import settings_file
from task_pipeline.core.deadlines import Timeouts
from task_pipeline.core.remote import Lease
from task_pipeline.core.retry import Backoff
from task_pipeline.core.urls import WrongURL, parse_entry, parse_url
from task_pipeline.core.workload import KindDefaults, PodSecurity

PREFIX = "TASK_PIPELINE_"
CONFIG = f"{PREFIX}CONFIG"
UNLIMITED = "unlimited"

T = TypeVar("T")
AT_ONCE = "at once"
Live = Annotated[T, AT_ONCE]


def _limit(value: object) -> object:
    if value is None or isinstance(value, bool):  # an empty line in a file must not open a limit
        raise ValueError(f"has to be a number, or {UNLIMITED}")
    return None if value == UNLIMITED else value


def _names(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return [name.strip() for name in value.split(",") if name.strip()]


def _targets(entries: tuple[str, ...]) -> tuple[str, ...]:
    for entry in entries:
        try:
            parse_entry(entry)
        except WrongURL as error:
            raise ValueError(f'entry "{entry}" {error}') from None
    return entries


def _url(text: str) -> str:
    try:
        target = parse_url(text)
    except WrongURL as error:
        raise ValueError(str(error)) from None
    if target.query:
        raise ValueError("must not have a query (?...)")
    return target.url.rstrip("/")


def _below(other: str) -> Callable[[float, ValidationInfo], float]:
    """A check that a number is smaller than the setting `other`, which stands before it."""

    def check(value: float, info: ValidationInfo) -> float:
        bound = info.data.get(other)
        if bound is not None and value >= bound:
            raise ValueError(f"must be less than {other}, which is {bound:g}")
        return value

    return check


Limit = Annotated[Annotated[int, Field(ge=0)] | None, BeforeValidator(_limit)]
Seconds = Annotated[float, Field(gt=0, le=3_153_600_000)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)]
Targets = Annotated[Names, AfterValidator(_targets)]
Url = Annotated[str, AfterValidator(_url)]


class WrongSettings(Exception):
    """Settings that cannot be used; each of `faults` names its place."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


class Settings(BaseSettings):
    """The operator's settings; frozen. Raises pydantic's ValidationError naming every wrong one."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", populate_by_name=True)

    queue_size: Live[Limit] = Field(
        default=1000,
        validation_alias=AliasChoices("queue_size", f"{PREFIX}QUEUE_SIZE", "QUEUE_SIZE"),
        description="How many READY jobs of open stages may be enqueued. 0: closed; unlimited: no limit.",
    )
    max_running_jobs: Live[Limit] = Field(
        default=100,
        validation_alias=AliasChoices("max_running_jobs", f"{PREFIX}MAX_RUNNING_JOBS", "MAX_RUNNING_JOBS"),
        description="How many jobs may be IN PROGRESS at once. 0: closed; unlimited: no limit.",
    )
    retry_backoff: Live[Annotated[float, Field(ge=0, le=86_400)]] = Field(
        default=10.0, description="Seconds before the first retry. 0: retry at once."
    )
    retry_backoff_factor: Live[Annotated[float, Field(ge=1, le=100)]] = Field(
        default=2.0, description="Each further pause is this many times as long."
    )
    retry_backoff_limit: Live[Annotated[float, Field(ge=0, le=86_400)]] = Field(
        default=300.0, description="No pause is longer than this, in seconds."
    )
    retry_backoff_jitter: Live[Annotated[float, Field(ge=0, le=1)]] = Field(
        default=0.2, description="Share by which pauses are spread; 0.2 is 20 %."
    )
    timeout: Live[Seconds] = Field(default=86_400.0, description="Seconds an attempt may take if its job names none.")
    start_timeout: Live[Seconds] = Field(
        default=600.0,
        description="Seconds a launched attempt may take to begin to run if its job names none.",
    )
    worker_lease: Annotated[float, Field(ge=1, le=3600)] = Field(
        default=60.0,
        description="Seconds for which a worker holds the job that it has claimed without a sign of life; the REST "
        "server asks for three in that time.",
    )
    ttl_seconds_after_finished: Live[Annotated[float, Field(ge=0)]] = Field(
        default=604_800.0, description="Seconds after which the children of a finished Pipeline are removed."
    )
    shell_image: Live[str | None] = Field(default=None, description="Image of Shell jobs that name none.")
    pod_security: Live[PodSecurity] = Field(
        default=PodSecurity.BASELINE,
        description="baseline, or restricted: also non-root and no capabilities.",
    )
    namespaces: Names = Field(default=(), description="The namespaces to watch; empty: all of them.")
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
    leader_election: bool = Field(
        default=True,
        description="Whether this replica works only while it holds the Lease task-pipeline-operator in the operator's "
        "namespace. false: it always works; start no other beside it.",
    )
    leader_lease_duration: Annotated[int, Field(ge=1, le=300)] = Field(
        default=15, description="Seconds after its last renewal for which others leave the Lease to its holder."
    )
    leader_renew_deadline: Annotated[float, Field(gt=0), AfterValidator(_below("leader_lease_duration"))] = Field(
        default=10.0,
        validate_default=True,
        description="Seconds after its last renewal for which the holder works; then it leaves the process.",
    )
    leader_retry_period: Annotated[float, Field(ge=0.1), AfterValidator(_below("leader_renew_deadline"))] = Field(
        default=2.0, validate_default=True, description="Seconds between two tries to get the Lease, or to renew it."
    )
    health_port: Annotated[int, Field(ge=0, le=65_535)] = Field(
        default=8080, description="Port of /healthz, /readyz and /metrics of the operator; 0: none."
    )
    metrics_port: Annotated[int, Field(ge=0, le=65_535)] = Field(
        default=0,
        description="Port of /metrics, /healthz and /readyz of the HTTP runner, and of /metrics of the REST server, "
        "which never shows them on its own port; 0: none.",
    )
    health_address: str = Field(default="127.0.0.1", description="Address of both ports.")
    server_address: str = Field(default="127.0.0.1", description="Address of the REST server.")
    server_port: Annotated[int, Field(ge=0, le=65_535)] = Field(
        default=8090, description="Port of the REST server; 0: any that is free, which the log then names."
    )
    server_proxies: Names = Field(
        default=(),
        description="Networks such as 10.0.0.0/8 whose X-Forwarded-For the REST server believes.",
    )
    server_secure_cookies: bool = Field(
        default=True,
        description="Whether browsers send the cookie of the web pages over TLS only. false: also over plain HTTP, for "
        "a server that is tried out without TLS.",
    )
    http_runner_account: str | None = Field(
        default=None,
        description="NAMESPACE/NAME of the service account that may claim jobs of the kind HTTP.",
    )
    server_url: Url = Field(
        default="http://127.0.0.1:8090", description="Where the HTTP runner reaches the REST server."
    )
    http_callback_url: Url | None = Field(
        default=None,
        description="Where services outside the cluster reach the REST server, for callbacks; absent: server_url.",
    )
    http_runner_token_file: Path = Field(
        default=Path("/var/run/secrets/task-pipeline/token"),
        description="File with the HTTP runner's service account token, of the audience task-pipeline.",
    )
    http_allow: Targets = Field(
        default=("https://*",),
        description="Targets that HTTP jobs may use: https://*.example.com, or http://payments.shop.svc:8080 for a "
        "host that may have a private address.",
    )
    http_timeout: Seconds = Field(default=3600.0, description="The longest that a request of an HTTP job may take.")
    http_requests: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=50, description="How many requests one HTTP runner has open at once."
    )
    workers: Annotated[int, Field(ge=1, le=256)] = Field(
        default=32, description="How many objects are worked on at once, and connections for writes."
    )
    log_level: Live[str] = Field(
        default="INFO",
        pattern="^(DEBUG|INFO|WARNING|ERROR)$",
        description="The least that is logged: DEBUG, INFO, WARNING or ERROR.",
    )

    @property
    def backoff(self) -> Backoff:
        """The pauses between attempts."""
        return Backoff(
            self.retry_backoff, self.retry_backoff_factor, self.retry_backoff_limit, self.retry_backoff_jitter
        )

    @property
    def lease(self) -> Lease:
        """How long workers hold what they have claimed."""
        return Lease(self.worker_lease)

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
        """Arguments beat the environment, the environment beats the file; flags come before all. Raises WrongFile."""
        path = config_path()
        if path is None:
            return init_settings, env_settings
        return init_settings, env_settings, InitSettingsSource(settings_cls, settings_file.values(path))


def config_path() -> Path | None:
    """The YAML file with settings, if one is named."""
    named = os.environ.get(CONFIG)
    return Path(named).expanduser() if named else None


def variables(name: str) -> tuple[str, ...]:
    """The environment variables that give the setting `name`."""
    alias = Settings.model_fields[name].validation_alias
    choices = alias.choices if isinstance(alias, AliasChoices) else [PREFIX + name.upper()]
    return tuple(choice for choice in choices if isinstance(choice, str) and choice.isupper())


def is_live(field: FieldInfo) -> bool:
    """Whether a change of the setting applies while the operator runs."""
    return AT_ONCE in field.metadata


def take_over(in_force: Settings, wanted: Settings) -> tuple[Settings, Mapping[str, Any]]:
    """The settings from now on, and those by name that have to wait for the next start of the operator."""
    live = {name: getattr(wanted, name) for name, field in Settings.model_fields.items() if is_live(field)}
    settings = in_force.model_copy(update=live)
    waiting = {name: value for name, value in wanted if getattr(settings, name) != value}
    return settings, waiting
