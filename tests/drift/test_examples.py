"""Every manifest that people may copy is one that the operator takes.

Read are the files below examples/ and the ```yaml blocks of the README and of docs/ that hold one of our kinds.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from task_pipeline.api.decode import decode_client_spec, decode_pipeline_spec
from task_pipeline.api.group import API_VERSION
from task_pipeline.core.workload import KindDefaults
from task_pipeline.kinds.registry import check_params

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def documents(text: str) -> Iterator[dict[str, Any]]:
    """The objects of our group in a YAML text."""
    for document in yaml.safe_load_all(text):
        if isinstance(document, dict) and document.get("apiVersion") == API_VERSION:
            yield document


def manifests() -> Iterator[Any]:
    for path in sorted((ROOT / "examples").glob("*.yaml")):
        for document in documents(path.read_text()):
            yield pytest.param(document, id=f"{path.relative_to(ROOT)}:{document['metadata']['name']}")
    for page in PAGES:
        text = page.read_text()
        for match in BLOCK.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            for document in documents(match[1]):
                yield pytest.param(document, id=f"{page.relative_to(ROOT)}:{line}:{document['metadata']['name']}")


def faults(manifest: dict[str, Any]) -> list[str]:
    """What the operator would find wrong; raises InvalidObject where already the form is."""
    if manifest["kind"] == "PipelineClient":
        decode_client_spec(manifest["spec"])
        return []
    assert manifest["kind"] == "Pipeline"
    spec = decode_pipeline_spec(manifest["spec"])
    return [
        f"{job.name}: {fault}"
        for job in spec.jobs
        for fault in check_params(job.kind, job.version, job.effective_params, KindDefaults())
    ]


@pytest.mark.parametrize("manifest", list(manifests()))
def test_an_example_is_accepted(manifest: dict[str, Any]) -> None:
    assert faults(manifest) == []


def test_every_page_that_teaches_has_examples() -> None:
    for name in ("README.md", "docs/kinds.md", "docs/concepts.md"):
        blocks = BLOCK.findall((ROOT / name).read_text())
        assert any(list(documents(block)) for block in blocks), f"{name} has no manifest"


def test_a_manifest_of_ours_never_hides_behind_another_api_version() -> None:
    for page in PAGES:
        for block in BLOCK.findall(page.read_text()):
            kinds = re.findall(r"^kind: (Pipeline|PipelineClient)$", block, re.MULTILINE)
            assert len(list(documents(block))) == len(kinds), f"{page.relative_to(ROOT)}:\n{block}"


def test_an_example_with_a_wrong_param_is_noticed() -> None:
    manifest = {
        "kind": "Pipeline",
        "spec": {
            "stages": ["test"],
            "jobs": [
                {"name": "a", "stage": "test", "kind": "Shell", "version": "1.0.0", "params": {"image": "x", "run": 1}}
            ],
        },
    }
    assert len(faults(manifest)) == 2
