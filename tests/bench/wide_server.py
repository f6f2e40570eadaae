"""`python -m tests.bench.wide_server`: the REST server as it is, but for the limits on how often callers may ask."""

import asyncio
import os
import signal
import sys

import uvloop

from task_pipeline.entrypoints import flags
from task_pipeline.entrypoints.server import CONNECTIONS, PROGRAM, serve
from task_pipeline.kube.client import HttpCluster
from task_pipeline.kube.config import connect
from task_pipeline.observability import logs
from task_pipeline.server.auth.gate import Limits
from task_pipeline.server.auth.limits import Rate

WIDE = Limits(Rate(1e6, 1e6), Rate(1e6, 1e6))


async def main() -> None:
    """Serve until SIGTERM."""
    settings = flags.loader(sys.argv[1:], PROGRAM, "REST server")()
    logs.set_up(settings.log_level)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    connection = await connect(settings.kubeconfig, dict(os.environ))
    async with HttpCluster(connection, connections=CONNECTIONS) as cluster:
        await serve(cluster, settings, stop, WIDE)


if __name__ == "__main__":
    uvloop.run(main())
