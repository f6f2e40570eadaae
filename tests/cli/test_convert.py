"""`convert`: files of the first version become manifests that lint takes."""

import json
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from task_pipeline.cli.converting import NotConvertible, convert
from task_pipeline.cli.program import program

OLD = """
name: nightly
namespace: team-a
client_id: acme
fail_fast: true
ttl_seconds_after_finished: 60
stages: [test]
jobs:
- name: unit
  stage: test
  kind: Shell
  version: 1.0.0
  retry_attempt: 2
  allow_failure: true
  start_timeout: 30
  params:
    image: busybox
    script: |
      echo one
      echo two
    env: {start_timeout: "5", VERBOSE: "yes"}
"""
JOB = {
    "name": "unit", "stage": "test", "kind": "Shell", "version": "1.0.0", "retryAttempt": 2, "allowFailure": True,
    "startTimeout": 30,
    "params": {"image": "busybox", "script": "echo one\necho two\n", "env": {"start_timeout": "5", "VERBOSE": "yes"}},
}  # fmt: skip
MADE = {
    "apiVersion": "taskpipeline.dev/v1alpha1",
    "kind": "Pipeline",
    "metadata": {"name": "nightly", "namespace": "team-a"},
    "spec": {
        "clientId": "acme", "failFast": True, "ttlSecondsAfterFinished": 60, "stages": ["test"], "jobs": [JOB],
    },
}  # fmt: skip


def run(*arguments: str, stdin: str) -> Result:
    return CliRunner().invoke(program, [arguments[0], "-", *arguments[1:]], input=stdin, prog_name="tpctl")


def test_the_whole_way_from_an_old_file_to_a_clean_lint() -> None:
    made = run("convert", stdin=OLD)
    assert made.exit_code == 0, made.output
    assert yaml.safe_load(made.output) == MADE
    assert run("lint", stdin=made.output).exit_code == 0
    again = run("convert", stdin=made.output)
    assert again.output == made.output
    assert json.loads(run("convert", "-o", "json", stdin=OLD).output) == MADE


def test_json_without_a_head() -> None:
    old = json.dumps({"client_id": "acme", "stages": ["s"], "jobs": [{"name": "a", "retry_attempt": 1}]})
    made = yaml.safe_load(run("convert", "--name", "x", stdin=old).output)
    assert made["metadata"] == {"name": "x"}
    assert made["spec"]["jobs"] == [{"name": "a", "retryAttempt": 1}]
    assert yaml.safe_load(run("convert", stdin=old).output)["metadata"] == {"generateName": "pipeline-"}


def test_several_documents() -> None:
    made = run("convert", stdin=f"{OLD}---{OLD}")
    assert list(yaml.safe_load_all(made.output)) == [MADE, MADE]


@pytest.mark.parametrize(
    ("old", "words"),
    [
        ("[1]", "must be an object"),
        ("{stages: [s]}", "no `jobs`"),
        ("{apiVersion: v1, kind: Pod}", "not a Pipeline"),
        ("{kind: PipelineClient, jobs: []}", "not a Pipeline"),
        ("{jobs: [], jobs: []}", "stands twice"),
        ("{jobs: [", "no valid YAML"),
    ],
)
def test_what_cannot_be_converted(old: str, words: str) -> None:
    answer = run("convert", stdin=old)
    assert answer.exit_code == 1
    assert words in answer.output
    assert "apiVersion" not in answer.stdout


def test_both_spellings_are_left_to_lint() -> None:
    spec: dict[str, Any] = {"client_id": "a", "clientId": "b", "jobs": []}
    assert convert({"spec": spec})["spec"] == spec


def test_metadata_stays() -> None:
    made = convert({"metadata": {"name": "a", "labels": {"x": "y"}}, "spec": {"jobs": []}, "name": "other"}, "third")
    assert made["metadata"] == {"name": "a", "labels": {"x": "y"}}
    with pytest.raises(NotConvertible):
        convert(None)
