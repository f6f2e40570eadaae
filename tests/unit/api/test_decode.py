"""What the decoder accepts and refuses, and how it says so."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_pipeline.api.decode import FieldError, InvalidObject, decode_pipeline_spec, decode_pipelinejob_spec
from task_pipeline.api.faults import MAX_ERROR_TEXT
from task_pipeline.api.pipeline import PipelineSpec
from tests.contract.cases import ACCEPTED, REFUSED, UNKNOWN_FIELDS, Raw, Refused, fresh, job, spec


def faults(raw: Any) -> dict[str, str]:
    with pytest.raises(InvalidObject) as caught:
        decode_pipeline_spec(raw)
    return {error.path: error.message for error in caught.value.errors}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_refuses_with_the_path_and_the_way_out(case: Refused) -> None:
    found = faults(fresh(case.spec))
    assert any(path.startswith(case.path) and case.word in message for path, message in found.items()), found


@pytest.mark.parametrize("case", [case for case in REFUSED.values() if case.path not in ("spec.jobs", "spec.stages")])
def test_one_mistake_gives_one_fault(case: Refused) -> None:
    assert len(faults(fresh(case.spec))) == 1


@pytest.mark.parametrize(("raw", "path"), UNKNOWN_FIELDS.values(), ids=UNKNOWN_FIELDS.keys())
def test_refuses_unknown_fields(raw: Raw, path: str) -> None:
    assert "unknown field" in faults(fresh(raw))[path]


@pytest.mark.parametrize("raw", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_accepts_and_keeps_params_unchanged(raw: Raw) -> None:
    decoded = decode_pipeline_spec(fresh(raw))
    assert [item.effective_params for item in decoded.jobs] == [item["params"] or {} for item in raw["jobs"]]
    assert decode_pipeline_spec(decoded.to_dict()) == decoded


def test_a_guess_is_offered_for_a_misspelt_name() -> None:
    raw = spec(job(timout=1), job("b", stage="tset"), stages=["s", "test"], failfast=True)
    found = faults(raw)
    assert 'did you mean "timeout"?' in found["spec.jobs[0].timout"]
    assert 'did you mean "test"?' in found["spec.jobs[1].stage"]
    assert 'did you mean "failFast"?' in found["spec.failfast"]


def test_five_faults_at_once_are_all_named() -> None:
    raw = spec(
        job("lint", timeout=0),
        job("unit", retryAttempt=1, retry_attempt=2),
        job("unit", version="v1"),
        job("ship", stage="prod"),
        stages=["s", "s"],
    )
    with pytest.raises(InvalidObject) as caught:
        decode_pipeline_spec(raw)
    errors = caught.value.errors
    assert {error.path for error in errors} == {
        "spec.jobs[0].timeout",
        "spec.jobs[1]",
        "spec.jobs[2].version",
        "spec.jobs[2].name",
        "spec.jobs[3].stage",
        "spec.stages[1]",
    }
    text = str(caught.value)
    assert all(str(error) in text for error in errors)
    assert "spec.jobs[0].timeout (lint): must be 1 or more, got the number 0" in text
    assert "spec.jobs[1] (unit): give retryAttempt or retry_attempt, not both" in text


def test_faults_of_the_fields_do_not_hide_those_between_them() -> None:
    found = faults(spec(job("a", timeout="5"), job("a", stage="zz", kind=3)))
    assert set(found) == {
        "spec.jobs[0].timeout",
        "spec.jobs[1].kind",
        "spec.jobs[1].name",
        "spec.jobs[1].stage",
    }


def test_absent_fields_take_their_defaults_in_memory_only() -> None:
    decoded = decode_pipeline_spec(spec())
    [only] = decoded.jobs
    assert (only.effective_priority, only.retries, only.failure_allowed, only.timeout) == (10, 0, False, None)
    assert (decoded.client_id, decoded.priority, decoded.suspend) == ("default", 10, False)
    assert decoded.to_dict()["jobs"] == [job()]


def test_both_spellings_mean_the_same() -> None:
    one = decode_pipeline_spec(spec(job(retry_attempt=2, allow_failure=True)))
    other = decode_pipeline_spec(spec(job(retryAttempt=2, allowFailure=True)))
    assert one == other
    assert (one.jobs[0].retries, one.jobs[0].failure_allowed) == (2, True)
    assert one.to_dict()["jobs"][0]["retryAttempt"] == 2


def test_2000_jobs_are_accepted_and_one_more_is_not() -> None:
    jobs = [job(f"job-{number}") for number in range(2001)]
    assert len(decode_pipeline_spec(spec(*jobs[:2000])).jobs) == 2000
    assert faults(spec(*jobs)) == {"spec.jobs": "must have at most 2000 item(s), got 2001"}


def test_the_text_is_cut_and_says_how_many_faults_it_leaves_out() -> None:
    raw = spec(*(job(f"job-{number}", timeout=0) for number in range(2000)))
    with pytest.raises(InvalidObject) as caught:
        decode_pipeline_spec(raw)
    assert len(caught.value.errors) == 2000
    text = str(caught.value)
    assert len(text) < MAX_ERROR_TEXT + 50
    shown = text.count("must be 1 or more")
    assert text.endswith(f"and {2000 - shown} more")


def test_what_a_user_wrote_is_repeated_short_and_printable() -> None:
    found = faults({**spec(job(version="9" * 1000 + "\n")), "k" * 1000: 1})
    assert all(len(path) < 80 and len(message) < 300 for path, message in found.items())
    assert "\n" not in str(found)


@pytest.mark.parametrize("raw", [None, 3, "spec", [], [1]])
def test_a_spec_that_is_no_object_is_refused(raw: Any) -> None:
    assert set(faults(raw)) == {"spec"}


def test_a_field_name_that_is_no_text_is_refused() -> None:
    assert "must be a text" in faults({**spec(), 3: 4})["spec[3]"]


def test_a_fault_shows_the_name_of_its_job() -> None:
    assert str(FieldError("spec.jobs[3]", "is odd", "unit")) == "spec.jobs[3] (unit): is odd"
    assert str(FieldError("spec.stages", "is odd")) == "spec.stages: is odd"


def test_a_pipelinejob_of_a_newer_version_can_be_read() -> None:
    raw = {
        "pipeline": "p",
        "name": "a",
        "stage": "s",
        "stageIndex": 0,
        "index": 0,
        "run": 1,
        "clientId": "default",
        "kind": "Shell",
        "version": "1.0.0",
        "fromTheFuture": True,
    }
    assert decode_pipelinejob_spec(raw).run == 1
    with pytest.raises(InvalidObject, match=r"spec\.run: must be 1 or more"):
        decode_pipelinejob_spec(raw | {"run": 0})


def judged(raw: Raw) -> PipelineSpec | tuple[FieldError, ...]:
    try:
        return decode_pipeline_spec(raw)
    except InvalidObject as error:
        return error.errors


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    ["name", "stage", "kind", "version", "params", "timeout", "priority", "retryAttempt", "retry_attempt"]
)


@given(
    jobs=st.lists(JSON | st.dictionaries(FIELDS, JSON | st.sampled_from(["s", "a", "1.0.0", 1]), max_size=9)),
    stages=st.lists(st.sampled_from(["s", "t", "", " ", 3]), max_size=3) | JSON,
    more=st.dictionaries(st.sampled_from(["cancel", "priority", "rerun", "clientId", "x"]), JSON, max_size=3),
)
def test_any_json_is_either_decoded_or_refused_and_always_alike(jobs: Any, stages: Any, more: Raw) -> None:
    raw = {"stages": stages, "jobs": jobs, **more}
    before = json.dumps(raw)
    first, second = judged(raw), judged(raw)
    assert first == second
    if isinstance(first, PipelineSpec):
        assert judged(first.to_dict()) == first
    else:
        assert first
        assert all(fault.path.startswith("spec") and fault.message for fault in first)
    assert json.dumps(raw) == before
