"""What becomes of a Shell job's pod: deleted by hand at every moment, evicted, lost with its node, killed, not started.

Rows 6 and 10 of the semantics, and field cases. A status that no fate of the fake has is written as the kubelet would.
"""

import asyncio
from typing import Any

import pytest

from task_pipeline.api.resources import PIPELINE_JOBS, PODS
from task_pipeline.core.retry import NOT_RETRIED
from task_pipeline.kube.errors import Unreachable
from tests.fakes import fates, on
from tests.fakes.fates import FOREVER, Fate
from tests.scenario.world import World, running, shell

pytestmark = [pytest.mark.looptime]


def first_then(world: World, *first: Fate, then: Fate | None = None) -> None:
    """The fates of the first pods, and of all after them."""
    fate = iter(first)
    world.cluster.kubelet.fate = lambda pod: next(fate, then or fates.succeeds())


def outcomes(world: World) -> list[tuple[Any, ...]]:
    """Outcome, reason and charge of every attempt of the job `a`."""
    attempts = world.job("p", "a")["attempts"]
    return [(one["outcome"], one.get("reason"), one.get("charged")) for one in attempts]


async def the_pod(world: World, phase: str = "Running") -> dict[str, Any]:
    """The pod of the job, once it is in that phase."""
    await world.cluster.admin.wait_for(
        lambda: any(pod["status"].get("phase") == phase for pod in world.pods()), 60, f"a pod to be {phase}"
    )
    return next(pod for pod in world.pods() if pod["status"].get("phase") == phase)


def container(state: dict[str, Any], name: str = "main", restarts: int = 0, **more: Any) -> dict[str, Any]:
    """A container status."""
    fixed = {"name": name, "image": "i", "imageID": "", "ready": False, "restartCount": restarts}
    return fixed | {"state": state} | more


def ended(code: int, reason: str = "Error", message: str = "") -> dict[str, Any]:
    """The state of a container that has ended."""
    times = {"startedAt": "2031-01-01T00:00:00Z", "finishedAt": "2031-01-01T00:00:05Z"}
    return {"terminated": {"exitCode": code, "reason": reason, "message": message, **times}}


LOST = ("Lost", "Lost", False)
DONE = ("Succeeded", None, None)


class TestDeletedByHand:
    """Semantics 6, field case B101: not charged, replaced once the old pod is gone, noticed within a minute."""

    MOMENTS = {  # noqa: RUF012
        "without a node": Fate(unschedulable="0/10 nodes are available"),
        "while it waits for its image": fates.no_image(),
        "while it runs": fates.hangs(),
        "while it runs and takes its time to stop": fates.hangs(stop_seconds=25),
    }

    @pytest.mark.parametrize("down", [False, True], ids=["up", "down"])
    @pytest.mark.parametrize("grace", [None, 0])
    @pytest.mark.parametrize("moment", MOMENTS)
    async def test_b101_it_is_replaced_after_it_has_gone(self, moment: str, grace: float | None, down: bool) -> None:
        async with running() as world:
            first_then(world, self.MOMENTS[moment])
            world.submit("p", shell("a"))
            await asyncio.sleep(20)
            (old,) = world.pods()
            if down:
                await world.kill()
            world.cluster.admin.delete(PODS, old["metadata"]["name"], grace=grace)
            await asyncio.sleep(1)
            if down:
                await world.start()
            assert await world.until_final(seconds=60) == {"p": "DONE"}
            assert outcomes(world) == [LOST, DONE]
            self.check_one_at_a_time(world)

    @staticmethod
    def check_one_at_a_time(world: World) -> None:
        """Never two pods of the job at once."""
        assert world.spy.pods.most == 1

    async def test_b101_after_its_end_before_the_status_was_written(self) -> None:
        """Its result is unknown, and an unknown result is never a success."""
        async with running() as world:
            first_then(world, fates.succeeds(5))
            world.submit("p", shell("a"))
            pod = await the_pod(world)
            await world.kill()
            await asyncio.sleep(10)
            world.cluster.admin.delete(PODS, pod["metadata"]["name"])
            await world.start()
            assert await world.until_final() == {"p": "DONE"}
            assert outcomes(world) == [LOST, DONE]

    async def test_b101_between_its_launch_and_the_first_status(self) -> None:
        async with running() as world:
            first_then(world, fates.hangs())
            fault = world.cluster.fault(on("patch_status", PIPELINE_JOBS), before=Unreachable("cut"), times=None)
            world.submit("p", shell("a"))
            pod = await the_pod(world)
            world.cluster.admin.delete(PODS, pod["metadata"]["name"], grace=0)
            world.cluster.faults.remove(fault)
            assert await world.until_final() == {"p": "DONE"}
            self.check_one_at_a_time(world)
            world.cluster.journal.clear()  # nothing told of the first pod, so the same attempt had a second

    async def test_b101_by_someone_who_does_it_again_and_again(self) -> None:
        async with running() as world:
            world.cluster.kubelet.fate = lambda pod: Fate(seconds=FOREVER, deleted_after=5)
            world.submit("p", shell("a", retryAttempt=1))
            assert await world.until_final() == {"p": "ERROR"}
            assert [charged for _, _, charged in outcomes(world)] == [False, False, False, True] * 2
            assert world.job("p", "a")["reason"] == "Lost"


