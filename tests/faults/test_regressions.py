"""Faults that the sweeps have found, each as it was found, so that it stays found."""

import asyncio

from task_pipeline.api.resources import PODS, Resource
from tests.fakes.fates import Fate, of_annotations
from tests.fakes.store import Object
from tests.faults.memory.handovers import Handover, Way, hand_over
from tests.faults.memory.runs import in_virtual_time, play
from tests.faults.memory.scenarios import SCENARIOS
from tests.faults.memory.script import Script, StaleStart
from tests.faults.memory.site import Site
from tests.scenario.world import shell

DEPLOYMENT = next(scenario for scenario in SCENARIOS if scenario.name == "deployment")
CANCEL = next(scenario for scenario in SCENARIOS if scenario.name == "cancel")
TWO_STAGES = next(scenario for scenario in SCENARIOS if scenario.name == "two stages")


def test_jobs_that_began_and_ended_unseen_by_a_standby_are_not_taken_for_deleted() -> None:
    """The Store of the new leader is from before the first job, and the list of what lives has no ended ones."""
    reference = play(TWO_STAGES)
    pipelines = [version for version in reference.history.versions if version.resource == "pipelines"]
    second_stage = next(one.revision for one in pipelines if one.object["status"].get("divided") == 1)
    stale = StaleStart(killed=second_stage, seen=pipelines[0].revision, lag=60.0)
    run = play(TWO_STAGES, stale, reference=reference.history)
    assert run.script.spent
    assert run.violations == []


def test_a_deployment_as_it_was_before_the_job_applied_it_is_no_conflict() -> None:
    """The watch of the new leader shows the Deployment with the mark of the job before, which had applied it last."""
    reference = play(DEPLOYMENT)
    deployments = [version for version in reference.history.versions if version.resource == "deployments"]
    applied = max(place for place, one in enumerate(deployments) if one.object["metadata"]["generation"] == 1)
    stale = StaleStart(killed=deployments[applied + 1].revision + 3, seen=deployments[applied].revision)
    run = play(DEPLOYMENT, stale, reference=reference.history)
    assert run.script.spent
    assert run.violations == []


def test_what_a_paused_leader_launches_when_it_wakes_is_stopped_though_its_job_is_over() -> None:
    """It had passed the gate; meanwhile the attempt was made by the next leader, and cancelled, and its pod is gone."""
    reference = play(CANCEL)
    launch = next(place for place, call in enumerate(reference.script.writes) if call.resource == PODS)
    run = hand_over(CANCEL, Handover(launch, Way.WOKEN_LATE), reference.history)
    assert run.script.spent
    assert len([version for version in run.history.versions if version.verb == "ADDED" and _is_of_a(version.name)]) == 2
    assert run.violations == []


def test_a_failed_attempt_that_another_container_keeps_alive_is_removed() -> None:
    async def retried() -> list[str]:
        site = Site(Script())

        def inject(resource: Resource, new: Object) -> None:
            if resource == PODS:
                new["spec"]["containers"].append({**new["spec"]["containers"][0], "name": "mesh"})

        def fate(pod: Object) -> Fate:
            return Fate(exit_code=of_annotations(pod).exit_code, sidecar_ends=False)

        site.cluster.registry.admissions.append(inject)
        site.cluster.kubelet.fate = fate
        await site.start()
        site.submit("p", shell("a", exit_code=1, retryAttempt=2))
        await site.until_final()
        await asyncio.sleep(60)
        await site.kill()
        site.close()
        return [pod["status"]["phase"] for pod in site.pods()]

    assert "Running" not in in_virtual_time(retried())


def _is_of_a(name: str) -> bool:
    return name.startswith("default/p-a-") and name.count("-") == 3
