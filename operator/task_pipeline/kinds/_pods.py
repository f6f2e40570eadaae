"""Building pods from the short forms: small, and byte for byte what the user wrote.

Rule: Kubernetes expands `$(NAME)` and turns `$$` into `$` in commands, arguments and values, so every `$` of the user
is doubled on its way; afterwards the container sees the text as written. Fields that would be empty are left out:
every watcher decodes every byte of a pod at every event.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from task_pipeline.api.group import (
    ANNOTATION_ATTEMPT,
    API_VERSION,
    LABEL_JOB_HASH,
    LABEL_MANAGED_BY,
    MANAGED_BY,
    PIPELINEJOB_KIND,
)
from task_pipeline.core.workload import AttemptIdentity, KindDefaults, Manifest, PodSecurity
from task_pipeline.kinds._params import ContainerParams, EnvSource, PodParams, SecurityContext

RESTRICTED_USER = 65532


def escape(text: str) -> str:
    """`text` such that the expansion of Kubernetes gives back `text`, whatever variables exist."""
    return text.replace("$", "$$")


def escaped(texts: Sequence[str] | None) -> list[str]:
    """Every one of `texts`, escaped."""
    return [escape(text) for text in texts or ()]


def compact(fields: Mapping[str, Any]) -> Manifest:
    """`fields` without those that say nothing: None, and empty maps and lists."""
    return {name: value for name, value in fields.items() if value is not None and value != {} and value != []}


def value_text(value: str | bool | int) -> str:
    """A value of `env` as the container sees it: integers digit by digit, booleans as true and false."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def environment(env: Mapping[str, str | bool | int | EnvSource] | None) -> list[Manifest]:
    """The Kubernetes list for the map `env`, in its order."""
    return [
        {"name": name, "valueFrom": value.wire()}
        if isinstance(value, EnvSource)
        else {"name": name, "value": escape(value_text(value))}
        for name, value in (env or {}).items()
    ]


def named_security(context: SecurityContext | None) -> Manifest:
    """What the user named of a container's security context."""
    return {} if context is None else {k: v for k, v in context.wire().items() if k != "fsGroup"}


def container_security(context: SecurityContext | None, level: PodSecurity) -> Manifest:
    """A container's security context: the operator's level, overridden by what the user gave."""
    security: Manifest = {"allowPrivilegeEscalation": False, "seccompProfile": {"type": "RuntimeDefault"}}
    if level is PodSecurity.RESTRICTED:
        security |= {"runAsNonRoot": True, "runAsUser": RESTRICTED_USER, "capabilities": {"drop": ["ALL"]}}
    return security | named_security(context)


def container_fields(params: ContainerParams) -> Manifest:
    """The fields of a container that `params` name, without its name and its security context."""
    return compact(
        {
            "image": params.image,
            "command": escaped(params.command),
            "args": escaped(params.args),
            "env": environment(params.env),
            "envFrom": [source.wire() for source in params.env_from or ()],
            "workingDir": params.working_dir,
            "resources": params.resources.wire() if params.resources else None,
            "imagePullPolicy": params.image_pull_policy,
            "volumeMounts": [mount.wire() for mount in params.volume_mounts or ()],
        }
    )


def pod_fields(params: PodParams) -> Manifest:
    """The fields of a pod spec that `params` name, without its containers."""
    context = params.security_context
    return compact(
        {
            "serviceAccountName": params.service_account_name,
            "imagePullSecrets": [ref.wire() for ref in params.image_pull_secrets or ()],
            "nodeSelector": dict(params.node_selector or {}),
            "tolerations": [toleration.wire() for toleration in params.tolerations or ()],
            "volumes": [volume.wire() for volume in params.volumes or ()],
            "securityContext": None if context is None else compact({"fsGroup": context.fs_group}),
        }
    )


def pod_spec(params: PodParams, defaults: KindDefaults, container: Manifest) -> Manifest:
    """A whole pod spec with the one container `container`, to which the security context is added."""
    security = container_security(params.security_context, defaults.pod_security)
    spec: Manifest = {"enableServiceLinks": False, "containers": [{**container, "securityContext": security}]}
    if params.service_account_name is None:
        spec["automountServiceAccountToken"] = False
    return spec | pod_fields(params)


def tracking_labels(attempt: AttemptIdentity) -> dict[str, str]:
    """The labels by which the operator finds what it has launched."""
    return {LABEL_MANAGED_BY: MANAGED_BY, LABEL_JOB_HASH: attempt.job_hash}


def owned_metadata(
    attempt: AttemptIdentity,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Manifest:
    """Metadata of an object that the PipelineJob owns: garbage collection removes it together with the job."""
    owner = {
        "apiVersion": API_VERSION,
        "kind": PIPELINEJOB_KIND,
        "name": attempt.job,
        "uid": attempt.job_uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }
    return {
        "name": attempt.workload,
        "namespace": attempt.namespace,
        "labels": {**(labels or {}), **tracking_labels(attempt)},
        "annotations": {**(annotations or {}), ANNOTATION_ATTEMPT: str(attempt.attempt)},
        "ownerReferences": [owner],
    }
