"""Every manifest that people may copy is one that the operator takes, and every page can be read.

Read are the files below examples/ and the blocks of the README and of docs/.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.pages import PAGES, ROOT, Block, blocks, faults

BLOCKS = [block for page in PAGES for block in blocks(page)]
TEXT = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def name_of(manifest: dict[str, Any]) -> str:
    metadata = manifest["metadata"]
    return str(metadata.get("name") or metadata.get("generateName"))


def manifests(*, broken: bool) -> Iterator[Any]:
    for block in BLOCKS:
        if block.broken is broken:
            for manifest in block.manifests():
                yield pytest.param(manifest, id=f"{block.place}:{name_of(manifest)}")


def examples() -> Iterator[Any]:
    for path in sorted((ROOT / "examples").glob("*.yaml")):
        for manifest in yaml.safe_load_all(path.read_text()):
            yield pytest.param(manifest, id=f"{path.relative_to(ROOT)}:{name_of(manifest)}")


@pytest.mark.parametrize("manifest", [*examples(), *manifests(broken=False)])
def test_an_example_is_accepted(manifest: dict[str, Any]) -> None:
    assert manifest["kind"] in ("Pipeline", "PipelineClient")
    assert faults(manifest) == []


@pytest.mark.parametrize("manifest", list(manifests(broken=True)))
def test_an_example_of_a_mistake_is_refused(manifest: dict[str, Any]) -> None:
    assert faults(manifest) != []


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.place}:{block.language}")
def test_a_block_can_be_read(block: Block) -> None:
    block.documents()
    if block.language == "python":
        compile(block.text, block.place, "exec")


def test_every_page_that_teaches_has_examples() -> None:
    teaching = {"README.md", "docs/kinds.md", "docs/concepts.md", "docs/tutorial.md"}
    teaching |= {str(page.relative_to(ROOT)) for page in PAGES if page.parent.name in ("how-to", "migration")}
    teaching -= {"docs/how-to/index.md", "docs/how-to/follow.md", "docs/how-to/stop.md", "docs/migration/index.md"}
    having = {str(block.page.relative_to(ROOT)) for block in BLOCKS if any(block.manifests())}
    assert teaching - having == set()


def test_a_manifest_of_ours_never_hides_behind_another_api_version() -> None:
    for block in (one for one in BLOCKS if one.language == "yaml"):
        kinds = re.findall(r"^( *)apiVersion: .*\n\1kind: (Pipeline|PipelineClient)$", block.text, re.MULTILINE)
        assert len(list(block.manifests())) == len(kinds), f"{block.place}:\n{block.text}"


def test_the_program_that_writes_a_pipeline_writes_a_valid_one() -> None:
    (block,) = (one for one in BLOCKS if one.page.name == "fan-out.md" and one.language == "python")
    made = subprocess.run(
        [sys.executable, "-c", block.text], capture_output=True, check=True, text=True, timeout=30
    ).stdout
    manifest = json.loads(made)
    assert len(manifest["spec"]["jobs"]) == 6
    assert faults(manifest) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_list_or_table_begins_after_an_empty_line(page: Path) -> None:
    """Where it does not, the site shows it as a part of the sentence before."""
    lines = TEXT.sub("", page.read_text()).splitlines()
    wrong = [
        line
        for before, line in pairwise(lines)
        if re.match(r"([-*] |\d+\. |\|)", line) and before and not re.match(r"([-*] |\d+\. |\||\s|<!--)", before)
    ]
    assert wrong == []


def test_an_example_with_a_wrong_param_is_noticed() -> None:
    params = {"image": "x", "run": 1}
    jobs = [{"name": "a", "stage": "test", "kind": "Shell", "version": "1.0.0", "params": params}]
    assert len(faults({"kind": "Pipeline", "spec": {"stages": ["test"], "jobs": jobs}})) == 2


def test_what_is_said_of_a_block_is_read() -> None:
    note = "ends: ERROR JobFailed; unit exits 3; slow takes 20 s; unit takes 1 s"
    block = Block(ROOT / "README.md", 1, "yaml", None, False, note, "")
    assert block.end == ("ERROR", "JobFailed")
    assert block.simulated == {
        "unit": {"simulate.test/exit-code": "3", "simulate.test/seconds": "1"},
        "slow": {"simulate.test/seconds": "20"},
    }
