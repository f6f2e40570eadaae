"""Merge patches and JSON patches as edits of an object."""

import jsonpatch
from jsonpointer import JsonPointerException

from tests.fakes.refusals import bad_patch
from tests.fakes.registry import Edit, merge_patch
from tests.fakes.store import Object


def edit_of(body: Object | list[Object]) -> Edit:
    """The edit that a merge patch (a dict) or a JSON patch (a list) asks for; it raises Invalid if it cannot."""
    if not isinstance(body, list):
        return lambda old: merge_patch(old, body)

    def edit(old: Object) -> Object:
        try:
            result: Object = jsonpatch.apply_patch(old, body)
        except (jsonpatch.JsonPatchException, JsonPointerException) as error:
            raise bad_patch() from error
        return result

    return edit
