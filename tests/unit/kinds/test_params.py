"""Which params are refused, where, and in which words; and that what is allowed means what it says."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_pipeline.core.workload import KindDefaults, PodSecurity
from tests.unit.kinds.builders import DEFAULTS, IMAGE, faults, launch, shell

RESTRICTED = KindDefaults(pod_security=PodSecurity.RESTRICTED)


def base(**more: Any) -> dict[str, Any]:
    return {"image": IMAGE, "script": "true", **more}


def test_b001_unknown_and_missing_params_are_told_at_once() -> None:
    found = faults("Shell", {"scripts": "echo hi", "args": 5})
    assert set(found) == {"params.scripts", "params.args", "params.image", "params.script"}
    assert 'did you mean "script"?' in found["params.scripts"]
    assert "required" in found["params.image"]


def test_b001_the_default_image_stands_in() -> None:
    defaults = KindDefaults(shell_image="alpine:3")
    assert faults("Shell", {"script": "true"}, defaults) == {}
    made = launch("Shell", {"script": "true"}, defaults).manifest
    assert made["spec"]["containers"][0]["image"] == "alpine:3"


def test_b002_integers_and_booleans_are_printed_exactly() -> None:
    given_env = {"D": 20200219, "M": "0755", "F": "yes", "V": "1.10", "BIG": 9007199254740993, "T": True, "N": False}
    env = shell(script="true", env=given_env)["containers"][0]["env"]
    assert {one["name"]: one["value"] for one in env} == {
        "D": "20200219",
        "M": "0755",
        "F": "yes",
        "V": "1.10",
        "BIG": "9007199254740993",
        "T": "true",
        "N": "false",
    }


@given(st.integers(-(2**63), 2**63 - 1) | st.booleans())
def test_b002_every_integer_reads_back(value: int) -> None:
    text = shell(script="true", env={"X": value})["containers"][0]["env"][0]["value"]
    assert (text in ("true", "false")) if isinstance(value, bool) else (int(text) == value)


def test_b002_what_would_be_rounded_is_refused_with_the_way_out() -> None:
    found = faults("Shell", base(env={"A": 1.5, "B": 2**63, "C": 2.0}))
    assert set(found) == {"params.env.A", "params.env.B", "params.env.C"}
    assert all("quote it" in message for message in found.values())


def test_b003_integers_in_env_stay_accepted_under_1_0_0() -> None:
    assert faults("Shell", base(env={"AGE": 30})) == {}


@pytest.mark.parametrize("version", ["9.9.9", "v1", "1.0", "", "1.0.0\n"])
def test_b003_unknown_versions_are_refused_with_those_known(version: str) -> None:
    found = faults("Shell", base(), version=version)
    assert list(found) == ["version"]
    assert "known: 1.0.0" in found["version"]


def test_every_reference_of_an_environment_is_passed_on() -> None:
    env = {
        "S": {"secretKeyRef": {"name": "s", "key": "k"}},
        "C": {"configMapKeyRef": {"name": "c", "key": "k", "optional": True}},
        "F": {"fieldRef": {"fieldPath": "metadata.name"}},
    }
    made = shell(script="true", env=env, envFrom=[{"prefix": "P_", "secretRef": {"name": "s"}}])["containers"][0]
    assert made["env"] == [{"name": name, "valueFrom": source} for name, source in env.items()]
    assert made["envFrom"] == [{"prefix": "P_", "secretRef": {"name": "s"}}]


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"image": 5}, "image", "must be a text"),
    ({"image": "a b"}, "image", "without blanks"),
    ({"image": ""}, "image", "image reference"),
    ({"script": ""}, "script", "at least 1"),
    ({"script": "a\x00b"}, "script", "NUL"),
    ({"script": "\ud800"}, "script", "valid characters"),
    ({"env": [{"name": "A", "value": "1"}]}, "env", "must be a map"),
    ({"env": {"1A": "x"}}, "env.1A", "the name must be the name of an environment variable"),
    ({"env": {"..": "x"}}, "env...", "the name"),
    ({"env": {"A=B": "x"}}, "env.A=B", "the name"),
    ({"env": {"A": None}}, "env.A", "secretKeyRef"),
    ({"env": {"A": ["x"]}}, "env.A", "secretKeyRef"),
    ({"env": {"A": "a\x00b"}}, "env.A", "NUL"),
    ({"env": {"A": {}}}, "env.A", "exactly one of"),
    ({"env": {"A": {"secretKeyRef": {"name": "x"}}}}, "env.A.secretKeyRef.key", "is required"),
    ({"env": {"A": {"secretKeyRef": {"name": "X!", "key": "k"}}}}, "env.A.secretKeyRef.name", "DNS name"),
    ({"env": {"A": {"valueFrom": {}}}}, "env.A.valueFrom", "unknown field"),
    ({"envFrom": [{"prefix": "P"}]}, "envFrom[0]", "exactly one of"),
    ({"labels": {"taskpipeline.dev/x": "y"}}, "labels.taskpipeline.dev/x", "reserved"),
    ({"labels": {"app.kubernetes.io/managed-by": "me"}}, "labels.app.kubernetes.io/managed-by", "reserved"),
    ({"labels": {"a": "ghcr.io/x:1"}}, "labels.a", "at most 63"),
    ({"labels": {"a": "x" * 64}}, "labels.a", "at most 63"),
    ({"labels": {"-a": "x"}}, "labels.-a", "the name must be a name"),
    ({"annotations": {"taskpipeline.dev/attempt": "9"}}, "annotations.taskpipeline.dev/attempt", "reserved"),
    ({"resources": {"limits": {"cpu": True}}}, "resources.limits.cpu", "quantity"),
    ({"resources": {"limits": {"cpu": "lots"}}}, "resources.limits.cpu", "quantity"),
    ({"resources": {"requests": {"cpu": -1}}}, "resources.requests.cpu", "quantity"),
    ({"resources": {"requests": {"cpu": float("inf")}}}, "resources.requests.cpu", "quantity"),
    ({"tolerations": [{"effect": "Never"}]}, "tolerations[0].effect", "NoExecute"),
    ({"imagePullPolicy": "always"}, "imagePullPolicy", "Always"),
    ({"imagePullSecrets": ["x"]}, "imagePullSecrets[0]", "must be a map"),
    ({"nodeSelector": {"gpu": True}}, "nodeSelector.gpu", "must be a text"),
    ({"volumes": [{"name": "v"}]}, "volumes[0]", "exactly one of emptyDir"),
    ({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, "volumes[0].hostPath", "unknown field"),
    ({"volumes": [{"name": "V", "emptyDir": {}}]}, "volumes[0].name", "DNS label"),
    (
        {"volumes": [{"name": "v", "emptyDir": {}}, {"name": "v", "emptyDir": {}}]},
        "volumes[1].name",
        "another volume",
    ),
    ({"volumeMounts": [{"name": "v", "mountPath": "/v"}]}, "volumeMounts[0].name", "volumes has none"),
    ({"volumes": [{"name": "task-pipeline-script", "emptyDir": {}}]}, "volumes[0].name", "reserved"),
    ({"securityContext": {"privileged": True}}, "securityContext.privileged", "unknown field"),
    ({"securityContext": {"runAsUser": "0"}}, "securityContext.runAsUser", "whole number"),
    ({"securityContext": {"runAsUser": -1}}, "securityContext.runAsUser", "0 or more"),
    ({"securityContext": {"runAsUser": 2**31}}, "securityContext.runAsUser", "2147483647 or less"),
    ({"securityContext": {"runAsUser": 0, "runAsNonRoot": True}}, "securityContext.runAsUser", "runAsNonRoot is true"),
    ({"hostNetwork": True}, "hostNetwork", "unknown field"),
    ({"working_dir": "/x"}, "working_dir", 'did you mean "workingDir"?'),
    ({"command": ["ls"]}, "script", "exactly one of script and command"),
    ({"args": ["x"]}, "args", "only goes with command"),
    ({"shell": []}, "shell", "at least 1 item"),
]


@pytest.mark.parametrize(("more", "path", "word"), REFUSED, ids=[f"{path}-{word}" for _, path, word in REFUSED])
def test_refused_with_path_and_reason(more: dict[str, Any], path: str, word: str) -> None:
    found = faults("Shell", base(**more))
    assert list(found) == [f"params.{path}"], found
    assert word in found[f"params.{path}"]


def test_mounts_must_differ_and_leave_the_operators_directory_alone() -> None:
    mounts = [{"name": "v", "mountPath": path} for path in ("/a", "/a", "/task-pipeline/")]
    found = faults("Shell", base(volumes=[{"name": "v", "emptyDir": {}}], volumeMounts=mounts))
    assert set(found) == {"params.volumeMounts[1].mountPath", "params.volumeMounts[2].mountPath"}


def test_several_faults_of_one_place_are_one() -> None:
    found = faults("Shell", base(env={"1": 1.5}))
    assert found["params.env.1"].count(";") == 1


@pytest.mark.parametrize("params", [None, [], "x", 5])
def test_params_must_be_a_map(params: Any) -> None:
    assert faults("Shell", params) == {"params": "must be a map"}


@pytest.mark.parametrize(
    ("params", "paths"),
    [
        ({"command": "ls", "args": ["x"]}, {"command"}),
        ({"script": 5, "shell": ["sh", "-c"]}, {"script"}),
        ({"script": 5, "command": ["ls"]}, {"script"}),
        ({"script": 5, "args": ["ls"]}, {"script", "args"}),
        ({"shell": 5}, {"shell", "script"}),
    ],
)
def test_a_broken_field_is_given_all_the_same(params: dict[str, Any], paths: set[str]) -> None:
    assert set(faults("Shell", {"image": IMAGE, **params})) == {f"params.{path}" for path in paths}


def test_null_is_absent() -> None:
    assert faults("Shell", base(env=None, command=None)) == {}


def test_b055_empty_maps_and_lists_say_nothing() -> None:
    assert faults("Shell", base(env={}, args=[], volumes=[], labels={})) == {}


SECRET = "hunter2-correct-horse"


@pytest.mark.parametrize(
    "params",
    [
        {"image": SECRET + " "},
        {"script": SECRET + "\x00"},
        {"env": {"A": [SECRET]}},
        {"env": {"A": {"secretKeyRef": SECRET}}},
        {"env": {"A": SECRET * 10_000}},
        {"labels": {"a": SECRET + "!"}},
        {"imagePullPolicy": SECRET},
        {"args": SECRET},
    ],
)
def test_b082_no_message_repeats_a_value(params: dict[str, Any]) -> None:
    found = faults("Shell", {**base(), **params})
    assert found
    assert SECRET not in str(found)


QUANTITIES = ["500m", "2", "0.5", ".5", "1.", "4Gi", "64k", "1e3", "12E6", 2, 0, 0.25]


@pytest.mark.parametrize("value", QUANTITIES)
def test_quantities_are_passed_on_as_written(value: str | int | float) -> None:
    made = shell(script="true", resources={"limits": {"cpu": value}, "requests": {"nvidia.com/gpu": 1}})
    assert made["containers"][0]["resources"] == {"limits": {"cpu": value}, "requests": {"nvidia.com/gpu": 1}}


def test_everything_of_a_pod_is_passed_on() -> None:
    pod: dict[str, Any] = {
        "serviceAccountName": "builder",
        "imagePullSecrets": [{"name": "pull"}],
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}],
        "volumes": [
            {"name": "tmp", "emptyDir": {}},
            {"name": "mem", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
            {"name": "cm", "configMap": {"name": "c", "items": [{"key": "k", "path": "p", "mode": 0o400}]}},
            {"name": "s", "secret": {"secretName": "s", "defaultMode": 0o400, "optional": False}},
            {"name": "data", "persistentVolumeClaim": {"claimName": "d", "readOnly": True}},
        ],
    }
    container: dict[str, Any] = {
        "workingDir": "/w",
        "imagePullPolicy": "Always",
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp", "subPath": "x", "readOnly": False}],
    }
    made = shell(script="true", **pod, **container)
    assert {key: made[key] for key in pod} == pod
    assert {key: made["containers"][0][key] for key in container} == container
    assert "automountServiceAccountToken" not in made


class TestPodSecurity:
    def test_baseline(self) -> None:
        made = shell(script="true")
        assert made["containers"][0]["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        assert made["automountServiceAccountToken"] is False
        assert made["enableServiceLinks"] is False
        assert "securityContext" not in made

    def test_restricted(self) -> None:
        context = shell(RESTRICTED, script="true")["containers"][0]["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] == 65532
        assert context["capabilities"] == {"drop": ["ALL"]}

    def test_the_user_wins(self) -> None:
        given_context = {"runAsUser": 1000, "runAsGroup": 2000, "fsGroup": 3000, "readOnlyRootFilesystem": True}
        made = shell(RESTRICTED, script="true", securityContext=given_context)
        context = made["containers"][0]["securityContext"]
        assert (context["runAsUser"], context["runAsGroup"], context["readOnlyRootFilesystem"]) == (1000, 2000, True)
        assert context["runAsNonRoot"] is True
        assert made["securityContext"] == {"fsGroup": 3000}

    def test_root_against_restricted_is_refused_and_can_be_insisted_on(self) -> None:
        found = faults("Shell", base(securityContext={"runAsUser": 0}), RESTRICTED)
        assert "restricted" in found["params.securityContext.runAsUser"]
        context = {"runAsUser": 0, "runAsNonRoot": False}
        assert faults("Shell", base(securityContext=context), RESTRICTED) == {}
        assert faults("Shell", base(securityContext={"runAsUser": 0}), DEFAULTS) == {}
