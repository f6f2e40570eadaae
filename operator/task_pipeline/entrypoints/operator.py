"""The operator process: puts the parts together, starts them in order, and stops them in order.

Start: wait for the API server and the CRDs, list everything, then watch, stand by until this replica leads, and work.
Stop on SIGTERM or SIGINT: launch nothing more, let what is in flight end, give the Lease back, leave. A second signal
leaves at once, and so does the loss of the Lease.
"""

import asyncio
import logging
import os
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

import uvloop

from task_pipeline import __version__
from task_pipeline.api.resources import PIPELINE_CLIENTS, PIPELINE_JOBS, PIPELINES, Resource
from task_pipeline.cache.convert import PipelineClientView, PipelineView
from task_pipeline.controller.runtime import Runtime
from task_pipeline.entrypoints import flags, telemetry
from task_pipeline.entrypoints.listener import listener, sample_streams
from task_pipeline.entrypoints.listing import list_into, wait_for_resource
from task_pipeline.entrypoints.stopping import stop_on_signals
from task_pipeline.entrypoints.takeover import look_again
from task_pipeline.health.checks import STUCK_SECONDS, Health
from task_pipeline.health.pulse import Pulse
from task_pipeline.kube.client import HttpCluster
from task_pipeline.kube.config import Connection, NoCluster, connect
from task_pipeline.leadership.candidate import Candidate
from task_pipeline.leadership.gate import GatedCluster, clock
from task_pipeline.leadership.record import Timing
from task_pipeline.observability import logs
from task_pipeline.observability.meters import Meters
from task_pipeline.observability.requests import ApiRequests
from task_pipeline.observability.sampling import Sampled
from task_pipeline.observability.trace_queue import Sender, TraceQueue
from task_pipeline.observability.trace_switch import WrongTraces, trace_sender
from task_pipeline.settings import Settings, WrongSettings, config_path
from task_pipeline.settings_watch import SettingsWatch
from task_pipeline.watch.ghosts import GhostHunter
from task_pipeline.watch.shell import Delivery, KopfThread

log = logging.getLogger(__name__)

KOPF_SECONDS = 4.0  # to stop kopf, beside all else: the process is gone 5 s after SIGTERM
RESIGN_SECONDS = 1.0
TRACES_SECONDS = 1.0  # for traces that wait to be sent


def main(arguments: Sequence[str] | None = None) -> None:
    """Run until told to stop; exit code 0 after SIGTERM, 2 for wrong settings, 1 for anything else."""
    load = flags.loader(sys.argv[1:] if arguments is None else arguments)
    try:
        settings = load()
    except WrongSettings as error:
        flags.leave_wrong(error.faults)
    logs.set_up(settings.log_level)
    try:
        sender = trace_sender(os.environ)
    except WrongTraces as error:
        flags.leave_wrong([str(error)])
    try:
        uvloop.run(_main(settings, load, sender))
    except NoCluster as error:
        print(f"{flags.PROGRAM}: {error}", file=sys.stderr)
        sys.exit(2)


async def _main(settings: Settings, load: Callable[[], Settings], sender: Sender | None) -> None:
    stop = stop_on_signals()
    connection = await connect(settings.kubeconfig, dict(os.environ))
    log.info("task-pipeline %s, API server %s", __version__, connection.server)
    async with HttpCluster(connection, connections=settings.workers) as cluster:
        fault = await run(connection, cluster, settings, load, stop, sender)
    if fault is not None:
        log.error("the operator could not go on and has to be started again: %s", fault)
        sys.exit(1)
    log.info("stopped")


