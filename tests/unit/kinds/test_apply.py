"""Applying a part: what was applied before stays, and only what is named changes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_pipeline.kinds._apply import overlay, owned_fields

LIVE: dict[str, Any] = {
    "metadata": {
        "managedFields": [
            {"manager": "helm", "operation": "Apply", "fieldsV1": {"f:spec": {"f:paused": {}}}},
            {"manager": "task-pipeline", "operation": "Update", "fieldsV1": {"f:spec": {"f:paused": {}}}},
            {
                "manager": "task-pipeline",
                "operation": "Apply",
                "subresource": "scale",
                "fieldsV1": {"f:spec": {"f:paused": {}}},
            },
            {
                "manager": "task-pipeline",
                "operation": "Apply",
                "fieldsV1": {
                    "f:metadata": {"f:labels": {}},
                    "f:spec": {
                        "f:replicas": {},
                        "f:gone": {},
                        "f:strategy": {".": {}},
                        "f:template": {
                            "f:spec": {
                                "f:containers": {
                                    'k:{"name":"web"}': {
                                        ".": {},
                                        "f:name": {},
                                        "f:image": {},
                                        "f:args": {},
                                        "f:ports": {'k:{"containerPort":80,"protocol":"TCP"}': {".": {}}},
                                        "f:env": {
                                            'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}},
                                            'k:{"name":"LOST"}': {".": {}, "f:value": {}},
                                        },
                                    }
                                }
                            }
                        },
                    },
                },
            },
        ]
    },
    "spec": {
        "replicas": 3,
        "paused": False,
        "strategy": {"type": "Recreate"},
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "web",
                        "image": "web:1",
                        "args": ["a", "b"],
                        "ports": [{"containerPort": 80, "protocol": "TCP", "name": "http"}],
                        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "theirs"}],
                        "imagePullPolicy": "Always",
                    },
                    {"name": "proxy", "image": "p"},
                ]
            }
        },
    },
}


def test_owned_fields_are_those_of_our_applies_with_their_values_of_now() -> None:
    assert owned_fields(LIVE, "task-pipeline") == {
        "replicas": 3,
        "strategy": {"type": "Recreate"},
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "web",
                        "image": "web:1",
                        "args": ["a", "b"],
                        "ports": [{"containerPort": 80, "protocol": "TCP"}],
                        "env": [{"name": "A", "value": "1"}, {"name": "LOST"}],
                    }
                ]
            }
        },
    }


def test_items_keep_their_live_order_since_another_order_is_another_template() -> None:
    names = ["c", "a", "b"]
    fields: dict[str, Any] = {f'k:{{"name":"{name}"}}': {".": {}, "f:name": {}} for name in ("a", "b", "c", "gone")}
    entry = {"manager": "m", "operation": "Apply", "fieldsV1": {"f:spec": {"f:volumes": fields}}}
    live = {"metadata": {"managedFields": [entry]}, "spec": {"volumes": [{"name": name} for name in names]}}
    assert [one["name"] for one in owned_fields(live, "m")["volumes"]] == [*names, "gone"]


@pytest.mark.parametrize(
    "live",
    [
        {"spec": {"a": 1}},
        {"metadata": {"managedFields": []}, "spec": {}},
        {"metadata": {"managedFields": [{"manager": "m", "operation": "Apply", "fieldsV1": {}}]}, "spec": {}},
        {"metadata": {"managedFields": [{"manager": "m", "operation": "Apply"}]}, "spec": {}},
        {"metadata": {"managedFields": [{"manager": "m", "operation": "Apply", "fieldsV1": {"f:spec": {"f:a": {}}}}]}},
    ],
)
def test_nothing_is_owned(live: dict[str, Any]) -> None:
    assert owned_fields(live, "m") == {}


def test_a_field_that_changed_its_type_is_taken_as_it_is() -> None:
    entry = {"manager": "m", "operation": "Apply", "fieldsV1": {"f:spec": {"f:a": {"f:b": {}}}}}
    assert owned_fields({"metadata": {"managedFields": [entry]}, "spec": {"a": 5}}, "m") == {"a": 5}


def test_overlay_changes_only_what_is_named() -> None:
    base = owned_fields(LIVE, "task-pipeline")
    change = {
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "web",
                        "image": "web:2",
                        "env": [{"name": "A", "valueFrom": {}}],
                        "resources": {"limits": {}},
                    }
                ],
                "nodeSelector": {"a": "b"},
            }
        }
    }
    merged = overlay(base, change)
    assert merged["replicas"] == 3
    (web,) = merged["template"]["spec"]["containers"]
    assert (web["image"], web["args"]) == ("web:2", ["a", "b"])
    assert web["env"] == [{"name": "A", "valueFrom": {}}, {"name": "LOST"}]
    assert merged["template"]["spec"]["nodeSelector"] == {"a": "b"}


VALUES = st.recursive(
    st.integers() | st.text(max_size=3),
    lambda inner: st.dictionaries(st.sampled_from(["spec", "labels", "probe", "args"]), inner, max_size=3),
)
MAPS = st.dictionaries(st.sampled_from(["spec", "labels", "probe", "args"]), VALUES, max_size=4)


@given(MAPS, MAPS)
def test_overlay_keeps_the_change_and_the_rest(base: dict[str, Any], change: dict[str, Any]) -> None:
    merged = overlay(base, change)
    assert overlay(merged, change) == merged
    assert set(merged) == set(base) | set(change)
    assert all(merged[name] == value for name, value in base.items() if name not in change)
    assert overlay({}, change) == change
    assert overlay(base, {}) == base
