"""Who owns what after a rollback: our write's fields become our applies'."""

from typing import Any

from task_pipeline.backends.kube import label_selector
from task_pipeline.backends.rollback import handed_over


def entry(manager: str, operation: str, fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    """One entry of managedFields."""
    return {"manager": manager, "operation": operation, "fieldsV1": fields} | more


APPLIED = entry("task-pipeline", "Apply", {"f:spec": {"f:replicas": {}, "f:template": {"f:a": {}}}})
WRITTEN = entry("task-pipeline", "Update", {"f:spec": {"f:template": {"f:b": {}}}})
OTHERS = [
    entry("kubectl", "Update", {"f:spec": {"f:paused": {}}}),
    entry("kube-controller-manager", "Update", {"f:status": {}}, subresource="status"),
    entry("task-pipeline", "Update", {"f:status": {}}, subresource="status"),
]


def test_what_was_written_is_added_to_what_was_applied() -> None:
    joined = entry("task-pipeline", "Apply", {"f:spec": {"f:replicas": {}, "f:template": {"f:a": {}, "f:b": {}}}})
    assert handed_over([OTHERS[0], APPLIED, WRITTEN, *OTHERS[1:]]) == [OTHERS[0], joined, *OTHERS[1:]]


def test_what_needs_no_hand_over_stays() -> None:
    for entries in ([], OTHERS, [APPLIED, *OTHERS], [WRITTEN, *OTHERS]):
        assert handed_over(entries) == entries


def test_a_selector_is_written_as_a_list_takes_it() -> None:
    rules = [
        {"key": "a", "operator": "In", "values": ["x", "y"]},
        {"key": "b", "operator": "NotIn", "values": ["z"]},
        {"key": "c", "operator": "Exists"},
        {"key": "d", "operator": "DoesNotExist"},
    ]
    assert label_selector({"matchLabels": {"app": "shop"}, "matchExpressions": rules}) == (
        "app=shop,a in (x,y),b notin (z),c,!d"
    )
    assert label_selector({}) == ""