async def run(
    connection: Connection,
    cluster: HttpCluster,
    settings: Settings,
    load: Callable[[], Settings],
    stop: asyncio.Event,
    sender: Sender | None = None,
) -> str | None:
    """The operator from start to stop; returns why it had to end by itself, None when it was told to.

    `load` reads the settings again when their file has changed; `sender` sends traces, None: there are none.
    """
    pulse = Pulse(clock)
    beat = asyncio.create_task(pulse.beat(), name="pulse")
    candidate = _candidate(connection, settings, pulse)
    runtime = Runtime(cluster if candidate is None else GatedCluster(cluster, candidate.gate), settings)
    meters, hunting = _measured(connection, runtime, candidate)
    traces = telemetry.trace(meters, runtime, sender)
    health = Health(time.monotonic, {"operator's": pulse}, dead=runtime.fault, streams=runtime.streams)
    if candidate is not None:
        health.leader = partial(getattr, candidate, "leader")
    checks = {"/healthz": health.faults, "/readyz": health.hindrances}
    place = ("health_port", settings.health_address, settings.health_port)
    with listener(flags.PROGRAM, place, checks, meters):
        if not await _until_stop(_first_lists(cluster, settings, runtime), stop):
            await runtime.stop()
            return None
        hunters = _hunters(cluster, settings, runtime)
        hunting.extend(hunters.values())
        kopf_thread = KopfThread(
            connection, _deliveries(runtime, hunters), namespaces=_kopf_namespaces(settings), clock=clock
        )
        kopf_thread.start()
        _watch_health(health, runtime, kopf_thread)
        watch = _settings_watch(settings, load, runtime)
        await _until_stop(_serve(cluster, settings, runtime, candidate), stop)
        fault = health.dead()
        log.info("stopping: nothing more is launched; what runs goes on")
        health.stopping = True
        if watch is not None:
            watch.cancel()
        kopf_ends = asyncio.create_task(kopf_thread.stop(KOPF_SECONDS))
        await runtime.stop()
        sent = asyncio.create_task(_send_last(traces))
        if candidate is not None:
            await candidate.resign(RESIGN_SECONDS)
        await asyncio.gather(kopf_ends, sent)
        for hunter in hunters.values():
            hunter.stop()
        beat.cancel()
        return fault


async def _send_last(traces: TraceQueue | None) -> None:
    """Send the traces of what has just ended, for a moment; nothing waits for a collector that is away."""
    if traces is not None:
        await asyncio.to_thread(traces.close, TRACES_SECONDS)


def _candidate(connection: Connection, settings: Settings, pulse: Pulse) -> Candidate | None:
    """This replica's part in the election; None when it is to work without."""
    if not settings.leader_election:
        return None
    timing = Timing(settings.leader_lease_duration, settings.leader_renew_deadline, settings.leader_retry_period)
    return Candidate(connection, settings.operator_namespace, timing, lambda: pulse.age < STUCK_SECONDS)


async def _serve(cluster: HttpCluster, settings: Settings, runtime: Runtime, candidate: Candidate | None) -> None:
    """Stand by until it is this replica's turn, then work; ends when a part of the operator has died."""
    if candidate is not None:
        runtime.stand_by()
        candidate.start()
        log.info("standing by: %d Pipelines, %d jobs known", len(runtime.store.pipelines), len(runtime.store.jobs))
        died = asyncio.Event()
        watcher = asyncio.create_task(_set_after(runtime.died(), died))
        if not await _until_stop(_turn(cluster, settings, runtime, candidate), died):
            return
        watcher.cancel()
    runtime.start()
    log.info("working: %d Pipelines, %d jobs known", len(runtime.store.pipelines), len(runtime.store.jobs))
    await runtime.died()


async def _turn(cluster: HttpCluster, settings: Settings, runtime: Runtime, candidate: Candidate) -> None:
    """Wait until this replica leads and knows everything that was true when it began to."""
    await candidate.elected.wait()
    began = time.monotonic()
    news = await look_again(cluster, settings, runtime)
    log.info("caught up in %.0f ms: %d objects were not as known", (time.monotonic() - began) * 1000, news)


async def _set_after(work: Coroutine[Any, Any, None], event: asyncio.Event) -> None:
    await work
    event.set()


