"""Whether a client takes a Pipeline, and what its author is told when not."""

from typing import Any

import pytest
from msgspec.structs import replace

from task_pipeline.core.clients import refusal
from task_pipeline.core.records import ClientRecord
from tests.unit.core.job_builders import job_spec, pipeline

OPEN = ClientRecord(name="default", uid="cu-1", rv=1, namespaces=frozenset({"*"}))


@pytest.mark.parametrize(
    ("client", "spec", "words"),
    [
        (OPEN, {}, None),
        (replace(OPEN, namespaces=frozenset({"ns"})), {}, None),
        (replace(OPEN, highest_priority=10), {}, None),
        (replace(OPEN, highest_priority=-5), {"priority": -5}, None),
        (replace(OPEN, allowed_kinds=frozenset({"Shell", "K8S/Job"})), {}, None),
        (replace(OPEN, suspend=True, max_running_jobs=0, queue_size=0), {}, None),
        (None, {}, ["spec.clientId", "default", "ask the platform team"]),
        (replace(OPEN, fault="spec.priority: not a number"), {}, ["spec.clientId", "invalid itself"]),
        (replace(OPEN, namespaces=frozenset({"other"})), {}, ["spec.clientId", "does not list the namespace ns"]),
        (replace(OPEN, namespaces=frozenset()), {}, ["does not list the namespace ns"]),
        (replace(OPEN, highest_priority=11), {}, ["spec.priority: 10", "use 11 or more"]),
        (replace(OPEN, highest_priority=0), {"priority": -1}, ["spec.priority: -1", "use 0 or more"]),
        (replace(OPEN, allowed_kinds=frozenset({"HTTP"})), {}, ["does not allow Shell; allowed: HTTP"]),
        (replace(OPEN, allowed_kinds=frozenset()), {}, ["does not allow Shell; allowed: none"]),
    ],
)
def test_a_refusal_says_where_and_what_to_do(
    client: ClientRecord | None, spec: dict[str, Any], words: list[str] | None
) -> None:
    said = refusal(client, pipeline(spec))
    if words is None:
        assert said is None
    else:
        assert said is not None
        assert [word for word in words if word not in said] == []


def test_every_refused_kind_is_named_once_and_in_order() -> None:
    kinds = ("Worker", "HTTP", "Worker", "Shell")
    jobs = tuple(job_spec(str(place)).model_copy(update={"kind": kind}) for place, kind in enumerate(kinds))
    said = refusal(replace(OPEN, allowed_kinds=frozenset({"Shell", "K8S/Job"})), pipeline({"jobs": jobs}))
    assert said is not None
    assert said.endswith("does not allow HTTP, Worker; allowed: K8S/Job, Shell")


def test_what_cannot_be_decoded_is_not_the_clients_business() -> None:
    assert refusal(None, replace(pipeline(), spec=None)) is None
