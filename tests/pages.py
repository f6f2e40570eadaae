"""The pages of the documentation as tests read them: their blocks of code, and the manifests in these.

Before a block may stand a comment that says what becomes of its Pipelines. The reader of the page does not see it:

    <!-- ends: ERROR JobFailed; unit exits 1; slow takes 20 s -->

`ends` is the state and the reason in which every Pipeline of the block ends. `JOB exits N` and `JOB takes N s` say how
the pods of a job behave where nodes are simulated: there scripts do not run.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from task_pipeline.api.decode import decode_client_spec, decode_pipeline_spec
from task_pipeline.api.faults import InvalidObject
from task_pipeline.api.group import API_VERSION
from task_pipeline.core.workload import KindDefaults
from task_pipeline.kinds.registry import check_params

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
Manifest = dict[str, Any]

_BLOCK = re.compile(r"(?:^<!-- (?P<note>.*?) -->\n)?^```(?P<info>\w+.*)\n(?P<text>[\s\S]*?)^```$", re.MULTILINE)
_INFO = re.compile(r'(?P<language>\w+)(?: title="(?P<title>[^"]+)")?(?P<broken> broken)?')
_HEREDOC = re.compile(r"<<'?EOF'?\n(.*?)^EOF$", re.MULTILINE | re.DOTALL)
_BODY = re.compile(r"-d '(\{\n.*?\})'", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One block of code: where it is, what it is called, and what is said of it."""

    page: Path
    line: int
    language: str
    title: str | None
    broken: bool
    note: str
    text: str

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def end(self) -> tuple[str, str] | None:
        """State and reason in which its Pipelines end, if that is said."""
        found = re.search(r"\bends: ([A-Z ]+) (\w+)", self.note)
        return (found[1], found[2]) if found else None

    @property
    def simulated(self) -> dict[str, dict[str, str]]:
        """The annotations that a job's pods need on simulated nodes, by the job's name."""
        found: dict[str, dict[str, str]] = {}
        for name, code in re.findall(r"([\w-]+) exits (\d+)", self.note):
            found.setdefault(name, {})["simulate.test/exit-code"] = code
        for name, seconds in re.findall(r"([\w-]+) takes (\d+) s", self.note):
            found.setdefault(name, {})["simulate.test/seconds"] = seconds
        return found

    def documents(self) -> list[Any]:
        """What the block holds as YAML or JSON, here-documents and bodies of requests included."""
        if self.language == "yaml":
            return list(yaml.safe_load_all(self.text))
        if self.language == "json":
            return [json.loads(self.text)]
        found = [document for text in _HEREDOC.findall(self.text) for document in yaml.safe_load_all(text)]
        return found + [json.loads(text) for text in _BODY.findall(self.text)]

    def manifests(self) -> Iterator[Manifest]:
        """The objects of our group in it, also those inside ConfigMaps and what is sent by REST without a kind."""
        for document in self.documents():
            if not isinstance(document, dict):
                continue
            if document.get("apiVersion") == API_VERSION:
                yield document
            elif document.get("kind") == "ConfigMap":
                inner = [yaml.safe_load(text) for text in (document.get("data") or {}).values()]
                yield from (one for one in inner if isinstance(one, dict) and one.get("apiVersion") == API_VERSION)
            elif "apiVersion" not in document and "jobs" in (document.get("spec") or {}):
                yield {"apiVersion": API_VERSION, "kind": "Pipeline", "metadata": {"name": "rest"}} | document


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, in their order. Raises ValueError for an info string of another form."""
    text, found = page.read_text(encoding="utf-8"), []
    for match in _BLOCK.finditer(text):
        info = _INFO.fullmatch(match["info"])
        line = text.count("\n", 0, match.start("text"))
        if info is None:
            raise ValueError(f'{page}:{line}: {match["info"]!r} is not LANGUAGE, title="NAME" and broken')
        broken = info["broken"] is not None
        found.append(Block(page, line, info["language"], info["title"], broken, match["note"] or "", match["text"]))
    return found


def simulate(manifest: Manifest, block: Block) -> Manifest:
    """A copy of a Pipeline whose pods behave on simulated nodes as the page says that they do."""
    copy: Manifest = json.loads(json.dumps(manifest))
    for job in copy.get("spec", {}).get("jobs", ()):
        if annotations := block.simulated.get(job["name"]):
            job["params"].setdefault("annotations", {}).update(annotations)
    return copy


def faults(manifest: Manifest) -> list[str]:
    """What the operator finds wrong with an object of our group, by the code that judges real ones."""
    try:
        if manifest["kind"] == "PipelineClient":
            decode_client_spec(manifest["spec"])
            return []
        spec = decode_pipeline_spec(manifest["spec"])
    except InvalidObject as error:
        return [str(error)]
    return [
        f"{job.name}: {fault}"
        for job in spec.jobs
        for fault in check_params(job.kind, job.version, job.effective_params, KindDefaults())
    ]
