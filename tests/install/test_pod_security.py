"""Pod Security `restricted`: every control, of every kind's pod and of the chart's own, is refused or satisfied.

What the operator builds itself, the short forms, it builds so with the setting `pod_security: restricted`. A native
`spec` is passed on as written and is the API server's to judge, in namespaces that are labelled; tests/real asks it.
"""

import copy
from collections.abc import Mapping
from typing import Any

import pytest

from task_pipeline.core.workload import KindDefaults, PodSecurity
from tests.install.checks import pod_templates
from tests.install.helm import Document
from tests.install.pod_security import CONTROLS, OF_A_CONTAINER, OF_A_POD, PLACES, Breach, broken, put
from tests.unit.kinds.builders import IMAGE, faults, launch

RESTRICTED = KindDefaults(pod_security=PodSecurity.RESTRICTED)
BREACHES = (*OF_A_POD, *OF_A_CONTAINER)
KINDS: Mapping[str, dict[str, Any]] = {
    "Shell": {"image": IMAGE, "script": "true"},
    "K8S/Job": {"image": IMAGE, "command": ["true"]},
    "K8S/Deployment": {"name": "web", "image": IMAGE, "command": ["sleep", "1000"]},
}
EVERYTHING: dict[str, Any] = {  # what pods of all kinds may have
    "env": {"A": "1", "S": {"secretKeyRef": {"name": "s", "key": "k"}}},
    "envFrom": [{"configMapRef": {"name": "c"}}],
    "serviceAccountName": "builder",
    "volumes": [
        {"name": "e", "emptyDir": {}},
        {"name": "c", "configMap": {"name": "c"}},
        {"name": "s", "secret": {"secretName": "s"}},
        {"name": "p", "persistentVolumeClaim": {"claimName": "p"}},
    ],
    "volumeMounts": [{"name": "e", "mountPath": "/e"}],
    "securityContext": {"runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 1000, "readOnlyRootFilesystem": True},
    "tolerations": [{"operator": "Exists"}],
    "nodeSelector": {"zone": "a"},
}
# What an author may write in a short form although it breaks a control, so that the API server has to judge it. The
# first is said out loud; the second is a probe that is passed on as written.
LEFT = {(kind, "non-root", "securityContext.runAsNonRoot") for kind in KINDS} | {
    ("K8S/Deployment", "probe hosts", "readinessProbe")
}


def pod_of(kind: str, params: dict[str, Any]) -> dict[str, Any]:
    """The spec of the pod that a job of the kind comes to with the setting `restricted`."""
    manifest = launch(kind, params, RESTRICTED).manifest
    found: dict[str, Any] = manifest["spec"]["template"]["spec"] if "template" in manifest["spec"] else manifest["spec"]
    return found


def compliant() -> dict[str, Any]:
    """A pod with a container of each sort that satisfies every control."""
    context = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    made = [{"name": name, "image": IMAGE, "securityContext": copy.deepcopy(context)} for name in ("init", "main")]
    pod = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    return {"securityContext": pod, "initContainers": made[:1], "containers": made[1:], "restartPolicy": "Never"}


def ids(breach: Breach) -> str:
    """How a breach is called in a test's name."""
    return f"{breach.control}: {breach.path}={breach.value}"


@pytest.mark.parametrize("params", [{}, EVERYTHING], ids=["least", "most"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_the_operator_builds_satisfies_every_control(kind: str, params: dict[str, Any]) -> None:
    assert broken(pod_of(kind, KINDS[kind] | params)) == set()


@pytest.mark.parametrize("breach", BREACHES, ids=ids)
@pytest.mark.parametrize("kind", KINDS)
def test_no_param_of_a_short_form_breaks_a_control_but_those_that_are_named(kind: str, breach: Breach) -> None:
    params = copy.deepcopy(KINDS[kind])
    put(params, breach.path, breach.value)
    refused = faults(kind, params, RESTRICTED)
    left = (kind, breach.control, breach.path) in LEFT
    assert refused or bool(broken(pod_of(kind, params))) is left, params


def test_what_is_left_to_the_api_server_is_broken_indeed() -> None:
    for kind in KINDS:
        params = KINDS[kind] | {"securityContext": {"runAsNonRoot": False}}
        assert {control for control, _ in broken(pod_of(kind, params))} == {"non-root"}
    probe = {"httpGet": {"port": 80, "host": "10.0.0.1"}}
    found = broken(pod_of("K8S/Deployment", KINDS["K8S/Deployment"] | {"readinessProbe": probe}))
    assert {control for control, _ in found} == {"probe hosts"}


@pytest.mark.parametrize("breach", OF_A_CONTAINER, ids=ids)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", ["K8S/Job", "K8S/Deployment"])
def test_a_native_spec_is_passed_on_as_written_and_the_control_is_seen(kind: str, place: str, breach: Breach) -> None:
    spec = compliant()
    assert broken(spec) == set()
    put(spec[place][0], breach.path, breach.value)
    assert broken(pod_of(kind, native(kind, spec))) == {(breach.control, spec[place][0]["name"])}


@pytest.mark.parametrize("breach", OF_A_POD, ids=ids)
@pytest.mark.parametrize("kind", ["K8S/Job", "K8S/Deployment"])
def test_a_native_pod_is_passed_on_as_written_and_the_control_is_seen(kind: str, breach: Breach) -> None:
    spec = compliant()
    put(spec, breach.path, breach.value)
    assert (breach.control, "pod") in broken(pod_of(kind, native(kind, spec)))


def native(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    """The params of a job with that pod in a native `spec`."""
    template: dict[str, Any] = {"spec": spec}
    if kind == "K8S/Job":
        return {"spec": {"template": template}}
    template["metadata"] = {"labels": {"app": "web"}}
    spec.pop("restartPolicy")
    return {"name": "web", "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template}}


def test_the_table_has_all_controls_of_the_standard() -> None:
    assert CONTROLS == {
        "host process", "host namespaces", "privileged", "capabilities", "volumes", "host ports", "probe hosts",
        "apparmor", "selinux", "proc mount", "seccomp", "sysctls", "privilege escalation", "non-root", "non-root user",
    }  # fmt: skip


@pytest.mark.chart
def test_every_pod_of_the_chart_satisfies_every_control(rendered: list[Document]) -> None:
    pods = {owner: spec for owner, _, spec in pod_templates(rendered)}
    assert len(pods) >= 2
    assert {owner: broken(spec) for owner, spec in pods.items()} == {owner: set() for owner in pods}
