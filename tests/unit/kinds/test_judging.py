"""The judgement of a whole spec: every fault of its form and of every job's params in one round, each once."""

from typing import Any

import pytest

from task_pipeline.api.common import MAX_JOBS
from task_pipeline.core.workload import KindDefaults
from task_pipeline.kinds.judging import spec_faults
from task_pipeline.kinds.registry import KINDS

GOOD: dict[str, Any] = {
    "name": "a",
    "stage": "s",
    "kind": "Shell",
    "version": "1.0.0",
    "params": {"image": "i", "command": ["true"]},
}


def paths(spec: Any) -> list[str]:
    """Where the faults of a spec are."""
    return [fault.path for fault in spec_faults(spec, KindDefaults(), KINDS)[1]]


def of_jobs(*jobs: Any) -> dict[str, Any]:
    """A spec of one stage with these jobs."""
    return {"stages": ["s"], "jobs": list(jobs)}


def test_a_good_spec_is_decoded_and_has_no_faults() -> None:
    decoded, found = spec_faults(of_jobs(GOOD), KindDefaults(), KINDS)
    assert (decoded is not None, found) == (True, [])


@pytest.mark.parametrize("spec", [None, [], "text", {}, {"stages": ["s"], "jobs": "many"}])
def test_what_is_no_spec_has_faults_and_raises_nothing(spec: Any) -> None:
    assert spec_faults(spec, KindDefaults(), KINDS)[0] is None
    assert paths(spec)


def test_params_are_judged_where_other_parts_are_wrong_too() -> None:
    wrong = GOOD | {"params": {"command": ["true"], "imagee": "x"}, "stage": "nowhere"}
    found = paths(of_jobs("no job", GOOD | {"kind": 7}, wrong))
    assert any(path.startswith("spec.jobs[0]") for path in found)
    assert any(path.startswith("spec.jobs[2].params") for path in found)
    assert len(found) == len(set(found))


def test_no_more_jobs_are_judged_than_there_may_be() -> None:
    bad = GOOD | {"params": {"nothing": 1}}
    assert not any(path.startswith(f"spec.jobs[{MAX_JOBS}].params") for path in paths(of_jobs(*[bad] * (MAX_JOBS + 1))))
