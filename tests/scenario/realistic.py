"""A realistic Pipeline in a world: what becomes of each of its attempts, and the timeline that results."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple

from task_pipeline.api.group import LABEL_JOB_HASH
from task_pipeline.api.resources import PIPELINE_JOBS
from task_pipeline.api.times import parse_time
from tests.fakes.fates import Fate, succeeds
from tests.fakes.store import Object
from tests.realistic import Manifest
from tests.scenario.world import World

SECONDS = 20.0


class Span(NamedTuple):
    """From the first launch of a job to its end."""

    start: datetime
    end: datetime

    def overlaps(self, other: "Span") -> bool:
        """Whether both ran at the same time."""
        return self.start < other.end and other.start < self.end


def submit(world: World, manifest: Manifest) -> str:
    """Create the Pipeline; returns its name."""
    name: str = manifest["metadata"]["name"]
    spec = manifest["spec"]
    world.submit(name, *spec["jobs"], **{field: value for field, value in spec.items() if field != "jobs"})
    return name


def script(world: World, fates: Mapping[str, Sequence[Fate]] | None = None, *, usual: Fate | None = None) -> None:
    """Let the attempts of each job end one after the other as `fates` says; what it does not name goes as usual."""
    left = {name: list(some) for name, some in (fates or {}).items()}

    def fate(pod: Object) -> Fate:
        job_hash = pod["metadata"]["labels"][LABEL_JOB_HASH]
        found = world.cluster.admin.list(PIPELINE_JOBS, selector=f"{LABEL_JOB_HASH}={job_hash}")
        rest = left.get(found[0]["spec"]["name"])
        return rest.pop(0) if rest else usual or succeeds(SECONDS)

    world.cluster.kubelet.fate = fate


def spans(world: World, pipeline: str) -> dict[str, Span]:
    """When each job of the Pipeline that was launched ran."""
    found: dict[str, Span] = {}
    for job in world.jobs(pipeline):
        status = job["status"]
        starts = [one["startTime"] for one in status.get("attempts", ())] + [status.get("startTime")]
        known = [parse_time(start) for start in starts if start is not None]
        if known:
            found[job["spec"]["name"]] = Span(min(known), parse_time(status["completionTime"]))
    return found


def ran_in_order(world: World, manifest: Manifest) -> bool:
    """Whether no stage began before every job of the one before it was over."""
    ran = spans(world, manifest["metadata"]["name"])
    stages: list[list[Span]] = [
        [ran[job["name"]] for job in manifest["spec"]["jobs"] if job["stage"] == stage and job["name"] in ran]
        for stage in manifest["spec"]["stages"]
    ]
    launched = [stage for stage in stages if stage]
    pairs = pairwise(launched)
    return all(max(one.end for one in first) <= min(one.start for one in second) for first, second in pairs)


def counts(world: World, pipeline: str, count: str) -> dict[str, int]:
    """One count of every stage, such as `cancelled`."""
    return {stage["name"]: stage[count] for stage in world.pipeline(pipeline)["stages"]}


def outcomes(world: World, pipeline: str, job: str) -> list[tuple[str, str | None, int | None]]:
    """How the attempts of a job ended: outcome, reason and exit code."""
    attempts: list[dict[str, Any]] = world.job(pipeline, job)["attempts"]
    return [(one["outcome"], one.get("reason"), one.get("exitCode")) for one in attempts]


def launches(world: World, pipeline: str) -> list[str]:
    """The jobs for which pods were made, in order, a job once for each attempt."""
    return [who.removeprefix(f"{pipeline}/") for who in world.spy.launches if who.startswith(f"{pipeline}/")]
