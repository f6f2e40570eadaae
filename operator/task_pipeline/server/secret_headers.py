"""The values of an HTTP job's headers that are in Secrets, read at the claim for the runner, which can read none.

Rule: two must agree before a value leaves the cluster: the server must have the right to read the Secret, which its
namespace gives by a RoleBinding, and the Secret itself must name the target in an annotation. The author of the
Pipeline alone can bring about neither. No value is ever part of a text.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import orjson

from task_pipeline.api.group import RESERVED_PREFIX
from task_pipeline.api.resources import SECRETS
from task_pipeline.core.records import JobRecord
from task_pipeline.core.urls import Target, WrongURL, parse_entry
from task_pipeline.kinds.http import KIND, HttpParams, SecretKey, header_value_fault
from task_pipeline.kinds.registry import parse
from task_pipeline.kube.cluster import Cluster
from task_pipeline.kube.errors import Forbidden, NotFound
from task_pipeline.server.upstream import persistently

TARGETS_ANNOTATION = f"{RESERVED_PREFIX}http-targets"
ROLE = "task-pipeline-http-secrets"


@dataclass(frozen=True, slots=True)
class SecretHeaders:
    """Header name to value; with `fault` there are none, and the attempt has to fail with ConfigError and this text."""

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    fault: str | None = None


class _Refused(Exception):
    """A value that is not given out; the text says why and who can change that."""


async def secret_headers(cluster: Cluster, job: JobRecord, operator_namespace: str) -> SecretHeaders:
    """The headers of `job` whose values are in Secrets; none for kinds other than HTTP.

    Raises KubeError when the cluster cannot be asked now.
    """
    if job.spec.kind != KIND.name:
        return SecretHeaders()
    params = parse(job.spec.kind, job.spec.version, msgspec.json.decode(job.spec.params))
    assert isinstance(params, HttpParams)
    wanted = params.secrets()
    read: dict[str, Mapping[str, Any]] = {}
    values: dict[str, str] = {}
    try:
        if wanted and job.namespace == operator_namespace:
            raise _Refused("Secrets of the operator's own namespace are sent to nobody: use another namespace")
        for header, key in wanted.items():
            if key.name not in read:
                read[key.name] = await _read(cluster, job.namespace, key.name)
                _check_target(read[key.name], params.target, f"{job.namespace}/{key.name}")
            values[header] = _value(read[key.name], key, f"{job.namespace}/{key.name}")
    except _Refused as refused:
        return SecretHeaders(fault=str(refused))
    return SecretHeaders(values)


async def _read(cluster: Cluster, namespace: str, name: str) -> Mapping[str, Any]:
    try:
        raw = await persistently(lambda: cluster.get(SECRETS, namespace, name))
    except NotFound:
        raise _Refused(f"the Secret {namespace}/{name} does not exist: create it, or correct the name") from None
    except Forbidden:
        raise _Refused(
            f"the REST server may not read the Secret {namespace}/{name}: bind a Role such as {ROLE}, with the verb "
            f"get on this Secret, to the server's service account by a RoleBinding in the namespace {namespace}"
        ) from None
    found: Mapping[str, Any] = orjson.loads(raw)
    return found


def _check_target(secret: Mapping[str, Any], target: Target, where: str) -> None:
    text = (secret["metadata"].get("annotations") or {}).get(TARGETS_ANNOTATION)
    if text is None:
        raise _Refused(
            f"the Secret {where} does not say where it may be sent: whoever owns it can annotate it with "
            f"{TARGETS_ANNOTATION}: {target.origin}"
        )
    try:
        entries = [parse_entry(entry) for entry in text.replace(",", " ").split()]
    except WrongURL as error:
        raise _Refused(f"the annotation {TARGETS_ANNOTATION} of the Secret {where} cannot be read: {error}") from None
    if not any(entry.covers(target) for entry in entries):
        raise _Refused(
            f"the Secret {where} may not be sent to {target.origin}: whoever owns it can add that to its annotation "
            f"{TARGETS_ANNOTATION}"
        )


def _value(secret: Mapping[str, Any], key: SecretKey, where: str) -> str:
    """The value under `key`; a line end at its end is left out, for a header can hold none."""
    encoded = (secret.get("data") or {}).get(key.key)
    if encoded is None:
        raise _Refused(f"the Secret {where} has no key {key.key}: add it, or correct the name")
    try:
        value = base64.b64decode(encoded).decode().removesuffix("\n").removesuffix("\r")
    except (binascii.Error, UnicodeDecodeError):
        raise _Refused(f"the key {key.key} of the Secret {where} holds bytes that no header can") from None
    fault = header_value_fault(value)
    if fault is not None:
        raise _Refused(f"the key {key.key} of the Secret {where} {fault}")
    return value
