"""Messages are bounded in bytes, and with them the size of a PipelineJob."""

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from task_pipeline.api.reasons import Reason
from task_pipeline.core.job_decision import decide_job, launched
from task_pipeline.core.messages import shortened
from task_pipeline.core.records import JobStatus, WorkloadRef
from task_pipeline.core.workload import Observation, Phase
from tests.unit.core.job_builders import NOW, at, facts, job, saw

KIB = 1024


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200), st.integers(16, 200))
@example('0"\b\f\x80\x80\U00010000', 16)
def test_a_message_fits_its_room(text: str, room: int) -> None:
    short = shortened(text, room)
    assert len(msgspec.json.encode(short)) - 2 <= room
    if len(msgspec.json.encode(text)) - 2 <= room:
        assert short == text
    assert shortened(short, room) == short


def test_the_first_words_and_the_last_lines_stay() -> None:
    text = "exit code 3: " + "\n".join(f"line {number}" for number in range(500))
    short = shortened(text, 100)
    assert short.startswith("exit code 3: line 0")
    assert "..." in short
    assert short.endswith("line 498\nline 499")


@pytest.mark.parametrize("letter", ["x", "é", "日", "\U0001f680", "\n", '"', "\x01", "\b"])
def test_a_job_stays_below_8_kib_whatever_its_attempts_say(letter: str) -> None:
    seen = Observation(
        Phase.FAILED, Reason.IMAGE_PULL_FAILED, letter * 5000, exit_code=137, node="n" * 40, completion_time=at(0)
    )
    record = job(retry_attempt=11, pipeline="p" * 63, stage="s" * 63, params=msgspec.Raw(b"{}"))
    for number in range(1, 13):
        pod = WorkloadRef(kind="Job", name="n" * 63, uid="u" * 36)
        going = replace(record, status=launched(record.status, number, pod, NOW))
        status = decide_job(facts(going, saw(seen)), NOW).status
        assert status is not None
        record = replace(record, status=status)
    assert record.final
    assert len(record.status.attempts) == 10
    assert len(msgspec.json.encode(record.status)) + len(msgspec.json.encode(record.spec)) + KIB <= 8 * KIB
    assert msgspec.json.decode(msgspec.json.encode(record.status), type=JobStatus) == record.status
