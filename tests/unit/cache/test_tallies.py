"""What is counted of a Pipeline's jobs goes with the last of them, at a cost that does not grow with the others."""

from task_pipeline.cache.store import Store
from tests import make


class Uid(str):
    """A UID that counts how often it is compared."""

    __slots__ = ()
    compared = 0

    def __eq__(self, other: object) -> bool:
        Uid.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def crowded(number: int) -> Store:
    """A Store of so many Pipelines with one job each, of run 2."""
    store = Store()
    for n in range(number):
        store.put_pipeline(make.pipeline(f"p{n}"))
        store.put_job(make.job("a", pipeline=f"p{n}", uid=f"job-{n}", run=2))
    return store


def cost_of_forgetting(number: int) -> int:
    """Comparisons of its UID when one Pipeline of so many goes, its job being gone."""
    store = crowded(number)
    store.drop_job("job-1")
    uid = Uid("uid-p1")
    Uid.compared = 0
    store.drop_pipeline(uid)
    return Uid.compared


def test_forgetting_one_pipeline_costs_the_same_however_many_there_are() -> None:
    assert cost_of_forgetting(2000) <= cost_of_forgetting(10) + 5


def test_counts_outlive_the_pipeline_as_long_as_a_job_exists() -> None:
    store = crowded(1)
    store.drop_pipeline("uid-p0")
    assert store.tally("uid-p0", 2).unfinished == 1
    store.drop_job("job-0")
    assert store.tally("uid-p0", 2).unfinished == 0
