"""Paths of resources: whatever a name holds, the path is that of an object of this name and of nothing else."""

import pytest

from task_pipeline.api.resources import DEPLOYMENTS, PIPELINES, PODS


def test_the_core_group_and_the_others() -> None:
    assert PODS.path("a", "b", "log") == "/api/v1/namespaces/a/pods/b/log"
    assert DEPLOYMENTS.path(None) == "/apis/apps/v1/deployments"


@pytest.mark.parametrize(
    ("name", "encoded"), [("a/b", "a%2Fb"), ("a?x=1", "a%3Fx%3D1"), ("a#b", "a%23b"), ("ä", "%C3%A4"), ("...", "...")]
)
def test_a_name_is_one_segment(name: str, encoded: str) -> None:
    assert PIPELINES.path("team", name).endswith(f"/namespaces/team/pipelines/{encoded}")


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_step_of_a_path_is_no_name(name: str) -> None:
    with pytest.raises(ValueError, match="is no name of an object"):
        PIPELINES.path("team", name)
    with pytest.raises(ValueError, match="is no name of an object"):
        PIPELINES.path(name, "run")
