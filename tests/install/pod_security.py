"""The Pod Security Standard `restricted`, control by control, as far as a pod's spec can break it.

Written after the standard's own text. A `Breach` is one way to break one control, in a pod or in one container of it;
`broken` says which controls a pod's spec breaks, and where. tests/real holds both against the API server's own judge.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Spec = dict[str, Any]

PLACES = ("initContainers", "containers")
BASELINE_CAPABILITIES = frozenset(
    {"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
     "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"}
)  # fmt: skip
SYSCTLS = frozenset(
    {"kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start",
     "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports",
     "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
     "net.ipv4.tcp_keepalive_probes"}
)  # fmt: skip
VOLUMES = frozenset(
    {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
)
SELINUX_TYPES = ("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")


@dataclass(frozen=True)
class Breach:
    """`value` at `path` breaks `control`; with `says`, how the API server's own judge calls it."""

    control: str
    path: str
    value: Any
    says: str


OF_A_POD = (
    Breach("host namespaces", "hostNetwork", True, "host namespaces"),
    Breach("host namespaces", "hostPID", True, "host namespaces"),
    Breach("host namespaces", "hostIPC", True, "host namespaces"),
    Breach("host process", "securityContext.windowsOptions", {"hostProcess": True}, "hostProcess"),
    Breach("volumes", "volumes", [{"name": "v", "hostPath": {"path": "/etc"}}], "restricted volume types"),
    Breach("volumes", "volumes", [{"name": "v", "nfs": {"server": "s", "path": "/"}}], "restricted volume types"),
    Breach("sysctls", "securityContext.sysctls", [{"name": "kernel.msgmax", "value": "1"}], "forbidden sysctls"),
    Breach("selinux", "securityContext.seLinuxOptions", {"type": "spc_t"}, "seLinuxOptions"),
    Breach("selinux", "securityContext.seLinuxOptions", {"user": "system_u"}, "seLinuxOptions"),
    Breach("apparmor", "securityContext.appArmorProfile", {"type": "Unconfined"}, "forbidden AppArmor profile"),
    Breach("seccomp", "securityContext.seccompProfile", {"type": "Unconfined"}, "seccompProfile"),
    Breach("non-root", "securityContext.runAsNonRoot", False, "runAsNonRoot != true"),
    Breach("non-root user", "securityContext.runAsUser", 0, "runAsUser=0"),
)
OF_A_CONTAINER = (
    Breach("privileged", "securityContext.privileged", True, "privileged"),
    Breach("privilege escalation", "securityContext.allowPrivilegeEscalation", True, "allowPrivilegeEscalation"),
    Breach("privilege escalation", "securityContext.allowPrivilegeEscalation", None, "allowPrivilegeEscalation"),
    Breach("capabilities", "securityContext.capabilities", {"drop": ["ALL"], "add": ["SYS_ADMIN"]}, "capabilities"),
    Breach("capabilities", "securityContext.capabilities", {"drop": ["ALL"], "add": ["CHOWN"]}, "capabilities"),
    Breach("capabilities", "securityContext.capabilities", {"drop": ["NET_RAW"]}, "unrestricted capabilities"),
    Breach("capabilities", "securityContext.capabilities", None, "unrestricted capabilities"),
    Breach("seccomp", "securityContext.seccompProfile", {"type": "Unconfined"}, "seccompProfile"),
    Breach("non-root", "securityContext.runAsNonRoot", False, "runAsNonRoot != true"),
    Breach("non-root user", "securityContext.runAsUser", 0, "runAsUser=0"),
    Breach("host ports", "ports", [{"containerPort": 80, "hostPort": 80}], "hostPort"),
    Breach("proc mount", "securityContext.procMount", "Unmasked", "procMount"),
    Breach("selinux", "securityContext.seLinuxOptions", {"role": "system_r"}, "seLinuxOptions"),
    Breach("apparmor", "securityContext.appArmorProfile", {"type": "Unconfined"}, "forbidden AppArmor profile"),
    Breach("host process", "securityContext.windowsOptions", {"hostProcess": True}, "hostProcess"),
    Breach("probe hosts", "livenessProbe", {"httpGet": {"port": 80, "host": "10.0.0.1"}}, "probe or lifecycle host"),
    Breach("probe hosts", "lifecycle", {"preStop": {"tcpSocket": {"port": 80, "host": "10.0.0.1"}}},
           "probe or lifecycle host"),
)  # fmt: skip
CONTROLS = frozenset(one.control for one in (*OF_A_POD, *OF_A_CONTAINER))


