"""What a PipelineClient may say."""

from typing import Any

import pytest

from task_pipeline.api.decode import InvalidObject, decode_client_spec


def test_the_least_is_a_list_of_namespaces() -> None:
    client = decode_client_spec({"namespaces": ["*"]})
    assert (client.priority, client.max_running_jobs, client.queue_size, client.suspend) == (
        10,
        None,
        None,
        False,
    )
    assert client.allows_namespace("anything")
    assert client.allows_kind("Shell")


def test_only_what_is_listed_is_allowed() -> None:
    client = decode_client_spec({"namespaces": ["a", "b"], "allowedKinds": ["HTTP"], "maxRunningJobs": 0})
    assert [client.allows_namespace(name) for name in ("a", "b", "c", "*")] == [True, True, False, False]
    assert [client.allows_kind(kind) for kind in ("HTTP", "Shell")] == [True, False]
    assert client.max_running_jobs == 0


def test_a_credential_may_end() -> None:
    credential = {"secretRef": {"name": "acme-1"}, "notAfter": "2026-01-31T23:59:59+01:00"}
    client = decode_client_spec({"namespaces": ["*"], "credentials": [credential]})
    assert client.to_dict()["credentials"] == [credential]


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ({}, "spec.namespaces"),
        ({"namespaces": "*"}, "spec.namespaces"),
        ({"namespaces": ["Team"]}, "spec.namespaces[0]"),
        ({"namespaces": ["a", "a"]}, "spec.namespaces[1]"),
        ({"namespaces": ["a"], "maxRunningJobs": -1}, "spec.maxRunningJobs"),
        ({"namespaces": ["a"], "queueSize": -1}, "spec.queueSize"),
        ({"namespaces": ["a"], "maxWaitSeconds": 0}, "spec.maxWaitSeconds"),
        ({"namespaces": ["a"], "allowedKinds": ["HTTP", "HTTP"]}, "spec.allowedKinds[1]"),
        ({"namespaces": ["a"], "credentials": [{}]}, "spec.credentials[0].secretRef"),
        (
            {"namespaces": ["a"], "credentials": [{"secretRef": {"name": "x"}, "notAfter": "tomorrow"}]},
            "spec.credentials[0].notAfter",
        ),
        ({"namespaces": ["a"], "limit": 3}, "spec.limit"),
    ],
)
def test_refuses_with_the_path(raw: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidObject) as caught:
        decode_client_spec(raw)
    assert [error.path for error in caught.value.errors] == [path]
