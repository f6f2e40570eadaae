"""The recipe of the image: hadolint finds nothing, and what the chart relies on is there."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from task_pipeline import __version__
from tests.install.helm import CHART, ROOT, Helm

RECIPE = ROOT / "Dockerfile"
PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*==[^ ;\\]+)", re.MULTILINE)


def test_hadolint_finds_nothing() -> None:
    program = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([program, "--no-color", RECIPE], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_final_stage_runs_as_a_number_that_is_not_root() -> None:
    final = RECIPE.read_text().split("FROM ${BASE}\n", 1)[1]
    users = re.findall(r"^USER (\d+):(\d+)$", final, re.MULTILINE)
    assert users == [("65532", "65532")]
    assert not re.search(r"^(RUN|ADD|ENTRYPOINT) ", final, re.MULTILINE)


def test_the_recipe_names_no_registry_and_no_moving_tag() -> None:
    (base,) = re.findall(r"^ARG BASE=(.+)$", RECIPE.read_text(), re.MULTILINE)
    assert re.fullmatch(r"python:3\.\d+-slim-[a-z]+", base)
    assert re.findall(r"^FROM (\S+)", RECIPE.read_text(), re.MULTILINE) == ["${BASE}", "${BASE}"]


def test_the_version_is_that_of_the_project() -> None:
    assert f"ARG VERSION={__version__}\n" in RECIPE.read_text()


def test_the_image_has_the_packages_of_the_other_lock_and_no_tools_of_tests() -> None:
    image, everything = (
        set(PIN.findall((ROOT / name).read_text())) for name in ("requirements-image.lock", "requirements.lock")
    )
    assert len(image) > 20
    assert image <= everything
    names = {pin.partition("==")[0] for pin in image}
    assert not names & {"pytest", "ruff", "mypy", "uv", "kubernetes", "hatchling"}
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {re.split(r"[<>~=;]", one)[0] for one in wanted} <= names


@pytest.mark.chart
def test_the_commands_of_the_chart_are_in_the_package(helm: Helm) -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    documents = helm.documents()
    commands = [
        document["spec"]["template"]["spec"]["containers"][0]["command"]
        for document in documents
        if document["kind"] == "Deployment"
    ]
    assert {program for (program,) in commands} == {
        "task-pipeline-operator", "task-pipeline-server", "task-pipeline-http-runner"}  # fmt: skip
    assert {program for (program,) in commands} <= scripts.keys()


def test_the_release_has_the_least_permissions_and_pinned_steps() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yaml").read_text())
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert set(job["permissions"].values()) <= {"read", "write"}
        assert job["permissions"].get("contents") in ("read", "write")
        assert "timeout-minutes" in job
        for step in job["steps"]:
            if "uses" in step:
                assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", step["uses"]), step["uses"]
    assert (CHART / "Chart.yaml").is_file()