def put(where: Spec, path: str, value: Any) -> None:
    """Set a field, by a path with dots; None takes it away."""
    *parents, last = path.split(".")
    for parent in parents:
        where = where.setdefault(parent, {})
    if value is None:
        where.pop(last, None)
    else:
        where[last] = copy.deepcopy(value)


def broken(spec: Spec) -> set[tuple[str, str]]:
    """Every control that the pod breaks, each with the place: `pod`, or the name of a container."""
    found = {(control, "pod") for control in _of_the_pod(spec)}
    pod = spec.get("securityContext") or {}
    for place in PLACES:
        for container in spec.get(place) or ():
            found |= {(control, container["name"]) for control in _of_the_container(container, pod)}
    return found


def _of_the_pod(spec: Spec) -> Iterator[str]:
    context = spec.get("securityContext") or {}
    if any(spec.get(field) for field in ("hostNetwork", "hostPID", "hostIPC")):
        yield "host namespaces"
    if any(not VOLUMES.intersection(volume) for volume in spec.get("volumes") or ()):
        yield "volumes"
    if any(one["name"] not in SYSCTLS for one in context.get("sysctls") or ()):
        yield "sysctls"
    yield from _of_both(context)


def _of_both(context: Spec) -> Iterator[str]:
    """What may stand in the context of a pod and in that of a container, and is wrong wherever it stands."""
    if (context.get("windowsOptions") or {}).get("hostProcess"):
        yield "host process"
    selinux = context.get("seLinuxOptions") or {}
    if selinux.get("type", "") not in SELINUX_TYPES or selinux.get("user") or selinux.get("role"):
        yield "selinux"
    if (context.get("appArmorProfile") or {}).get("type", "RuntimeDefault") not in ("RuntimeDefault", "Localhost"):
        yield "apparmor"
    if (context.get("seccompProfile") or {}).get("type", "RuntimeDefault") not in ("RuntimeDefault", "Localhost"):
        yield "seccomp"
    if context.get("runAsNonRoot") is False:
        yield "non-root"
    if context.get("runAsUser") == 0:
        yield "non-root user"


def _of_the_container(container: Spec, pod: Spec) -> Iterator[str]:
    context = container.get("securityContext") or {}
    both = {**pod, **context}
    capabilities = context.get("capabilities") or {}
    if context.get("privileged"):
        yield "privileged"
    if context.get("allowPrivilegeEscalation") is not False:
        yield "privilege escalation"
    if "ALL" not in capabilities.get("drop", ()) or set(capabilities.get("add", ())) - {"NET_BIND_SERVICE"}:
        yield "capabilities"
    if "seccompProfile" not in both:
        yield "seccomp"
    if both.get("runAsNonRoot") is not True:
        yield "non-root"
    if any(port.get("hostPort") for port in container.get("ports") or ()):
        yield "host ports"
    if context.get("procMount", "Default") != "Default":
        yield "proc mount"
    if any(action.get("host") for action in _actions(container)):
        yield "probe hosts"
    yield from _of_both(context)


def _actions(container: Spec) -> Iterator[Spec]:
    """What the kubelet does over the network for a container."""
    probes = [container.get(name) or {} for name in ("livenessProbe", "readinessProbe", "startupProbe")]
    hooks = [one or {} for one in (container.get("lifecycle") or {}).values()]
    for one in (*probes, *hooks):
        yield from (one[kind] for kind in ("httpGet", "tcpSocket") if kind in one)
