"""Lists in pages, all of them of one moment.

Rule: the first page fixes the revision; a continue token stands for the rest of that very list, whatever happens
meanwhile, until the history is compacted.
"""

from typing import Any

import orjson

from task_pipeline.api.group import GROUP
from task_pipeline.api.resources import Resource
from tests.fakes.refusals import expired
from tests.fakes.selectors import Choice, field_matcher, matcher
from tests.fakes.store import Object, Store

_METADATA = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}


class Pages:
    """Answers list requests from the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rests: dict[str, tuple[int, list[Object]]] = {}
        self._number = 0

    def expire(self) -> None:
        """Forget what the tokens stand for."""
        self._rests.clear()

    def page(
        self, resource: Resource, namespace: str | None, choice: Choice, limit: int, token: str | None
    ) -> tuple[dict[str, Any], list[Object]]:
        """The list's metadata and the objects of one page; raises Gone for a token that is not good any more."""
        if token is None:
            matches, suits = matcher(choice.labels), field_matcher(resource, choice.fields)
            revision = self._store.revision
            things = [
                one
                for one in self._store.items(resource, namespace)
                if matches(one["metadata"].get("labels", {})) and suits(one)
            ]
        elif token in self._rests:
            revision, things = self._rests[token]
        else:
            raise expired("The provided continue parameter is too old to display a consistent list result.")
        metadata: dict[str, Any] = {"resourceVersion": str(revision)}
        if resource.group == GROUP:
            metadata["continue"] = ""
        if limit and len(things) > limit:
            self._number += 1
            metadata["continue"] = f"token-{self._number}-{revision}"
            self._rests[metadata["continue"]] = revision, things[limit:]
            if not any(choice):
                metadata["remainingItemCount"] = len(things) - limit
            things = things[:limit]
        return metadata, things


def document(resource: Resource, metadata: dict[str, Any], things: list[Object], metadata_only: bool) -> bytes:
    """The JSON of a list; only the items of custom resources and of metadata lists say what they are."""
    if metadata_only:
        items = [_METADATA | {"metadata": thing["metadata"]} for thing in things]
        head = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1"}
    else:
        said = things if resource.group == GROUP else [_unsaid(thing) for thing in things]
        items = said
        head = {"kind": f"{resource.kind}List", "apiVersion": resource.api_version}
    return orjson.dumps({**head, "metadata": metadata, "items": items})


def _unsaid(thing: Object) -> Object:
    return {name: value for name, value in thing.items() if name not in ("kind", "apiVersion")}
