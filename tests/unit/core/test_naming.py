"""Names of what the operator creates: valid whatever the user wrote, and never the same for two things.

Field cases B005, B087 and B088.
"""

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from task_pipeline.core.divider import drafts
from task_pipeline.core.naming import JOB_NAME_LENGTH, clean, digest, job_hash, job_object_name, workload_name
from tests.unit.core.job_builders import job_spec, pipeline

LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
LABEL_LENGTH = 63
HASH_LENGTH = 16

uids = st.uuids().map(str)
anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=253)
subdomains = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", fullmatch=True)
job_names = st.from_regex(r"[._-]{0,10}[A-Za-z0-9][A-Za-z0-9._-]{0,52}", fullmatch=True)


def names(pipeline_name: str, job_name: str, uid: str = "pu-1", run: int = 1) -> tuple[str, str]:
    """The names of the PipelineJob and of the workload of its attempt 100."""
    child = job_object_name(pipeline_name, job_name, job_hash(uid, run, job_name))
    return child, workload_name(child, "ju-1", 100)


def assert_valid(child: str, workload: str) -> None:
    assert len(child) <= JOB_NAME_LENGTH == 52
    assert len(workload) <= LABEL_LENGTH
    assert LABEL.fullmatch(child), child
    assert LABEL.fullmatch(workload), workload


@given(anything, anything, uids, st.integers(1, 2**31 - 1), st.integers(1, 101))
def test_names_are_labels_whatever_they_are_made_of(name: str, job: str, uid: str, run: int, attempt: int) -> None:
    identity = job_hash(uid, run, job)
    child = job_object_name(name, job, identity)
    assert_valid(child, workload_name(child, uid, attempt))
    assert len(identity) == HASH_LENGTH
    assert child.endswith(f"-{identity}")


@given(subdomains, job_names, uids)
def test_legal_names_stay_readable(name: str, job: str, uid: str) -> None:
    child, workload = names(name, job, uid)
    assert_valid(child, workload)
    readable = child[: -HASH_LENGTH - 1]
    assert clean(job, 16)[:-1] in readable  # its last character makes room for a letter before a leading digit
    assert workload.startswith(child)


@given(st.tuples(anything, st.integers(1, 99), uids), st.tuples(anything, st.integers(1, 99), uids))
def test_two_jobs_never_share_a_name(one: tuple[str, int, str], other: tuple[str, int, str]) -> None:
    assume(one != other)
    assert names("p", one[0], one[2], one[1]) != names("p", other[0], other[2], other[1])


@given(st.text("ab:\x00", max_size=6), st.text("ab:\x00", max_size=6), st.text("ab:\x00", max_size=12))
def test_the_limits_between_the_parts_of_a_digest_count(one: str, two: str, other: str) -> None:
    assert digest(one, two) != digest(one + two)
    assert digest(one, two) != digest(one + "\x00" + two)
    assert (digest(one, two) == digest(other, one)) is ((one, two) == (other, one))


def test_a_digest_is_fixed_for_ever() -> None:
    """A newer version must find what an older one has created."""
    assert digest("a", "b", length=10) == digest("a", "b")[:10]
    assert (digest("a", "b"), job_hash("uid", 1, "unit")) == ("jvkinaxx6uqf47ni", "n6jpv7m6ypvdpj7a")


@pytest.mark.parametrize("attempts", [2, 101])
def test_every_attempt_has_its_own_workload(attempts: int) -> None:
    made = {workload_name("p-j-hash", "u-1", attempt) for attempt in range(1, attempts + 1)}
    assert len(made) == attempts
    assert workload_name("p-j-hash", "u-2", 1) not in made


@pytest.mark.parametrize(
    ("text", "length", "cleaned"),
    [
        ("Build & Test", 20, "build-test"),
        ("Ünit", 20, "nit"),
        ("1st", 20, "1st"),
        ("a--b", 20, "a-b"),
        ("abc-def", 4, "abc"),
        ("...", 20, ""),
        ("", 20, ""),
    ],
)
def test_clean_keeps_what_a_label_may_hold(text: str, length: int, cleaned: str) -> None:
    assert clean(text, length) == cleaned


@pytest.mark.parametrize(
    ("name", "job", "readable"),
    [
        ("nightly", "unit", "nightly-unit"),
        ("1.2", "unit", "j1-2-unit"),
        ("???", "1st", "j1st"),
        ("???", "!!!", "j"),
        ("p" * 253, "j" * 63, "p" * 17 + "-" + "j" * 17),
        ("1" * 253, "2" * 63, "j" + "1" * 17 + "-" + "2" * 16),
    ],
)
def test_the_readable_part(name: str, job: str, readable: str) -> None:
    identity = job_hash("pu-1", 1, job)
    assert job_object_name(name, job, identity) == f"{readable}-{identity}"


@pytest.mark.parametrize(
    "name",
    [
        "release-candidate-2031-04-17-payment-gateway-hotfix-for-eu-west1",
        ".".join(["a" * 62] * 4) + "bb",
        "v1.2.3-rc.1",
        "1.2",
    ],
)
def test_B087_long_and_dotted_names(name: str) -> None:
    for job in ("end-to-end-checkout-with-three-domain-secure-and-saved-cards-v2", "J" * 63, "._-" + "1" * 60):
        assert_valid(*names(name, job))
    made = drafts(pipeline({"jobs": (job_spec("j" * 63),)}, name=name), 0)
    assert made[0]["spec"]["pipeline"] == name
    assert all(len(value) <= LABEL_LENGTH for value in made[0]["metadata"]["labels"].values())


def test_B088_free_texts_never_become_labels_or_names() -> None:
    stages = ("Build & Test", "Ünit", "1st")
    listed = tuple(job_spec(f"job-{place}", stage) for place, stage in enumerate(stages))
    record = pipeline({"stages": stages, "jobs": listed})
    for place, stage in enumerate(stages):
        (made,) = drafts(record, place)
        assert made["spec"]["stage"] == stage
        assert LABEL.fullmatch(made["metadata"]["name"])
        for value in made["metadata"]["labels"].values():
            assert LABEL_VALUE.fullmatch(value)
            assert len(value) <= LABEL_LENGTH
            assert stage not in value


def test_B005_names_equal_after_lower_casing() -> None:
    alike = ("build", "Build", "BUILD", "build.", "-build", "b_uild", "b-uild", "b.uild", "b--uild")
    made = drafts(pipeline({"jobs": tuple(job_spec(name) for name in alike)}), 0)
    assert [one["spec"]["name"] for one in made] == list(alike)
    assert len({one["metadata"]["name"] for one in made}) == len(alike)
    assert len({one["metadata"]["labels"]["taskpipeline.dev/job-hash"] for one in made}) == len(alike)


def test_a_recreated_pipeline_and_a_rerun_have_other_children() -> None:
    made = {names("p", "j", uid, run)[0] for uid in ("uid-1", "uid-2") for run in (1, 2)}
    assert len(made) == 4
