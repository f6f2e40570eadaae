"""The offline judge says what the others say: the decoder, the REST server, the operator; and where it stands."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from task_pipeline.api.decode import InvalidObject, decode_pipeline_spec
from task_pipeline.cli.commands.lint import defaults_of
from task_pipeline.cli.documents import read
from task_pipeline.cli.lint import document_faults, findings
from task_pipeline.cli.program import program
from task_pipeline.core.workload import KindDefaults
from task_pipeline.kinds.registry import KINDS
from task_pipeline.server.validate import judge
from task_pipeline.settings import Settings
from tests.contract.cases import ACCEPTED, REFUSED, UNKNOWN_FIELDS, Raw, Refused, fresh, job, spec

RULE = {"image": "busybox", "script": "true"}


def manifest(raw: Any, **more: Any) -> Raw:
    head = {"apiVersion": "taskpipeline.dev/v1alpha1", "kind": "Pipeline", "metadata": {"name": "p"}}
    return head | {"spec": raw} | more


def lint(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(program, ["lint", *arguments], input=stdin, prog_name="tpctl")


def server_says(raw: Any) -> set[tuple[str, str]]:
    services: Any = SimpleNamespace(settings=Settings(), kinds=KINDS)
    return {fault for fault in judge(services, "team-a", raw, None)[1] if not fault[0].startswith("spec.clientId")}


def lint_says(raw: Any) -> set[tuple[str, str]]:
    found = document_faults(manifest(raw), KindDefaults())
    return {(fault.path, fault.message) for fault in found}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_refuses_what_admission_refuses_at_the_same_place(case: Refused) -> None:
    raw = fresh(case.spec)
    told = {path for path, _ in lint_says(raw)}
    assert any(path.startswith(case.path) for path in told), told
    with pytest.raises(InvalidObject) as caught:
        decode_pipeline_spec(raw)
    assert {fault.path for fault in caught.value.errors} <= told


@pytest.mark.parametrize(("raw", "path"), UNKNOWN_FIELDS.values(), ids=UNKNOWN_FIELDS.keys())
def test_refuses_unknown_fields(raw: Raw, path: str) -> None:
    assert path in {path for path, _ in lint_says(fresh(raw))}


@pytest.mark.parametrize("raw", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_accepts_what_admission_accepts_but_for_params(raw: Raw) -> None:
    assert {path for path, _ in lint_says(fresh(raw)) if ".params" not in path} == set()


EVERY = {name: case.spec for name, case in REFUSED.items()} | ACCEPTED | {n: r for n, (r, _) in UNKNOWN_FIELDS.items()}


@pytest.mark.parametrize("raw", EVERY.values(), ids=EVERY.keys())
def test_says_word_for_word_what_the_rest_server_says(raw: Raw) -> None:
    own = {fault for fault in lint_says(fresh(raw)) if not fault[0].startswith("spec.clientId")}
    if isinstance(raw, dict):
        assert own == server_says(fresh(raw))


@pytest.mark.parametrize("raw", EVERY.values(), ids=EVERY.keys())
def test_every_fault_survives_a_file_of_yaml_and_of_json(raw: Raw, tmp_path: Path) -> None:
    expected = lint_says(fresh(raw))
    for form, text in (("yaml", yaml.safe_dump(manifest(raw))), ("json", json.dumps(manifest(raw), indent=1))):
        found, judged = findings(read(f"x.{form}", text.encode()), KindDefaults())
        assert {(one.path, one.message) for one in found} == expected
        assert judged == 1
        for one in found:
            line, _ = one.document.place(one.path)
            assert 1 <= line <= len(text.splitlines())


FILE = """\
apiVersion: taskpipeline.dev/v1alpha1
kind: Pipeline
metadata:
  name: Web_1
spec:
  stages: [test, build]
  jobs:
  - name: unit
    stage: tst
    kind: Shell
    version: 1.0.0
    timeout: 0
    params:
      image: busybox
      scrip: echo
  - {name: unit, stage: build, kind: Shel, version: 1.0.0}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: beside}