class TestTaken:
    @pytest.mark.parametrize("reason", ["EvictionByEvictionAPI", "PreemptionByScheduler", "DeletionByTaintManager"])
    async def test_semantics_6_a_disruption_is_told_by_its_own_name_and_given_back(self, reason: str) -> None:
        """Field case B102: the eviction API marks the pod and deletes it."""
        async with running() as world:
            first_then(world, fates.hangs(stop_seconds=3))
            world.submit("p", shell("a", retryAttempt=1, timeout=1200))
            await disrupt(world, reason)
            assert await world.until_final() == {"p": "DONE"}
            assert outcomes(world) == [("Evicted", "Evicted", False), DONE]
            assert world.job("p", "a")["attempts"][0]["message"].startswith(f"{reason}: ")
            assert "failures" not in world.job("p", "a")

    async def test_b042_a_killed_pod_is_never_done(self) -> None:
        states: dict[str, dict[str, Any]] = {
            "killed": {"containerStatuses": [container(ended(137))]},
            "unknown": {"containerStatuses": [container(ended(137, "ContainerStatusUnknown", "could not be located"))]},
        }
        for name, status in states.items():
            async with running() as world:
                world.cluster.kubelet.fate = lambda pod: fates.hangs()
                world.submit("p", shell("a"))
                pod = await the_pod(world)
                world.cluster.admin.status(PODS, pod["metadata"]["name"], phase="Failed", **status)
                await asyncio.sleep(1)
                first = outcomes(world)[0]
                assert first == (LOST if name == "unknown" else ("Failed", "ExitCode", True))
                world.edit("p", cancel="Now")
                await world.until_final()
                assert "DONE" not in (world.pipeline("p")["state"], world.job("p", "a")["state"])

    async def test_b042_a_drain_ends_with_143_and_is_given_back(self) -> None:
        async with running() as world:
            first_then(world, fates.hangs())
            world.submit("p", shell("a"))
            await disrupt(world, "EvictionByEvictionAPI")
            assert await world.until_final() == {"p": "DONE"}
            assert outcomes(world)[0] == ("Evicted", "Evicted", False)

    async def test_semantics_6_at_most_three_in_a_row_then_charged(self) -> None:
        async with running() as world:
            world.cluster.kubelet.fate = lambda pod: fates.evicted(5)
            world.submit("p", shell("a"))
            assert await world.until_final() == {"p": "ERROR"}
            assert [charged for _, _, charged in outcomes(world)] == [False, False, False, True]
            assert world.job("p", "a")["reason"] == "Evicted"

    @pytest.mark.parametrize(
        "message",
        [
            "Pod ephemeral local storage usage exceeds the total limit of containers 50Mi. ",
            'Container main exceeded its local ephemeral storage limit "50Mi". ',
        ],
    )
    async def test_b103_an_eviction_for_the_jobs_own_limit_is_its_fault(self, message: str) -> None:
        async with running() as world:
            world.cluster.kubelet.fate = lambda pod: fates.hangs()
            world.submit("p", shell("a"))
            pod = await the_pod(world)
            states = [container(ended(137))]
            world.cluster.admin.status(
                PODS,
                pod["metadata"]["name"],
                phase="Failed",
                reason="Evicted",
                message=message,
                containerStatuses=states,
            )
            assert await world.until_final() == {"p": "ERROR"}
            status = world.job("p", "a")
            assert (status["reason"], status["message"]) == ("Evicted", f"Evicted: {message.strip()}")


async def disrupt(world: World, reason: str) -> None:
    """Mark the running pod as the cluster does before it takes it away, and delete it."""
    pod = await the_pod(world)
    at = world.cluster.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    mark = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": "why", "lastTransitionTime": at}
    name = pod["metadata"]["name"]
    world.cluster.admin.status(PODS, name, conditions=[*pod["status"]["conditions"], mark])
    world.cluster.admin.delete(PODS, name)


