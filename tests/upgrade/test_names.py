"""Names that stand in users' clusters: what they are made of, and that no version makes them differently.

A PipelineJob is found by its hash, which covers the Pipeline's UID, the run and the job's name: a job of an open stage
under another hash would be launched a second time. If one of these tests is red, keep the old function for what exists
and record in the status which one was used. The workload of an attempt is found by that hash and by its attempt, and
once it has been seen its name and UID are in the status, so its name may change.
"""

from task_pipeline.core.naming import job_hash, job_object_name, workload_name

HASHES = ["bzdgjs4ljrj63crm", "txeucd6vcqjlpagg", "ew2xrmepkezxl2me"]
LONG_NAME = "j99999999999999999999999999999-b-u-bzdgjs4ljrj63crm"
WORKLOAD_NAME = "release-build-bzdgjs4ljrj63crm-tvilkkndi3"
UID = "0f8fad5b-d9cb-469f-a165-70867728950e"


def test_the_hash_of_a_job() -> None:
    assert [job_hash(UID, 1, "build"), job_hash(UID, 2, "build"), job_hash(UID, 1, "Build.x_y")] == HASHES


def test_the_name_of_a_pipeline_job() -> None:
    assert job_object_name("release", "build", HASHES[0]) == f"release-build-{HASHES[0]}"
    assert job_object_name("9" * 60, "B.U_I", HASHES[0]) == LONG_NAME


def test_the_name_of_a_workload() -> None:
    assert workload_name(f"release-build-{HASHES[0]}", UID, 1) == WORKLOAD_NAME