def _measured(
    connection: Connection, runtime: Runtime, candidate: Candidate | None
) -> tuple[Meters, list[GhostHunter]]:
    """The metrics of this process; who hunts ghosts is to be added to the list when there is somebody."""
    meters, hunting = Meters(), list[GhostHunter]()
    connection.answered = ApiRequests(meters)

    def leads() -> bool:
        return runtime.scheduler.working and (candidate is None or candidate.gate.is_open)

    Sampled(meters.registry, asyncio.get_running_loop(), telemetry.observe(meters, runtime, leads))
    sample_streams(meters, runtime.streams, hunting)
    return meters, hunting


def _watch_health(health: Health, runtime: Runtime, kopf_thread: KopfThread) -> None:
    """Everything has been listed, and kopf runs: from now on their state counts."""
    health.loops["kopf"] = kopf_thread.pulse
    health.dead = lambda: runtime.fault() or kopf_thread.fault()
    health.failing = kopf_thread.failing
    health.listed = True


def _settings_watch(settings: Settings, load: Callable[[], Settings], runtime: Runtime) -> asyncio.Task[None] | None:
    """What takes over changes of the settings file; None without such a file."""
    path = config_path()
    if path is None:
        return None

    def changed(new: Settings) -> None:
        logging.getLogger().setLevel(new.log_level)
        runtime.settings_changed(new)

    return asyncio.create_task(SettingsWatch(path, settings, load, changed).run(), name="settings")


async def _until_stop(work: Any, stop: asyncio.Event) -> bool:
    """Await `work` unless `stop` comes first; returns whether the work was done."""
    task, waiter = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({task, waiter}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            return False
        await task
        return True
    finally:
        waiter.cancel()
        task.cancel()


async def _first_lists(cluster: HttpCluster, settings: Settings, runtime: Runtime) -> None:
    namespaces = settings.namespaces or (None,)
    for resource in (PIPELINES, PIPELINE_JOBS):
        for namespace in namespaces:
            await wait_for_resource(cluster, resource, namespace)
    await list_into(cluster, PIPELINE_CLIENTS, settings.operator_namespace, PipelineClientView, runtime.clients.put)
    for namespace in namespaces:
        await list_into(cluster, PIPELINES, namespace, PipelineView, runtime.pipelines.put)
    await runtime.sync()


def _hunters(cluster: HttpCluster, settings: Settings, runtime: Runtime) -> dict[Resource, GhostHunter]:
    store = runtime.store
    return {
        PIPELINES: GhostHunter(
            cluster, PIPELINES, settings.namespaces, lambda: store.pipelines, runtime.pipelines.gone
        ),
        PIPELINE_CLIENTS: GhostHunter(
            cluster,
            PIPELINE_CLIENTS,
            (settings.operator_namespace,),
            lambda: [client.uid for client in store.clients.values()],
            runtime.clients.gone,
        ),
    }


def _deliveries(runtime: Runtime, hunters: dict[Resource, GhostHunter]) -> tuple[Delivery, ...]:
    """What kopf's thread calls: everything is handed over to the operator's own loop."""
    hand_over = asyncio.get_running_loop().call_soon_threadsafe

    def delivery(resource: Resource, view: Any, sink: Any) -> Delivery:
        return Delivery(
            resource,
            view,
            partial(hand_over, sink.put),
            partial(hand_over, sink.gone),
            partial(hand_over, hunters[resource].ask),
        )

    return (
        delivery(PIPELINES, PipelineView, runtime.pipelines),
        delivery(PIPELINE_CLIENTS, PipelineClientView, runtime.clients),
    )


def _kopf_namespaces(settings: Settings) -> tuple[str, ...]:
    if not settings.namespaces:
        return ()
    return tuple(dict.fromkeys((*settings.namespaces, settings.operator_namespace)))


if __name__ == "__main__":
    main()
