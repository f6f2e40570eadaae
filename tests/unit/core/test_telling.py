"""Who is found to tell a wrong reason. What holds after any history is in test_queue_model."""

from dataclasses import replace

from task_pipeline.core.telling import Telling
from tests.unit.core.test_queue import key, open_queue, put


def test_nothing_is_pending_once_all_tell_the_truth() -> None:
    """The first of an order without a free slot tells another reason than the others; that is no reason to look on."""
    queue = open_queue(limit=0)
    telling = Telling(queue)
    for number in range(3):
        put(queue, str(number), place=key(place=number))
    telling.notice()
    assert telling.pending
    told = telling.lasting()
    assert [(entry.id, reason) for entry, reason in told] == [("0", "GlobalLimit")]
    queue.put(replace(told[0][0], told="GlobalLimit"))
    telling.notice()
    assert not telling.pending
    put(queue, "better", place=key(pipeline=1))
    assert telling.lasting() == []
    telling.notice()
    assert telling.pending
    assert [(entry.id, reason) for entry, reason in telling.lasting()] == [("better", "GlobalLimit"), ("0", "Queued")]
