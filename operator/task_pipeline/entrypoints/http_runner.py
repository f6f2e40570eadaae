"""The HTTP runner process: claims HTTP jobs at the REST server and sends their requests.

It reads no kubeconfig; its only credential is the token file that the settings name, and that token is good for the
REST server only. Stop on SIGTERM or SIGINT: nothing more is claimed, open requests have a while to end, and the rest is
reported as given up. A second signal leaves at once.
"""

import asyncio
import logging
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import uvloop

from task_pipeline import __version__
from task_pipeline.core.urls import parse_entry
from task_pipeline.entrypoints import flags
from task_pipeline.entrypoints.listener import listener
from task_pipeline.entrypoints.stopping import stop_on_signals
from task_pipeline.health.checks import Health
from task_pipeline.health.pulse import Pulse
from task_pipeline.observability import logs
from task_pipeline.observability.meters import Meters
from task_pipeline.runner.claiming import Options, Runner, token_from
from task_pipeline.runner.counting import counting
from task_pipeline.runner.perform import Perform, perform
from task_pipeline.runner.send import Sender
from task_pipeline.runner.targets import AllowList
from task_pipeline.settings import Settings, WrongSettings
from task_pipeline_worker.api import Api

log = logging.getLogger(__name__)

PROGRAM = "task-pipeline-http-runner"
MOST_LOOKUPS = 64  # threads that wait for name servers


def main(arguments: Sequence[str] | None = None) -> None:
    """Work until told to stop; exit code 0 after SIGTERM, 2 for wrong settings, 1 for anything else."""
    load = flags.loader(sys.argv[1:] if arguments is None else arguments, PROGRAM, "HTTP runner")
    try:
        settings = load()
    except WrongSettings as error:
        flags.leave_wrong(error.faults)
    logs.set_up(settings.log_level)
    uvloop.run(_main(settings))


async def _main(settings: Settings) -> None:
    stop = stop_on_signals()
    lookups = min(MOST_LOOKUPS, settings.http_requests)
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(lookups, thread_name_prefix="lookup"))
    log.info(
        "task-pipeline %s, REST server %s; allowed: %s",
        __version__,
        settings.server_url,
        ", ".join(settings.http_allow) or "nothing",
    )
    api, meters, pulse = Api(settings.server_url), Meters(), Pulse(time.monotonic)
    beat = asyncio.create_task(pulse.beat(), name="pulse")
    health = Health(time.monotonic, {"HTTP runner's": pulse}, listed=True)
    checks = {"/healthz": health.faults, "/readyz": health.hindrances}
    place = ("metrics_port", settings.health_address, settings.metrics_port)
    try:
        with listener(PROGRAM, place, checks, meters):
            await runner_of(settings, api, counting(meters)).run(stop)
    finally:
        beat.cancel()
        await api.close()
    log.info("stopped")


def runner_of(settings: Settings, api: Api, perform: Perform = perform) -> Runner:
    """The runner that the settings describe; `perform` sends what it claims."""
    options = Options(
        requests=settings.http_requests,
        seconds=settings.http_timeout,
        callback_url=settings.http_callback_url or settings.server_url,
    )
    sender = Sender(AllowList([parse_entry(entry) for entry in settings.http_allow]))
    return Runner(api, token_from(settings.http_runner_token_file), sender, options, perform)


if __name__ == "__main__":
    main()