---
apiVersion: taskpipeline.dev/v1alpha1
kind: PipelineClient
metadata: {name: team-a, labels: {a: 1}}
spec: {namespaces: [a, a], maxRunningJobs: -1}
---
kind: Pipeline
metadata: {}
"""
GOLDEN = (Path(__file__).parent / "golden" / "lint.txt").read_text()


def test_all_faults_of_all_documents_with_their_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("f.yaml").write_text(FILE)
    answer = lint("f.yaml")
    assert answer.exit_code == 1
    assert sorted(answer.output.splitlines()) == sorted(GOLDEN.splitlines())


def test_a_right_file_of_standard_input() -> None:
    right = yaml.safe_dump(manifest(spec(job(params=RULE))))
    answer = lint("-", stdin=right)
    assert (answer.exit_code, answer.output) == (0, "1 manifest, no fault\n")


def test_yaml_that_cannot_be_read_does_not_hide_other_files(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: [1")
    (tmp_path / "b.yaml").write_text(yaml.safe_dump(manifest(spec(job(timeout=0, params=RULE)))))
    answer = lint(str(tmp_path))
    assert answer.exit_code == 1
    assert f"{tmp_path}/a.yaml:2:1: no valid YAML" in answer.output
    assert "spec.jobs[0].timeout" in answer.output


def test_a_file_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    answer = lint(str(tmp_path / "none.yaml"))
    assert answer.exit_code == 2
    assert "none.yaml cannot be read: No such file" in answer.output


def test_the_operators_settings_count() -> None:
    text = yaml.safe_dump(manifest(spec(job(params={"script": "true"}))))
    assert lint("-", stdin=text).exit_code == 1
    assert lint("-", "--shell-image", "alpine", stdin=text).exit_code == 0
    assert defaults_of(pod_security="restricted").pod_security.value == "restricted"


@pytest.mark.parametrize("name", ["a" * 254, "-a", "a_b", "A", ""])
def test_a_wrong_name(name: str) -> None:
    assert {"metadata.name"} == {
        fault.path
        for fault in document_faults(manifest(spec(job(params=RULE)), metadata={"name": name}), KindDefaults())
    }


def test_what_only_the_operator_writes() -> None:
    found = document_faults(manifest({}, kind="PipelineJob"), KindDefaults())
    assert [fault.path for fault in found] == ["kind"]
    labels = {"name": "a", "annotations": {"taskpipeline.dev/submission": "x"}}
    found = document_faults(manifest(spec(job(params=RULE)), metadata=labels), KindDefaults())
    assert [fault.path for fault in found] == ["metadata.annotations.taskpipeline.dev/submission"]


def test_2000_wrong_jobs_are_all_told() -> None:
    jobs = [job(f"job-{number}", timeout=0, params=RULE) for number in range(2000)]
    text = json.dumps(manifest(spec(*jobs)), indent=0)
    answer = lint("-", stdin=text)
    assert "2000 faults" in answer.output


def test_the_items_of_a_list_are_judged() -> None:
    beside = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
    items = [manifest(spec(job(params=RULE))), beside, manifest(spec(job(timeout=0, params=RULE)))]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=1)
    answer = lint("-", stdin=text)
    assert answer.exit_code == 1
    line, column = next((n, row.index('"timeout')) for n, row in enumerate(text.splitlines()) if '"timeout": 0' in row)
    assert f"<stdin>:{line + 1}:{column + 1}: items[2].spec.jobs[0].timeout: must be 1 or more" in answer.output
    right = yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": items[:2]})
    assert lint("-", stdin=right).output == "1 manifest, no fault\n"


@pytest.mark.parametrize("version", ["task-pipeline.dev/v1alpha1", "taskpipelines.dev/v1", "v1", "TaskPipeline.dev/v1"])
def test_a_group_that_is_nearly_ours_is_a_fault(version: str) -> None:
    answer = lint("-", stdin=yaml.safe_dump(manifest(spec(job(params=RULE)), apiVersion=version)))
    assert answer.exit_code == 1
    assert f'apiVersion: must be taskpipeline.dev/v1alpha1, got the text "{version}"' in answer.output


@pytest.mark.parametrize(
    "text",
    ["", "apiVersion: v1\nkind: ConfigMap\n", "apiVersion: tekton.dev/v1\nkind: Pipeline\n", "kind: List\nitems: []\n"],
)
def test_nothing_to_judge_is_no_success(text: str) -> None:
    answer = lint("-", stdin=text)
    assert (answer.exit_code, answer.output) == (1, "no manifest of task-pipeline was found, so nothing was judged\n")
