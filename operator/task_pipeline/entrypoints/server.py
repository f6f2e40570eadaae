"""The REST server process: puts the parts together, serves, and stops within a bound.

Start: listen at once; /readyz says when the API server answers. Stop on SIGTERM or SIGINT: /readyz says no, nothing new
is taken, what is held open ends, and what is in flight has STOP_SECONDS to end. A second signal leaves at once.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Sequence

import uvloop
from aiohttp import web

from task_pipeline import __version__
from task_pipeline.entrypoints import flags
from task_pipeline.entrypoints.listener import listener, sample_streams
from task_pipeline.entrypoints.stopping import stop_on_signals
from task_pipeline.kube.client import HttpCluster
from task_pipeline.kube.cluster import Cluster
from task_pipeline.kube.config import NoCluster, connect
from task_pipeline.observability import logs
from task_pipeline.observability.meters import Meters
from task_pipeline.observability.requests import ApiRequests
from task_pipeline.server import logs as logs_routes
from task_pipeline.server import table
from task_pipeline.server.app import build
from task_pipeline.server.auth.gate import Limits
from task_pipeline.server.auth.setup import Auth, AuthConfig, set_up
from task_pipeline.server.counting import counting
from task_pipeline.server.desk import Desk
from task_pipeline.server.document import with_document
from task_pipeline.server.health import Readiness
from task_pipeline.server.listening import Runner
from task_pipeline.server.order import Orders
from task_pipeline.server.overview import Overview
from task_pipeline.server.routes import Route
from task_pipeline.server.services import Services
from task_pipeline.server.streams import Streams
from task_pipeline.server.web import pages
from task_pipeline.settings import Settings, WrongSettings

log = logging.getLogger(__name__)

PROGRAM = "task-pipeline-server"
STOP_SECONDS = 10.0
CONNECTIONS = 64  # to the API server
BACKLOG = 1024


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until told to stop; exit code 0 after SIGTERM, 2 for wrong settings, 1 for anything else."""
    load = flags.loader(sys.argv[1:] if arguments is None else arguments, PROGRAM, "REST server")
    try:
        settings = load()
    except WrongSettings as error:
        flags.leave_wrong(error.faults)
    logs.set_up(settings.log_level)
    try:
        uvloop.run(_main(settings))
    except WrongSettings as error:
        flags.leave_wrong(error.faults)
    except (NoCluster, OSError) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        sys.exit(2)


async def _main(settings: Settings) -> None:
    stop = stop_on_signals()
    connection = await connect(settings.kubeconfig, dict(os.environ))
    connection.user_agent = f"{PROGRAM}/{__version__}"
    log.info("task-pipeline %s, API server %s", __version__, connection.server)
    async with HttpCluster(connection, connections=CONNECTIONS) as cluster:
        meters = Meters()
        connection.answered = ApiRequests(meters)
        place = ("metrics_port", settings.health_address, settings.metrics_port)
        with listener(PROGRAM, place, {}, meters):
            await serve(cluster, settings, stop, None, meters)
    log.info("stopped")


async def serve(
    cluster: Cluster,
    settings: Settings,
    stop: asyncio.Event,
    limits: Limits | None = None,
    meters: Meters | None = None,
) -> None:
    """Serve until `stop` is set. Raises WrongSettings, and OSError when the address cannot be used."""
    app = application(cluster, settings, stop, limits, meters)
    runner = Runner(app, STOP_SECONDS)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.server_address, settings.server_port, backlog=BACKLOG)
        await site.start()
        log.info("serving on %s", ", ".join(f"{host}:{port}" for host, port, *_ in runner.addresses))
        await stop.wait()
        log.info("stopping: what is in flight has %g s to end", STOP_SECONDS)
    finally:
        await runner.cleanup()


def application(
    cluster: Cluster,
    settings: Settings,
    stopping: asyncio.Event,
    limits: Limits | None = None,
    meters: Meters | None = None,
) -> web.Application:
    """The application with all routes. Raises WrongSettings.

    `limits`: how often callers may ask, the usual if None. `meters` count what is answered.
    """
    auth = authentication(cluster, settings, limits)
    overview = Overview(cluster, settings)
    services = Services(
        cluster=cluster,
        settings=settings,
        authenticator=auth.authenticator,
        authorizer=auth.authorizer,
        address=auth.gate.address,
        queued=overview.queued,
        stopping=stopping,
    )
    desk = Desk(cluster, auth.tokens, settings.namespaces)
    orders = Orders(overview)
    for_programs = routes(auth, desk, orders)
    for_people = tuple(pages.routes(auth, overview, orders, secure=settings.server_secure_cookies))
    app = build(with_document((*for_programs, *for_people)), services)
    desk.serve(app)
    overview.serve(app)
    if meters is not None:
        app.middlewares.insert(0, counting(meters))
        sample_streams(meters, overview.streams)
    return app


def authentication(cluster: Cluster, settings: Settings, limits: Limits | None = None) -> Auth:
    """Who calls, and whether it may. Raises WrongSettings."""
    config = AuthConfig(
        settings.operator_namespace, settings.http_runner_account, settings.server_proxies, limits or Limits()
    )
    try:
        return set_up(cluster, config)
    except ValueError as error:
        raise WrongSettings([f"server_proxies, http_runner_account: {error}"]) from error


def routes(auth: Auth, desk: Desk, orders: Orders) -> tuple[Route, ...]:
    """All routes for programs, but those that describe them."""
    own = (*orders.routes, *Streams().routes, *logs_routes.routes)
    return (*table.routes(Readiness()), *auth.routes, *desk.routes, *own)


if __name__ == "__main__":
    main()
