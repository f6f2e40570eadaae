"""`submit`: what is created, what is refused and where, and how a run is followed."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from task_pipeline.api.resources import PIPELINES
from tests.cli.site import Site
from tests.scenario.world import shell


def manifest(name: str, *jobs: Any, **more: Any) -> dict[str, Any]:
    stages = list(dict.fromkeys(job["stage"] for job in jobs))
    head = {"apiVersion": "taskpipeline.dev/v1alpha1", "kind": "Pipeline", "metadata": {"name": name}}
    return head | {"spec": {"stages": stages, "jobs": list(jobs)}} | more


def text(*manifests: Any) -> str:
    return "---\n".join(yaml.safe_dump(one, sort_keys=False) for one in manifests)


@pytest.mark.parametrize(
    ("job", "code", "end"),
    [
        (shell("a"), 0, "pipeline/p DONE Succeeded"),
        (shell("a", exit_code=3), 1, "pipeline/p ERROR JobFailed"),
    ],
)
@pytest.mark.parametrize("how", ["--watch", "--wait", "--logs"])
def test_the_exit_code_says_how_the_run_ended(site: Site, job: Any, code: int, end: str, how: str) -> None:
    answer = site.tpctl("submit", "-f", "-", how, stdin=text(manifest("p", job)))
    assert answer.exit_code == code, answer.output
    assert answer.output.startswith("pipeline/p created\n")
    assert end in answer.output


def test_changes_are_told_line_by_line_elsewhere_than_on_a_terminal(site: Site) -> None:
    jobs = shell("unit"), shell("ship", "t", seconds=1, exit_code=1, retryAttempt=1)
    answer = site.tpctl("submit", "-f", "-", "--watch", stdin=text(manifest("p", *jobs)))
    told = [line[9:] for line in answer.output.splitlines()[1:]]
    for line in (
        "s/unit DONE Succeeded",
        "t/ship IN PROGRESS Starting (attempt 2)",
        "t/ship ERROR ExitCode (attempt 2): exit code 1",
    ):
        assert line in told, told
    assert told[-1].startswith("pipeline/p ERROR JobFailed")


def test_a_cancelled_run_is_4(site: Site) -> None:
    site.submit("p", shell("a", seconds=60))
    site.until_state("p", "IN PROGRESS")
    assert site.tpctl("cancel", "p").output == "pipeline/p is being cancelled\n"
    answer = site.tpctl("wait", "p")
    assert answer.exit_code == 4
    assert answer.output == "pipeline/p CANCELLED UserCancelled: the Pipeline was cancelled (Now)\n"


def test_a_wait_that_takes_too_long_is_124_and_the_run_goes_on(site: Site) -> None:
    body = text(manifest("p", shell("a", seconds=60)))
    answer = site.tpctl("submit", "-f", "-", "--wait", "--timeout", "1s", stdin=body)
    assert answer.exit_code == 124
    assert "has not ended within 1 s; it goes on, `watch p` shows it" in answer.output
    assert site.until_state("p", "IN PROGRESS")


def test_what_the_operator_refuses_is_told_with_its_place(site: Site) -> None:
    job = shell("a", kind="Shel")
    answer = site.tpctl("submit", "-f", "-", "--watch", stdin=text(manifest("p", job)))
    assert answer.exit_code == 1
    assert "ERROR InvalidSpec" in answer.output
    assert '<stdin>:11:5: spec.jobs[0].kind: unknown kind "Shel" (did you mean "Shell"?)' in answer.output


def test_what_the_api_server_refuses_is_told_with_its_place(quiet: Site, tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(text(manifest("p", shell("a", timeout=0), shell("a", stage="t"))))
    answer = quiet.tpctl("submit", "-f", str(path))
    assert answer.exit_code == 1
    assert f"{path}:20:5: spec.jobs[0].timeout: must be 1 or more, got the number 0" in answer.output
    assert "spec.jobs[1].name" in answer.output
    assert quiet.do(lambda world: world.cluster.admin.list(PIPELINES)) == []


def test_one_refused_document_does_not_keep_the_others_back(quiet: Site) -> None:
    body = text(manifest("a", shell("x")), manifest("b", shell("x", timeout=0)), manifest("c", shell("x")))
    answer = quiet.tpctl("submit", "-f", "-", stdin=body)
    assert answer.exit_code == 1
    assert "pipeline/a created" in answer.output
    assert "pipeline/c created" in answer.output


def test_nothing_is_created_when_a_document_is_no_pipeline(quiet: Site) -> None:
    client = {"apiVersion": "taskpipeline.dev/v1alpha1", "kind": "PipelineClient", "metadata": {"name": "x"}}
    answer = quiet.tpctl("submit", "-f", "-", stdin=text(manifest("a", shell("x")), client, {"stages": ["s"]}))
    assert answer.exit_code == 1
    assert "this is a PipelineClient: use `kubectl apply` for it" in answer.output
    assert "`convert` makes one of an old file" in answer.output
    assert quiet.do(lambda world: world.cluster.admin.list(PIPELINES)) == []


def test_following_needs_one_pipeline(quiet: Site) -> None:
    body = text(manifest("a", shell("x")), manifest("b", shell("x")))
    answer = quiet.tpctl("submit", "-f", "-", "--watch", stdin=body)
    assert answer.exit_code == 2


@pytest.mark.parametrize("where", ["client", "server"])
def test_a_dry_run_stores_nothing(quiet: Site, where: str) -> None:
    right = quiet.tpctl("submit", "-f", "-", "--dry-run", where, stdin=text(manifest("p", shell("a"))))
    assert (right.exit_code, right.output) == (0, f"pipeline/p valid ({where} dry run)\n")
    wrong = quiet.tpctl("submit", "-f", "-", "--dry-run", where, stdin=text(manifest("p", shell("a", timeout=0))))
    assert wrong.exit_code == 1
    assert "spec.jobs[0].timeout" in wrong.output
    assert quiet.do(lambda world: world.cluster.admin.list(PIPELINES)) == []
    if where == "client":
        assert quiet.server.requests == []


def test_a_name_is_made_up_from_generate_name(quiet: Site) -> None:
    body = manifest("p", shell("a")) | {"metadata": {"generateName": "build-"}}
    answer = quiet.tpctl("submit", "-f", "-", "-o", "name", stdin=text(body))
    assert answer.output.startswith("pipeline.taskpipeline.dev/build-")
    name = answer.output.strip().rpartition("/")[2]
    assert quiet.tpctl("get", name, "-o", "name").exit_code == 0
    assert quiet.tpctl("get", "@latest", "-o", "name").output == answer.output


def test_a_name_that_is_taken_says_the_ways_out(quiet: Site) -> None:
    quiet.submit("p", shell("a"))
    answer = quiet.tpctl("submit", "-f", "-", stdin=text(manifest("p", shell("a"))))
    assert answer.exit_code == 1
    assert "exists already in team-a: take another name, `rerun p`, or delete it" in answer.output


def test_namespaces(quiet: Site) -> None:
    body = manifest("p", shell("a"))
    assert quiet.tpctl("submit", "-n", "team-b", "-f", "-", stdin=text(body)).exit_code == 0
    body["metadata"] = {"name": "q", "namespace": "team-b"}
    assert quiet.tpctl("submit", "-f", "-", stdin=text(body)).exit_code == 0
    wrong = quiet.tpctl("submit", "-n", "default", "-f", "-", stdin=text(body))
    assert wrong.exit_code == 1
    assert "<stdin>:5:3: its namespace is team-b, not default as -n says" in wrong.output
    found = quiet.do(lambda world: world.cluster.admin.list(PIPELINES, "team-b"))
    assert [one["metadata"]["name"] for one in found] == ["p", "q"]


def test_the_object_as_json_and_yaml(quiet: Site) -> None:
    body = manifest("p", shell("a"))
    made = json.loads(quiet.tpctl("submit", "-f", "-", "-o", "json", stdin=text(body)).output)
    assert made["metadata"]["uid"]
    assert "managedFields" not in made["metadata"]
    shown = yaml.safe_load(quiet.tpctl("get", "p", "-o", "yaml").output)
    assert shown["spec"]["jobs"] == body["spec"]["jobs"]


def test_a_folder_stands_for_its_manifests(quiet: Site, tmp_path: Path) -> None:
    folder = tmp_path / "manifests"
    folder.mkdir()
    assert quiet.tpctl("submit", "-f", str(folder)).exit_code == 2
    (folder / "a.yaml").write_text(text(manifest("a", shell("x"))))
    (folder / "b.json").write_text(json.dumps(manifest("b", shell("x"))))
    (folder / "note.txt").write_text("no manifest")
    assert quiet.tpctl("submit", "-f", str(folder)).output == "pipeline/a created\npipeline/b created\n"
