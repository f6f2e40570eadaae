"""Argo CD: health checks and actions on the recorded objects, as Argo CD runs them.

health_test.yaml and action_test.yaml have the form of those in Argo CD's own repository.
"""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from task_pipeline.api.decode import decode_pipeline_spec
from tests.gitops import shipped
from tests.gitops.contract import TABLE, situation
from tests.gitops.rules import argo
from tests.gitops.shipped import GROUP, PIPELINE, act, enabled, health, patch_of, recorded

KINDS = ("Pipeline", "PipelineClient", "PipelineJob")
RECORDED = recorded()
ACTIONS = yaml.safe_load((PIPELINE / "actions" / "action_test.yaml").read_text())
ENABLED = {
    "not-seen": {"cancel", "suspend"},
    "ready": {"cancel", "suspend"},
    "in-progress": {"cancel", "suspend"},
    "suspended": {"cancel", "resume"},
    "done": {"rerun-all"},
    "error": {"rerun", "rerun-all"},
    "cancelled": {"rerun", "rerun-all"},
    "invalid": set[str](),
    "cleaned-up": {"rerun-all"},
}


def load(path: Path) -> dict[str, Any]:
    """An object of the test data."""
    thing: dict[str, Any] = yaml.safe_load(path.read_text())
    return thing


def cases() -> list[Any]:
    """Every line of every health_test.yaml."""
    return [
        pytest.param(kind, case, id=f"{kind}-{Path(case['inputPath']).stem}")
        for kind in KINDS
        for case in yaml.safe_load((GROUP / kind / "health_test.yaml").read_text())["tests"]
    ]


@pytest.mark.parametrize(("kind", "case"), cases())
def test_the_health_of_a_recorded_object(kind: str, case: dict[str, Any]) -> None:
    assert health(kind, load(GROUP / kind / case["inputPath"])) == case["healthStatus"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_recorded_object_has_a_line(kind: str) -> None:
    lines = yaml.safe_load((GROUP / kind / "health_test.yaml").read_text())["tests"]
    assert sorted(Path(line["inputPath"]).stem for line in lines) == sorted(recorded(kind))


@pytest.mark.parametrize("name", TABLE)
def test_b051_all_eight_situations_of_the_contract(name: str) -> None:
    thing = RECORDED[name]
    assert situation(thing) == name
    assert health("Pipeline", thing)["status"] == argo(thing) == TABLE[name].argo


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_b053_an_edit_that_no_operator_has_seen_is_on_its_way(name: str) -> None:
    edited = copy.deepcopy(RECORDED[name])
    edited["metadata"]["generation"] += 1
    assert health("Pipeline", edited)["status"] == argo(edited) == "Progressing"
    del edited["status"]
    assert health("Pipeline", edited)["status"] == argo(edited) == "Progressing"


@pytest.mark.parametrize("kind", KINDS)
def test_an_object_without_a_status_is_no_error(kind: str) -> None:
    assert health(kind, {"metadata": {"generation": 1}, "spec": {}})["status"] == "Progressing"


def test_a_client_that_cannot_be_used_is_degraded() -> None:
    thing = copy.deepcopy(recorded("PipelineClient")["suspended"])
    thing["status"]["conditions"][0] |= {"reason": "InvalidSpec", "message": "why"}
    assert health("PipelineClient", thing) == {"status": "Degraded", "message": "why"}


@pytest.mark.parametrize("name", sorted(ENABLED))
def test_the_actions_that_make_sense_are_offered(name: str) -> None:
    assert enabled(RECORDED[name]) == ENABLED[name]


def test_a_cancel_that_stands_is_not_offered_again_and_drain_may_become_now() -> None:
    thing = copy.deepcopy(RECORDED["in-progress"])
    thing["spec"]["cancel"] = "Now"
    assert enabled(thing) == {"suspend"}
    thing["spec"]["cancel"] = "Drain"
    assert enabled(thing) == {"cancel", "suspend"}


@pytest.mark.parametrize("case", ACTIONS["actionTests"], ids=lambda case: case["action"])
def test_an_action_changes_what_it_says_and_nothing_else(case: dict[str, Any]) -> None:
    folder = PIPELINE / "actions"
    thing = load(folder / case["inputPath"])
    assert act(case["action"], thing) == load(folder / case["expectedOutputPath"])
    assert patch_of(case["action"], thing).keys() == {"spec"}


def test_every_action_has_a_case() -> None:
    assert {case["action"] for case in ACTIONS["actionTests"]} == set(shipped.actions())
    for case in ACTIONS["discoveryTests"]:
        told = {one["name"]: one["disabled"] for one in case["result"]}
        offered = enabled(load(PIPELINE / "actions" / case["inputPath"]))
        assert told == {name: name not in offered for name in shipped.actions()}


@pytest.mark.parametrize("action", shipped.actions())
@pytest.mark.parametrize("name", sorted(RECORDED))
def test_what_an_action_asks_for_is_a_legal_spec(name: str, action: str) -> None:
    decode_pipeline_spec(act(action, RECORDED[name])["spec"])


def test_a_second_click_on_rerun_asks_for_the_same_run_and_the_next_run_for_another() -> None:
    thing = RECORDED["error"]
    once = act("rerun", thing)
    assert act("rerun", once)["spec"] == once["spec"]
    later = copy.deepcopy(once)
    later["status"] |= {"run": 2, "rerunId": once["spec"]["rerun"]["id"]}
    assert act("rerun", later)["spec"]["rerun"]["id"] not in (once["spec"]["rerun"]["id"], None)
    assert act("rerun-all", once)["spec"]["rerun"]["id"] != once["spec"]["rerun"]["id"]


def test_empty_lists_and_maps_survive_an_action() -> None:
    thing = copy.deepcopy(RECORDED["in-progress"])
    thing["spec"]["jobs"][0]["params"] |= {"args": [], "env": {}}
    assert patch_of("cancel", thing) == {"spec": {"cancel": "Now"}}


def test_the_config_map_holds_the_scripts() -> None:
    assert shipped.CONFIG.read_text() == shipped.config_map(), "run `make manifests` and commit the result"
    data = yaml.safe_load(shipped.CONFIG.read_text())["data"]
    assert data.keys() == {
        *(f"resource.customizations.health.taskpipeline.dev_{kind}" for kind in KINDS),
        "resource.customizations.actions.taskpipeline.dev_Pipeline",
    }
    entry = yaml.safe_load(data["resource.customizations.actions.taskpipeline.dev_Pipeline"])
    assert [one["name"] for one in entry["definitions"]] == shipped.actions()
    assert entry["discovery.lua"] == (PIPELINE / "actions" / "discovery.lua").read_text()
