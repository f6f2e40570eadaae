"""Faults between the fields of params, and limits of the kernel and of the operator's settings.

Rule: a check yields (path below params, message) for every fault it finds; the message names the limit and the
way out, and never repeats a value. Sizes are bytes of UTF-8, as the kernel counts them.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from task_pipeline.core.workload import KindDefaults, PodSecurity
from task_pipeline.kinds._params import ContainerParams, EnvSource, PodParams
from task_pipeline.kinds._pods import value_text
from task_pipeline.kinds._scalars import reserved

Problem = tuple[str, str]

MAX_ARGUMENT = 131_071  # MAX_ARG_STRLEN of Linux, 32 pages, without the closing NUL

_ADVICE = "put it into a file, a ConfigMap or a Secret and mount that with volumes and volumeMounts"


def size(text: str) -> int:
    """Bytes of `text`."""
    return len(text.encode())


def given(params: BaseModel, field: str) -> bool:
    """Whether the user gave `field`. A field that is being refused has no value here, and is given all the same."""
    return field in params.model_fields_set


def container_problems(params: ContainerParams) -> Iterator[Problem]:
    """Arguments and values that the kernel would refuse, so that the container could not start."""
    for field, texts in (("command", params.command), ("args", params.args)):
        for index, text in enumerate(texts or ()):
            if size(text) > MAX_ARGUMENT:
                yield (
                    f"{field}[{index}]",
                    f"has {size(text)} bytes, one argument holds {MAX_ARGUMENT}: {_ADVICE}",
                )
    for name, value in (params.env or {}).items():
        if isinstance(value, EnvSource):
            continue
        length = size(f"{name}={value_text(value)}")
        if length > MAX_ARGUMENT:
            yield (
                f"env.{name}",
                f"name and value have {length} bytes, a variable holds {MAX_ARGUMENT}: {_ADVICE}",
            )


def pod_problems(params: PodParams, defaults: KindDefaults) -> Iterator[Problem]:
    """What `container_problems` finds, and mounts, volumes and user ids that do not fit together."""
    yield from container_problems(params)
    names = [volume.name for volume in params.volumes or ()]
    for index, name in enumerate(names):
        if name in names[:index]:
            yield f"volumes[{index}].name", "is used by another volume already; names must differ"
    paths = [mount.mount_path for mount in params.volume_mounts or ()]
    for index, mount in enumerate(params.volume_mounts or ()):
        if mount.name not in names:
            yield (
                f"volumeMounts[{index}].name",
                f"is no volume; volumes has {', '.join(names) or 'none'}",
            )
        if mount.mount_path in paths[:index]:
            yield f"volumeMounts[{index}].mountPath", "is used by another mount already; paths must differ"
    context = params.security_context
    if context is None or context.run_as_user != 0:
        return
    by_setting = context.run_as_non_root is None and defaults.pod_security is PodSecurity.RESTRICTED
    if context.run_as_non_root or by_setting:
        source = "the operator's podSecurity is restricted" if by_setting else "runAsNonRoot is true"
        yield "securityContext.runAsUser", f"is 0, but {source}: use another id, or set runAsNonRoot: false"


def form_problems(params: PodParams, beside: frozenset[str]) -> Iterator[Problem]:
    """Short form and native `spec` in one: beside `spec`, only the fields `beside` may be given."""
    fields = type(params).model_fields
    both = [fields[name].alias or name for name in sorted(params.model_fields_set) if name not in beside]
    if both:
        yield "spec", f"cannot be combined with {', '.join(both)}: write everything into spec, or nothing"


def template_problems(spec: Mapping[str, Any], path: str = "spec") -> Iterator[Problem]:
    """What must be known of the pod template in a native spec; the rest is the API server's to judge."""
    template = spec.get("template")
    pod = template.get("spec") if isinstance(template, Mapping) else None
    if not isinstance(template, Mapping) or not isinstance(pod, Mapping):
        yield f"{path}.template.spec", "required: the pod's spec, with its containers"
        return
    containers = pod.get("containers")
    if not isinstance(containers, list) or not containers:
        yield f"{path}.template.spec.containers", "required: a list of at least one container"
    metadata = template.get("metadata")
    if metadata is None:
        return
    if not isinstance(metadata, Mapping):
        yield f"{path}.template.metadata", "must be a map"
        return
    for field in ("labels", "annotations"):
        keys = metadata.get(field) or {}
        if not isinstance(keys, Mapping):
            yield f"{path}.template.metadata.{field}", "must be a map"
            continue
        for key in keys:
            fault = reserved(str(key))
            if fault is not None:
                yield f"{path}.template.metadata.{field}[{key}]", fault