class TestNodeLost:
    async def test_b101_a_node_that_is_removed_gives_its_pods_back(self) -> None:
        async with running() as world:
            first_then(world, fates.node_lost(5))
            world.submit("p", shell("a", retryAttempt=1))
            assert await world.until_final() == {"p": "DONE"}
            assert outcomes(world) == [LOST, DONE]
            assert "DeletionByPodGC: PodGC: node no longer exists" in world.job("p", "a")["attempts"][0]["message"]

    async def test_semantics_6_a_node_that_stays_silent_ends_the_attempt_60_s_after_the_grace_period(self) -> None:
        async with running() as world:
            world.cluster.kubelet.times.node_lost = FOREVER
            first_then(world, fates.node_lost(5))
            world.submit("p", shell("a"))
            pod = await the_pod(world)
            await asyncio.sleep(10)
            world.cluster.admin.delete(PODS, pod["metadata"]["name"])  # as the node controller does; grace 30 s
            await asyncio.sleep(85)
            assert world.job("p", "a")["state"] == "IN PROGRESS"
            assert len(world.cluster.journal.of("create", PODS)) == 1
            assert await world.until_final(seconds=20) == {"p": "DONE"}
            assert outcomes(world) == [LOST, DONE]
            first = world.job("p", "a")["attempts"][0]
            assert first["message"].endswith("its node does not answer, it may still be running")
            assert first["workload"]["uid"] == pod["metadata"]["uid"]

    async def test_semantics_6_so_does_one_that_is_stopped_for_its_timeout(self) -> None:
        async with running() as world:
            world.cluster.kubelet.times.node_lost = FOREVER
            first_then(world, fates.node_lost(5))
            world.submit("p", shell("a", timeout=20, retryAttempt=1))
            await asyncio.sleep(20 + 85)
            assert world.job("p", "a")["reason"] == "Stopping"
            assert await world.until_final() == {"p": "DONE"}
            first = world.job("p", "a")["attempts"][0]
            assert (first["outcome"], first["charged"]) == ("Timeout", True)
            assert "may still be running" in first["message"]


class TestStart:
    async def test_semantics_10_a_slow_start_shows_the_message_and_drops_it(self) -> None:
        async with running() as world:
            first_then(world, fates.never_starts("CreateContainerConfigError", 'secret "token" not found'))
            world.submit("p", shell("a"))
            await asyncio.sleep(5)
            assert "message" not in world.job("p", "a")
            await asyncio.sleep(10)
            assert 'secret "token" not found' in world.job("p", "a")["message"]
            (pod,) = world.pods()
            state = container({"running": {"startedAt": "2031-01-01T00:00:00Z"}})
            world.cluster.admin.status(PODS, pod["metadata"]["name"], phase="Running", containerStatuses=[state])
            await asyncio.sleep(10)
            status = world.job("p", "a")
            assert (status["reason"], status.get("message")) == ("Running", None)
            world.edit("p", cancel="Now")
            await world.until_final()

    @pytest.mark.parametrize(
        ("reason", "message"),
        [
            ("InvalidImageName", 'Failed to apply default image tag "A:1": invalid reference format'),
            ("CreateContainerError", "failed to generate spec: no command specified"),
            ("RunContainerError", 'exec: "/bin/sh": stat /bin/sh: no such file or directory'),
        ],
    )
    async def test_semantics_10_what_can_never_start_ends_at_once_and_is_not_retried(
        self, reason: str, message: str
    ) -> None:
        async with running() as world:
            world.cluster.kubelet.fate = lambda pod: fates.never_starts(reason, message)
            world.submit("p", shell("a", retryAttempt=5))
            assert await world.until_final(seconds=10) == {"p": "ERROR"}
            status = world.job("p", "a")
            assert (status["attempt"], world.pods()) == (1, [])
            assert message in status["message"]
            assert status["message"].endswith(NOT_RETRIED)

    @pytest.mark.parametrize(
        "fate",
        [
            fates.no_image(),
            fates.never_starts("CreateContainerConfigError", 'configmap "c" not found'),
            fates.unschedulable(),
        ],
        ids=["image", "config", "node"],
    )
    async def test_semantics_10_what_may_still_start_has_until_start_timeout_and_is_retried(self, fate: Fate) -> None:
        async with running() as world:
            first_then(world, fate)
            world.submit("p", shell("a", retryAttempt=1, startTimeout=60))
            await asyncio.sleep(55)
            assert (world.job("p", "a")["state"], len(world.pods())) == ("IN PROGRESS", 1)
            assert await world.until_final(seconds=30) == {"p": "DONE"}
            assert outcomes(world) == [("Timeout", "StartTimeout", True), DONE]

    @pytest.mark.parametrize("answer", ["503 Service Unavailable", "429 Too Many Requests"])
    async def test_b099_a_registry_that_recovers_costs_no_attempt(self, answer: str) -> None:
        async with running() as world:
            pulls = fates.never_starts("ErrImagePull", f"failed to pull: unexpected status: {answer}")
            world.cluster.kubelet.fate = lambda pod: pulls
            world.submit("p", shell("a"))
            await asyncio.sleep(90)
            assert answer in world.job("p", "a")["message"]
            (pod,) = world.pods()
            world.cluster.kubelet.finish(pod["metadata"]["uid"])
            assert await world.until_final() == {"p": "DONE"}
            assert (world.job("p", "a")["attempt"], len(outcomes(world))) == (1, 1)

    async def test_b044_an_init_container_that_fails_is_named_with_its_code(self) -> None:
        async with running() as world:
            world.cluster.kubelet.fate = lambda pod: Fate(init_exit_code=7)
            world.submit("p", shell("a"))
            assert await world.until_final() == {"p": "ERROR"}
            status = world.job("p", "a")
            assert status["message"].startswith("init container init: exit code 7")
            assert status["attempts"][0]["exitCode"] == 7


