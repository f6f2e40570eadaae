"""helm as the tests use it: built once from its Go module, or the one that TASK_PIPELINE_HELM names."""

import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.cluster import Report
from tests.cluster.build import Program, built

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "task-pipeline"
RELEASE = NAMESPACE = "task-pipeline"
VERSION = "v4.3.2"
KUBERNETES = "1.33.0"  # the oldest that the chart is for
SECONDS = 60
PROGRAM = Program(
    name="helm",
    module=str(Path(__file__).parent / "go"),
    package="helm.sh/helm/v4/cmd/helm",
    ldflags=f"-s -w -X helm.sh/helm/v4/internal/version.version={VERSION}",
    cold="about 3 minutes on 2 cores",
)

Document = dict[str, Any]
Values = Mapping[str, Any]


class Answer(NamedTuple):
    """What one call gave."""

    code: int
    out: str
    err: str


def program() -> Path | None:
    """The helm to be used, if there is one."""
    named = os.environ.get("TASK_PIPELINE_HELM")
    path = Path(named) if named else PROGRAM.path()
    return path if path.exists() else None


def build() -> Path:
    """Build helm if there is none. Raises ClusterError."""
    return program() or built(PROGRAM, Report())


class Helm:
    """One helm, with folders of its own, so that a user's settings and plugins play no part."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def run(
        self,
        *arguments: str,
        values: Values | None = None,
        environment: Mapping[str, str] | None = None,
        seconds: float = SECONDS,
    ) -> Answer:
        """The answer of a call; `values` are given as a file."""
        with tempfile.TemporaryDirectory(prefix="task-pipeline-helm-") as folder:
            own = {name: folder for name in ("HELM_CONFIG_HOME", "HELM_CACHE_HOME", "HELM_DATA_HOME")}
            command = [str(self._path), *arguments]
            if values is not None:
                file = Path(folder) / "values.yaml"
                file.write_text(yaml.safe_dump(dict(values)))
                command += ["--values", str(file)]
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=seconds, check=False,
                env={**os.environ, **own, **(environment or {})},
            )  # fmt: skip
        return Answer(done.returncode, done.stdout, done.stderr)

    def template(self, values: Values | None = None, *, release: str = RELEASE, namespace: str = NAMESPACE) -> Answer:
        """The answer of `helm template` for the oldest Kubernetes that is supported."""
        options = ("--namespace", namespace, "--kube-version", KUBERNETES)
        return self.run("template", release, str(CHART), *options, values=values or {})

    def documents(self, values: Values | None = None, **options: str) -> list[Document]:
        """All objects of the chart with these values."""
        answer = self.template(values, **options)
        assert answer.code == 0, answer.err
        return [document for document in yaml.safe_load_all(answer.out) if document]
