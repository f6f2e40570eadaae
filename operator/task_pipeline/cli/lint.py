"""Judging manifests offline: the same checks as admission, each fault with its place in the user's file.

Rule: every fault of every document is told at once. The form is judged by `api.decode`, which speaks as the API server
does, the params by the kinds, both by the code that REST server and operator use. What only the cluster knows (the
client, its rights, quotas) is not judged here.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

from task_pipeline.api.common import SUBDOMAIN_PATTERN
from task_pipeline.api.decode import InvalidObject, decode_client_spec
from task_pipeline.api.faults import FieldError, shown, suggestion
from task_pipeline.api.group import API_VERSION, GROUP, KINDS, PIPELINE_KIND, PIPELINECLIENT_KIND, RESERVED_PREFIX
from task_pipeline.cli.documents import Document
from task_pipeline.core.workload import KindDefaults
from task_pipeline.kinds.judging import spec_faults
from task_pipeline.kinds.registry import KINDS as JOB_KINDS

MAX_NAME = 253
NEAR = 0.8  # how like ours the name of a group must be to be taken for a slip
_FIELDS = ("apiVersion", "kind", "metadata", "spec", "status")


class Finding(NamedTuple):
    """One fault of a document."""

    document: Document
    path: str
    message: str

    def __str__(self) -> str:
        line, column = self.document.place(self.path)
        where = f"{self.document.source}:{line}:{column}"
        return f"{where}: {self.path}: {self.message}" if self.path else f"{where}: {self.message}"


def findings(documents: Iterable[Document], defaults: KindDefaults) -> tuple[list[Finding], int]:
    """All faults, and how many documents were judged; objects of other API groups are passed over."""
    found: list[Finding] = []
    judged = 0
    for document in documents:
        ours = [(place, one) for place, one in _objects(document.content) if not _is_foreign(one)]
        judged += len(ours)
        if not ours:
            continue
        if document.faults:
            found += (Finding(document, path, message) for path, message in document.faults)
            continue
        for place, one in ours:
            for fault in document_faults(one, defaults):
                path = f"{place}.{fault.path}" if place and fault.path else place or fault.path
                found.append(Finding(document, path, fault.message))
    return found, judged


def _objects(content: Any) -> list[tuple[str, Any]]:
    """The objects of a document, each with its path: itself, or the items of a List as kubectl prints and takes it."""
    if isinstance(content, Mapping) and content.get("kind") == "List" and isinstance(content.get("items"), list):
        return [(f"items[{index}]", item) for index, item in enumerate(content["items"])]
    return [("", content)]


def _is_foreign(content: Any) -> bool:
    """Whether it is a sound object of another group, such as a ConfigMap beside a Pipeline.

    A kind of ours in a group whose name is nearly ours, or in none, is a mistake and no object of others.
    """
    version = content.get("apiVersion") if isinstance(content, Mapping) else None
    if not isinstance(version, str) or version == "":
        return False
    group, _, number = version.partition("/")
    if content.get("kind") in KINDS and (not number or get_close_matches(group.lower(), [GROUP], cutoff=NEAR)):
        return False
    return group != GROUP


def document_faults(content: Any, defaults: KindDefaults) -> list[FieldError]:
    """Every fault of one manifest of ours; paths begin at the top of the document."""
    if not isinstance(content, Mapping):
        return [FieldError("", f"a manifest must be an object, got {shown(content)}")]
    faults = [*_head_faults(content), *_metadata_faults(content.get("metadata"))]
    spec = content.get("spec")
    match content.get("kind"):
        case "Pipeline" if isinstance(spec, Mapping):
            faults += spec_faults(spec, defaults, JOB_KINDS)[1]
        case "PipelineClient" if isinstance(spec, Mapping):
            faults += _client_faults(spec)
        case "Pipeline" | "PipelineClient":
            faults.append(
                FieldError("spec", f"must be an object, got {shown(spec)}" if "spec" in content else "is required")
            )
    return faults


def _head_faults(content: Mapping[str, Any]) -> Iterator[FieldError]:
    version, kind = content.get("apiVersion"), content.get("kind")
    if version is None:
        advice = f"add `apiVersion: {API_VERSION}`, or let `convert` make a manifest of an old file"
        yield FieldError("apiVersion", f"is required; {advice}")
    elif version != API_VERSION:
        yield FieldError("apiVersion", f"must be {API_VERSION}, got {shown(version)}")
    if kind is None:
        yield FieldError("kind", f"is required: {PIPELINE_KIND} or {PIPELINECLIENT_KIND}")
    elif kind not in (PIPELINE_KIND, PIPELINECLIENT_KIND):
        if kind in KINDS:
            yield FieldError("kind", f"a {kind} is written by the operator only; submit a {PIPELINE_KIND}")
        else:
            guess = suggestion(kind, KINDS) if isinstance(kind, str) else ""
            yield FieldError("kind", f"must be {PIPELINE_KIND} or {PIPELINECLIENT_KIND}, got {shown(kind)}{guess}")
    for name in content:
        if name not in _FIELDS:
            yield FieldError(str(name), "unknown field; remove it or correct its name" + suggestion(str(name), _FIELDS))


def _metadata_faults(metadata: Any) -> Iterator[FieldError]:
    if not isinstance(metadata, Mapping):
        wrong = f"must be an object with a name, got {shown(metadata)}"
        yield FieldError("metadata", "is required, with a name" if metadata is None else wrong)
        return
    name, prefix = metadata.get("name"), metadata.get("generateName")
    if name is None and prefix is None:
        yield FieldError("metadata", "needs a name, or generateName for one that is made up")
    for field, value in (("name", name), ("generateName", prefix)):
        if value is not None and not isinstance(value, str):
            yield FieldError(f"metadata.{field}", f"must be a text, got {shown(value)}; put it in quotes")
        elif value is not None and not _is_name(value if field == "name" else f"{value}x"):
            text = "must be a DNS name of at most 253 characters: lower case letters, digits, - and ."
            yield FieldError(f"metadata.{field}", f"{text}, got {shown(value)}")
    for field in ("labels", "annotations"):
        yield from _words_faults(field, metadata.get(field))


def _is_name(text: str) -> bool:
    return len(text) <= MAX_NAME and re.fullmatch(SUBDOMAIN_PATTERN.strip("^$"), text) is not None


def _words_faults(field: str, words: Any) -> Iterator[FieldError]:
    if words is None:
        return
    if not isinstance(words, Mapping):
        yield FieldError(f"metadata.{field}", f"must be a map of texts, got {shown(words)}")
        return
    for name, value in words.items():
        if not isinstance(value, str):
            yield FieldError(f"metadata.{field}.{name}", f"must be a text, got {shown(value)}; put it in quotes")
        if str(name).startswith(RESERVED_PREFIX):
            yield FieldError(f"metadata.{field}.{name}", f"names that begin with {RESERVED_PREFIX} are the operator's")


def _client_faults(spec: Mapping[str, Any]) -> tuple[FieldError, ...]:
    try:
        decode_client_spec(spec)
    except InvalidObject as error:
        return error.errors
    return ()
