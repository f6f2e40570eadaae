"""Shell: a script or a command in a bare Pod of its own, never in the operator.

A script is the argument of `/bin/sh -c`, or of `shell`: no file, so a `#!` line is a comment; it is the container's
first process as far as the shell stays, so a `trap` on TERM works. Beyond one argument (128 KiB) the same text comes
as a file from a ConfigMap, and the shell is called with that file instead of `-c`. No shell option is added: write
`set -e` for a script that shall end at its first failing line. Text arrives byte for byte; only what a POSIX shell
cannot read anyway is refused: Windows line ends, recognised by those of the first line, and a byte order mark.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated

from pydantic import BaseModel, Field

from task_pipeline.api.objects import PodView, WorkloadView
from task_pipeline.api.resources import CONFIG_MAPS, PODS, Resource
from task_pipeline.core.workload import AttemptIdentity, KindDefaults, Launch, Manifest, Observation, Right
from task_pipeline.kinds._checks import MAX_ARGUMENT, Problem, given, pod_problems, size
from task_pipeline.kinds._judge import judge_pod
from task_pipeline.kinds._params import LabelledParams
from task_pipeline.kinds._pods import container_fields, escaped, owned_metadata, pod_spec
from task_pipeline.kinds._scalars import SomeTexts, Text

MAIN = "main"
MAX_SCRIPT = 1_000_000  # a ConfigMap holds 1 MiB with all its keys
SCRIPT_VOLUME = "task-pipeline-script"
SCRIPT_DIRECTORY = "/task-pipeline"
DEFAULT_SHELL = ("/bin/sh", "-c")

_COMMAND_FLAG = re.compile(r"-([A-Za-z]*)c", re.ASCII)
_POSIX_SHELLS = frozenset({"sh", "ash", "bash", "dash", "ksh", "zsh"})


class ShellParams(LabelledParams):
    """A script or a command, and the pod it runs in."""

    script: Annotated[Text, Field(min_length=1)] | None = Field(
        default=None,
        description="Script, given to `/bin/sh -c` or to shell. Exactly one of script and command.",
    )
    shell: SomeTexts | None = Field(
        default=None, description="What runs the script, such as [/bin/bash, -ec]; absent = [/bin/sh, -c]."
    )


def _file_shell(shell: Sequence[str]) -> list[str] | None:
    """`shell` such that its next argument is a file instead of a script; None when it does not end with -c."""
    match = _COMMAND_FLAG.fullmatch(shell[-1]) if len(shell) > 1 else None
    if match is None:
        return None
    return [*shell[:-1], *([f"-{match[1]}"] if match[1] else [])]


def _script_problems(script: str, shell: Sequence[str]) -> Iterator[Problem]:
    if size(script) > MAX_SCRIPT:
        yield (
            "script",
            f"has {size(script)} bytes, the limit is {MAX_SCRIPT}: put it into the image or a volume",
        )
    elif size(script) > MAX_ARGUMENT and _file_shell(shell) is None:
        yield (
            "shell",
            f"must end with -c, because a script of more than {MAX_ARGUMENT} bytes is given to it as a file",
        )
    if shell[0].rpartition("/")[2] not in _POSIX_SHELLS:
        return
    if script.startswith("\ufeff"):
        yield "script", "begins with a byte order mark, which a shell takes for a command: save it without"
    if script.partition("\n")[0].endswith("\r"):
        yield (
            "script",
            "has Windows line ends (CR LF), which a shell takes for part of the commands: save it with LF",
        )


def _problems(params: ShellParams, defaults: KindDefaults) -> Iterator[Problem]:
    if not given(params, "image") and defaults.shell_image is None:
        yield "image", "required: the operator has no default image (setting shellImage)"
    if given(params, "script") == given(params, "command"):
        yield "script", "give exactly one of script and command"
    if given(params, "shell") and not given(params, "script"):
        yield "shell", "only goes with script"
    if given(params, "args") and params.args != () and not given(params, "command"):
        yield "args", "only goes with command"
    if params.script is not None:
        yield from _script_problems(params.script, params.shell or DEFAULT_SHELL)
    yield from pod_problems(params, defaults)
    for index, volume in enumerate(params.volumes or ()):
        if volume.name == SCRIPT_VOLUME:
            yield f"volumes[{index}].name", "is reserved for the operator: use another name"
    for index, mount in enumerate(params.volume_mounts or ()):
        if mount.mount_path.rstrip("/") == SCRIPT_DIRECTORY:
            yield f"volumeMounts[{index}].mountPath", "is reserved for the operator: use another path"


class ShellKind:
    """The kind `Shell`."""

    name = "Shell"
    versions: Mapping[str, type[BaseModel]] = MappingProxyType({"1.0.0": ShellParams})
    resource: Resource = PODS
    reads_current = False
    rights = (
        Right(PODS, ("create", "delete", "get", "list", "watch")),
        Right(CONFIG_MAPS, ("create", "get")),
    )

    def problems(self, params: BaseModel, defaults: KindDefaults) -> Sequence[Problem]:
        """Faults between fields, sizes, and the image when there is no default."""
        assert isinstance(params, ShellParams)
        return tuple(_problems(params, defaults))

    def workload_name(self, params: BaseModel, attempt: AttemptIdentity) -> str:
        """The pod's name: the attempt's."""
        return attempt.workload

    def launch(
        self, params: BaseModel, attempt: AttemptIdentity, defaults: KindDefaults, current: Manifest | None
    ) -> Launch:
        """The pod, and the ConfigMap of its script if that is longer than one argument."""
        assert isinstance(params, ShellParams)
        script, shell = params.script, params.shell or DEFAULT_SHELL
        as_file = script is not None and size(script) > MAX_ARGUMENT
        container: Manifest = {
            "name": MAIN,
            **container_fields(params),
            "image": params.image or defaults.shell_image,
            "terminationMessagePolicy": "FallbackToLogsOnError",
        }
        if script is not None and not as_file:
            container["command"] = escaped((*shell, script))
        spec = pod_spec(params, defaults, container) | {"restartPolicy": "Never"}
        if script is not None and as_file:
            _mount_script(spec, shell, attempt.workload)
        metadata = owned_metadata(attempt, params.labels, params.annotations)
        pod: Manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        companions = (_script_map(attempt, script),) if script is not None and as_file else ()
        return Launch(PODS, pod, companions)

    def observe(self, workload: WorkloadView, pods: Sequence[PodView]) -> Observation:
        """The end of the container `main` decides, whatever containers others have put beside it."""
        assert isinstance(workload, PodView)
        return judge_pod(workload, MAIN)


def _mount_script(spec: Manifest, shell: Sequence[str], config_map: str) -> None:
    """Give the pod its script as a file."""
    container = spec["containers"][0]
    container["command"] = escaped((*(_file_shell(shell) or shell), f"{SCRIPT_DIRECTORY}/script"))
    mount = {"name": SCRIPT_VOLUME, "mountPath": SCRIPT_DIRECTORY, "readOnly": True}
    container["volumeMounts"] = [*container.get("volumeMounts", ()), mount]
    volume = {"name": SCRIPT_VOLUME, "configMap": {"name": config_map}}
    spec["volumes"] = [*spec.get("volumes", ()), volume]


def _script_map(attempt: AttemptIdentity, script: str) -> Manifest:
    return {
        "apiVersion": CONFIG_MAPS.api_version,
        "kind": CONFIG_MAPS.kind,
        "metadata": owned_metadata(attempt),
        "immutable": True,
        "data": {"script": script},
    }


KIND = ShellKind()
