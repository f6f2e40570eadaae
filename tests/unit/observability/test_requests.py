"""What a request asks for, read from its path; names never get into it."""

import pytest

from task_pipeline.api import resources
from task_pipeline.api.resources import PIPELINE_JOBS, PODS, Resource
from task_pipeline.observability.meters import Meters
from task_pipeline.observability.requests import ApiRequests, target_of
from tests.scrape import Scrape

ALL = [one for one in vars(resources).values() if isinstance(one, Resource)]


@pytest.mark.parametrize("resource", ALL, ids=lambda resource: resource.plural)
@pytest.mark.parametrize("namespace", [None, "team-a", "namespaces"])
@pytest.mark.parametrize("name", ["x", "status", "a/b", "watch=true", "namespaces", "pods"])
def test_the_target_is_the_resource_whatever_things_are_called(resource: Resource, namespace: str, name: str) -> None:
    plural, place = resource.plural, None if resource is resources.NAMESPACES else namespace
    assert target_of("POST", resource.path(place)) == ("create", plural)
    assert target_of("GET", f"{resource.path(place)}?limit=500") == ("list", plural)
    assert target_of("GET", f"{resource.path(place)}?watch=true&resourceVersion=1") == ("watch", plural)
    assert target_of("DELETE", resource.path(place, name)) == ("delete", plural)
    assert target_of("PUT", resource.path(place, name)) == ("update", plural)
    assert target_of("PATCH", f"{resource.path(place, name)}?fieldManager=x&force=true") == ("patch", plural)
    if resource is not resources.NAMESPACES and place is not None:
        assert target_of("GET", resource.path(place, name)) == ("get", plural)
        assert target_of("PATCH", resource.path(place, name, "status")) == ("patch", f"{plural}/status")


def test_requests_count_by_what_they_ask_for_and_what_came_back() -> None:
    meters = Meters()
    count = ApiRequests(meters)
    for number in range(3):
        count("PATCH", PIPELINE_JOBS.path("n", f"job-{number}", "status"), 200)
    count("GET", f"{PODS.path('n', 'p', 'log')}?follow=true", 404)
    count("POST", PODS.path("n"), 0)
    assert Scrape.of(meters.registry).values("api_requests_total") == {
        ("200", "pipelinejobs/status", "patch"): 3,
        ("404", "pods/log", "get"): 1,
        ("none", "pods", "create"): 1,
    }
