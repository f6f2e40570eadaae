"""For how long what a deleted PipelineJob has left behind takes up its slot."""

from datetime import datetime
from typing import TypeVar

import msgspec
import pytest

from task_pipeline.api.objects import DeploymentView, KubernetesJobView, PodView, WorkloadView
from task_pipeline.core.remnants import has_ended, remains
from tests import make

V = TypeVar("V", bound=WorkloadView)


def pod(phase: str, deleted: float | None = None) -> PodView:
    """A pod in this phase whose grace period ends at second `deleted`."""
    return seen(PodView, deleted, status={"phase": phase})


def job(deleted: float | None = None, *, suspend: bool = False, ended: str = "") -> KubernetesJobView:
    """A Kubernetes Job, with a condition of the type `ended` if given."""
    conditions = [{"type": ended, "status": "True"}] if ended else []
    return seen(KubernetesJobView, deleted, spec={"suspend": suspend}, status={"conditions": conditions})


def seen(view: type[V], deleted: float | None, **fields: object) -> V:
    metadata = {"name": "w", "namespace": "n", "uid": "u", "resourceVersion": "1"}
    marked = {} if deleted is None else {"deletionTimestamp": make.at(deleted)}
    return msgspec.convert({"metadata": metadata | marked, **fields}, view)


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        pytest.param([], (False, None), id="nothing"),
        pytest.param([pod("Succeeded"), pod("Failed")], (False, None), id="what has ended"),
        pytest.param([pod("Running")], (True, None), id="a pod that nobody has deleted yet"),
        pytest.param([pod("Pending", 30)], (True, make.moment(90)), id="a pod that is told to go"),
        pytest.param([pod("Running", -1)], (True, make.moment(59)), id="one whose node may still answer"),
        pytest.param([pod("Running", -60)], (False, None), id="one whose node does not answer"),
        pytest.param([pod("Running", -60), pod("Running", 5)], (True, make.moment(65)), id="two"),
        pytest.param([job()], (True, None), id="a Kubernetes Job that may make pods"),
        pytest.param([job(suspend=True), job(ended="Complete"), job(ended="Failed")], (False, None), id="ended Jobs"),
        pytest.param([job(ended="SuccessCriteriaMet")], (True, None), id="a Job that is about to end"),
        pytest.param([seen(DeploymentView, None)], (False, None), id="a Deployment, which outlives its job"),
    ],
)
def test_what_counts(left: list[WorkloadView], expected: tuple[bool, datetime | None]) -> None:
    assert remains(left, make.moment()) == expected


def test_a_deployment_is_never_over() -> None:
    assert not has_ended(seen(DeploymentView, None))
    assert has_ended(pod("Failed"))
    assert has_ended(job(ended="Complete"))
    assert not has_ended(job())
