"""Shell: the pod, large scripts, and scripts that no shell could read."""

import json

import pytest

from task_pipeline.core.workload import Launch
from tests.unit.kinds.builders import ATTEMPT, IMAGE, faults, launch, shell


def start(**params: object) -> Launch:
    return launch("Shell", {"image": IMAGE, **params})


def test_the_pod_is_small_and_whole() -> None:
    launched = start(script="echo hi", labels={"team": "blue"}, annotations={"note": "x"})
    assert launched.manifest == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": ATTEMPT.workload,
            "namespace": "shop",
            "labels": {
                "team": "blue",
                "app.kubernetes.io/managed-by": "task-pipeline",
                "taskpipeline.dev/job-hash": ATTEMPT.job_hash,
            },
            "annotations": {"note": "x", "taskpipeline.dev/attempt": "2"},
            "ownerReferences": [
                {
                    "apiVersion": "taskpipeline.dev/v1alpha1",
                    "kind": "PipelineJob",
                    "name": ATTEMPT.job,
                    "uid": "1111",
                    "controller": True,
                    "blockOwnerDeletion": False,
                }
            ],
        },
        "spec": {
            "enableServiceLinks": False,
            "automountServiceAccountToken": False,
            "restartPolicy": "Never",
            "containers": [
                {
                    "name": "main",
                    "image": IMAGE,
                    "command": ["/bin/sh", "-c", "echo hi"],
                    "terminationMessagePolicy": "FallbackToLogsOnError",
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                }
            ],
        },
    }
    assert launched.companions == ()
    assert not launched.apply


def test_a_pod_costs_few_bytes() -> None:
    assert len(json.dumps(start(script="true").manifest, separators=(",", ":"))) < 800


def test_a_command_runs_without_a_shell() -> None:
    container = start(command=["ls", "-l"], args=["/x"]).manifest["spec"]["containers"][0]
    assert (container["command"], container["args"]) == (["ls", "-l"], ["/x"])


def test_another_shell() -> None:
    assert shell(script="x", shell=["/bin/bash", "-ec"])["containers"][0]["command"] == ["/bin/bash", "-ec", "x"]
    assert "only goes with script" in faults("Shell", {"image": "i", "command": ["x"], "shell": ["sh"]})["params.shell"]


LARGE = "echo $HOME ✅\n" * 25_000


@pytest.mark.parametrize(
    ("interpreter", "command"),
    [
        (None, ["/bin/sh"]),
        (["/bin/bash", "-ec"], ["/bin/bash", "-e"]),
        (["bash", "-e", "-o", "pipefail", "-c"], ["bash", "-e", "-o", "pipefail"]),
        (["python3", "-c"], ["python3"]),
    ],
)
def test_b089_a_large_script_comes_as_a_file(interpreter: list[str] | None, command: list[str]) -> None:
    volume = {"name": "v", "emptyDir": {}}
    mount = {"name": "v", "mountPath": "/v"}
    launched = start(script=LARGE, shell=interpreter, volumes=[volume], volumeMounts=[mount])
    (companion,) = launched.companions
    spec = launched.manifest["spec"]
    assert spec["containers"][0]["command"] == [*command, "/task-pipeline/script"]
    assert spec["containers"][0]["volumeMounts"][1]["mountPath"] == "/task-pipeline"
    assert spec["volumes"] == [
        volume,
        {"name": "task-pipeline-script", "configMap": {"name": companion["metadata"]["name"]}},
    ]
    assert companion["data"] == {"script": LARGE}
    assert companion["immutable"] is True
    assert companion["metadata"]["ownerReferences"] == launched.manifest["metadata"]["ownerReferences"]


@pytest.mark.parametrize(("length", "is_file"), [(131_071, False), (131_072, True)])
def test_b089_the_border_is_one_argument_with_its_nul(length: int, is_file: bool) -> None:
    assert bool(start(script="x" * length).companions) is is_file
    assert bool(start(script="é" * (length // 2) + "x" * (length % 2)).companions) is is_file


def test_b089_what_fits_nowhere_is_refused_with_the_limit() -> None:
    found = faults(
        "Shell",
        {
            "image": IMAGE,
            "command": ["x" * 131_072],
            "args": ["x", "x" * 131_071, "x" * 131_072],
            "env": {"LIST": "x" * 131_067, "FITS": "x" * 131_066, "N": 1},
        },
    )
    assert set(found) == {"params.command[0]", "params.args[2]", "params.env.LIST"}
    assert all("131071" in message and "volumeMounts" in message for message in found.values())
    assert "1000000" in faults("Shell", {"image": IMAGE, "script": "x" * 1_000_001})["params.script"]


@pytest.mark.parametrize("interpreter", [["node", "-e"], ["bash"]])
def test_b089_a_large_script_needs_a_shell_that_takes_files(interpreter: list[str]) -> None:
    found = faults("Shell", {"image": IMAGE, "script": LARGE, "shell": interpreter})
    assert "must end with -c" in found["params.shell"]
    assert faults("Shell", {"image": IMAGE, "script": "x", "shell": interpreter}) == {}


@pytest.mark.parametrize(
    ("script", "word"),
    [("echo one\r\nif true; then\r\n", "CR LF"), ("echo\r", "CR LF"), ("\ufeffecho", "byte order mark")],
)
def test_b094_what_no_shell_can_read_is_refused(script: str, word: str) -> None:
    for interpreter in (None, ["/bin/bash", "-ec"], ["zsh", "-c"]):
        found = faults("Shell", {"image": IMAGE, "script": script, "shell": interpreter})
        assert word in found["params.script"]
    assert faults("Shell", {"image": IMAGE, "script": script, "shell": ["python3", "-c"]}) == {}


@pytest.mark.parametrize(
    "script", ["#!/usr/bin/env python3\nprint(1)\n", "cat <<E\n\ta\r\nE\n", "\techo\n", "printf 'a\\r\\n'"]
)
def test_b094_everything_else_is_delivered_as_it_is(script: str) -> None:
    assert shell(script=script)["containers"][0]["command"][2] == script
