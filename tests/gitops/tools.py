"""The objects of GitOps tools as far as our pages show them: fields and values that exist, others are refused.

Rule: written after the tools' own definitions, and only what an example uses; an example with another field needs it
added here by whoever has looked it up.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Thing = dict[str, Any]
Duration = Annotated[str, Field(pattern=r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$")]


class Strict(BaseModel):
    """Camel case, nothing unknown, nothing converted."""

    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


class Reference(Strict):
    """Another object of the tool."""

    kind: Literal["GitRepository", "OCIRepository", "Bucket", "HelmRepository"] = "GitRepository"
    name: str
    namespace: str | None = None


class Dependency(Strict):
    """What has to be ready before."""

    name: str
    namespace: str | None = None


class HealthCheckExpr(Strict):
    """Expressions for one kind."""

    api_version: str
    kind: str
    in_progress: str | None = None
    failed: str | None = None
    current: str


class Kustomization(Strict):
    """spec of kustomize.toolkit.fluxcd.io/v1 Kustomization."""

    interval: Duration
    timeout: Duration | None = None
    retry_interval: Duration | None = None
    path: str = Field(pattern=r"^\./")
    prune: bool
    wait: bool = False
    force: bool = False
    source_ref: Reference
    depends_on: list[Dependency] = []
    health_check_exprs: list[HealthCheckExpr] = []


class ChartSpec(Strict):
    """Where a chart comes from."""

    chart: str
    version: str | None = None
    source_ref: Reference


class Chart(Strict):
    """spec.chart of a HelmRelease."""

    spec: ChartSpec


class Remediation(Strict):
    """What follows an upgrade that failed."""

    retries: int
    strategy: Literal["rollback", "uninstall"] = "rollback"


class Upgrade(Strict):
    """spec.upgrade of a HelmRelease."""

    remediation: Remediation


class HelmTest(Strict):
    """spec.test of a HelmRelease."""

    enable: bool


class HelmRelease(Strict):
    """spec of helm.toolkit.fluxcd.io/v2 HelmRelease."""

    interval: Duration
    timeout: Duration | None = None
    chart: Chart
    upgrade: Upgrade | None = None
    test: HelmTest | None = None
    values: Thing = {}


class HelmSource(Strict):
    """spec.source.helm of an Application."""

    values_object: Thing


class Source(Strict):
    """spec.source of an Application."""

    repo_url: str = Field(alias="repoURL")
    target_revision: str
    path: str
    helm: HelmSource


class Destination(Strict):
    """spec.destination of an Application."""

    server: str
    namespace: str


class Automated(Strict):
    """spec.syncPolicy.automated of an Application."""

    prune: bool
    self_heal: bool


class NamespaceMetadata(Strict):
    """spec.syncPolicy.managedNamespaceMetadata of an Application."""

    labels: dict[str, str]


class SyncPolicy(Strict):
    """spec.syncPolicy of an Application."""

    automated: Automated
    sync_options: list[Literal["CreateNamespace=true", "ServerSideApply=true"]]
    managed_namespace_metadata: NamespaceMetadata


class Application(Strict):
    """spec of argoproj.io/v1alpha1 Application."""

    project: str
    source: Source
    destination: Destination
    sync_policy: SyncPolicy


SPECS: Mapping[tuple[str, str], type[Strict]] = {
    ("kustomize.toolkit.fluxcd.io/v1", "Kustomization"): Kustomization,
    ("helm.toolkit.fluxcd.io/v2", "HelmRelease"): HelmRelease,
    ("argoproj.io/v1alpha1", "Application"): Application,
}
_PHASES = "PreSync|Sync|PostSync|SyncFail"
_POLICIES = "BeforeHookCreation|HookSucceeded|HookFailed"
_OPTIONS = "Replace=true|Force=true|Prune=false|Delete=false"
ANNOTATIONS: Mapping[str, str] = {
    "argocd.argoproj.io/sync-wave": r"-?\d+",
    "argocd.argoproj.io/hook": f"({_PHASES})(,({_PHASES}))*",
    "argocd.argoproj.io/hook-delete-policy": f"({_POLICIES})(,({_POLICIES}))*",
    "argocd.argoproj.io/sync-options": f"({_OPTIONS})(,({_OPTIONS}))*",
    "kustomize.toolkit.fluxcd.io/force": "enabled",
}


def annotation_faults(metadata: Thing) -> Iterator[str]:
    """What is wrong with the annotations for tools."""
    for name, value in metadata.get("annotations", {}).items():
        if name not in ANNOTATIONS:
            yield f"unknown annotation {name}"
        elif not isinstance(value, str) or not re.fullmatch(ANNOTATIONS[name], value):
            yield f"{name}: {value!r}"
    policy = metadata.get("annotations", {}).get("argocd.argoproj.io/hook-delete-policy")
    if policy is not None and "argocd.argoproj.io/hook" not in metadata["annotations"]:
        yield "a delete policy without a hook"
