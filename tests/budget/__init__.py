"""What the operator may cost, as gates without a clock. Every number stands in `limits.py`, with its reason.

- `test_writes.py`: requests and bytes of a job that succeeds at once, and what each watcher is sent of it
- `test_restart.py`: a restart with nothing changed writes nothing
- `test_idle.py`: a cluster in which all is over costs nothing
- `test_object_size.py`: the status of a Pipeline has one size, however many jobs it has
- `test_work.py`: what is computed for one event, however much waits and however many jobs the Pipeline has
- `test_memory.py`: bytes of what lives
- `test_metrics.py`: what metrics add to a job, and what a scrape holds up
- `test_cluster.py`: requests, bytes, sizes and restarts once more, on a real API server

Beside them: `tests/unit/core/test_queue_growth.py` counts one step of the queue, `tests/unit/cache/test_slim.py` weighs
what is over, `tests/scenario/test_write_budget.py` counts what waiting writes. Times belong to `make bench`, growth
with the size of the cluster to `make scale`.
"""