class TestOtherContainers:
    async def test_b040_an_injected_sidecar_neither_decides_nor_delays_and_is_removed(self) -> None:
        async with running() as world:
            inject(world)
            world.cluster.kubelet.fate = lambda pod: Fate(seconds=5, sidecar_ends=False)
            world.submit("p", shell("a"))
            assert await world.until_final(seconds=8) == {"p": "DONE"}
            await asyncio.sleep(60)
            assert not [pod for pod in world.pods() if pod["status"]["phase"] == "Running"]

    async def test_b096_the_timeout_names_the_helper_that_was_killed_for_memory(self) -> None:
        async with running() as world:
            inject(world)
            world.cluster.kubelet.fate = lambda pod: fates.hangs()
            world.submit("p", shell("a", timeout=60))
            pod = await the_pod(world)
            helper = container(
                {"waiting": {"reason": "CrashLoopBackOff"}}, "proxy", 4, lastState=ended(137, "OOMKilled")
            )
            main = container({"running": {"startedAt": "2031-01-01T00:00:00Z"}})
            world.cluster.admin.status(PODS, pod["metadata"]["name"], containerStatuses=[main, helper])
            assert await world.until_final() == {"p": "ERROR"}
            status = world.job("p", "a")
            assert status["reason"] == "Timeout"
            for words in ("ran longer than 60 s", "container proxy ended: OOMKilled", "restarts: 4"):
                assert words in status["message"]


def inject(world: World) -> None:
    """A webhook that puts a second container into every pod."""

    def mutate(resource: Any, new: dict[str, Any]) -> None:
        if resource == PODS:
            new["spec"]["containers"].append({"name": "proxy", "image": "proxy:1"})

    world.cluster.registry.admissions.append(mutate)


@pytest.mark.parametrize(
    ("phase", "state", "reason"),
    [("Succeeded", "DONE", "Succeeded"), ("Failed", "ERROR", "OOMKilled")],
)
async def test_b046_contradicting_statuses_keep_oom_killed_and_failed_is_never_done(
    phase: str, state: str, reason: str
) -> None:
    async with running() as world:
        world.cluster.kubelet.fate = lambda pod: fates.hangs()
        world.submit("p", shell("a"))
        pod = await the_pod(world)
        states = [container(ended(0, "OOMKilled"))]
        world.cluster.admin.status(PODS, pod["metadata"]["name"], phase=phase, containerStatuses=states)
        assert await world.until_final() == {"p": state}
        status = world.job("p", "a")
        assert (status["reason"], status["attempts"][0]["reason"]) == (reason, "OOMKilled")
        assert "memory" in status["message"]


async def test_b097_five_causes_of_137_have_five_statuses() -> None:
    """Four have reasons; a failed liveness probe leaves no trace in a pod: it is told as a possible cause."""
    told = set()
    for what in ("memory", "kill", "deleted", "evicted"):
        async with running() as world:
            first_then(world, fates.hangs(), then=fates.hangs())
            world.submit("p", shell("a"))
            pod = await the_pod(world)
            name, states = (
                pod["metadata"]["name"],
                [container(ended(137, "OOMKilled" if what == "memory" else "Error"))],
            )
            status: dict[str, Any] = {"phase": "Failed", "containerStatuses": states}
            if what == "evicted":
                status |= {"reason": "Evicted", "message": "The node was low on resource: memory."}
            if what == "deleted":
                world.cluster.admin.delete(PODS, name, grace=0)
            else:
                world.cluster.admin.status(PODS, name, **status)
            await asyncio.sleep(1)
            told.add(world.job("p", "a")["attempts"][0]["reason"])
            world.edit("p", cancel="Now")
            await world.until_final()
    assert told == {"OOMKilled", "ExitCode", "Lost", "Evicted"}
