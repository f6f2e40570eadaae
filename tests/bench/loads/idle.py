"""W6: the operator at rest, with thousands of Pipelines of one job that are over.

The past is written by the benchmark, from one that the operator has really run; the operator is started after that.
"""

import asyncio
import time
from dataclasses import asdict, replace
from typing import Any

import click

from tests import history
from tests.bench import counting
from tests.bench.contenders.base import NAMESPACE, Work
from tests.bench.processes import Meter, megabytes
from tests.bench.site import Site, connected
from tests.bench.stand import Stand

SETTLE_SECONDS = 20.0


async def measure(stand: Stand, site: Site, finished: int, seconds: float) -> dict[str, Any]:
    """Write `finished` Pipelines, start the operator, let it settle, and watch it for some seconds."""
    contender, model = stand.contender, Work("w6-model")
    await stand.submit([model])
    await stand.wait_over([model])
    await asyncio.to_thread(contender.stop)
    async with connected(site.kubeconfig) as cluster:
        found = await history.model(cluster, NAMESPACE, model.name)
        own = tuple(job for job in found.jobs if job["spec"]["pipeline"] == model.name)  # none of the warm-up
        began = time.monotonic()
        await history.write(cluster, replace(found, jobs=own), [f"old-{number:05}" for number in range(finished)])
    click.echo(f"    {finished} finished Pipelines written in {time.monotonic() - began:.0f} s")
    began = time.monotonic()
    await asyncio.to_thread(contender.start, site)
    started = time.monotonic() - began
    pid = contender.pid
    assert pid is not None, "only a contender with a program can be at rest"
    peak = megabytes(pid, "VmHWM")
    await asyncio.sleep(SETTLE_SECONDS)
    mark = site.cluster.audit_log.stat().st_size
    meter = Meter({contender.name: pid, **site.pids()}, time.monotonic())
    await asyncio.sleep(seconds)
    usage = meter.read(time.monotonic())
    requests = counting.figures(counting.requests(site.cluster.audit_log, mark), 1, contender.audit_users)
    server = sum(usage.cpu[name] for name in ("kube-apiserver", "etcd") if name in usage.cpu)
    return {
        "finished": finished,
        "seconds": usage.seconds,
        "start_seconds": started,
        "start_peak_megabytes": peak,
        "writes_per_minute": 60 * requests["writes_per_job"] / usage.seconds,
        "reads_per_minute": 60 * requests["reads_per_job"] / usage.seconds,
        "megabytes": megabytes(pid),
        "millicores": 1000 * usage.cpu[contender.name] / usage.seconds,
        "api_server_and_etcd_millicores": 1000 * server / usage.seconds,
        "idle": asdict(usage),
    }
