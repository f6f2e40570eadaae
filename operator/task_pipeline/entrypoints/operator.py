"""The operator process: puts the parts together, starts them in order, and stops them in order.

Start: wait for the API server and the CRDs, list everything, then watch and work. Stop on SIGTERM or SIGINT: launch
nothing more, let what is in flight end, leave. A second signal leaves at once.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec
import uvloop

from task_pipeline import __version__
from task_pipeline.api.resources import PIPELINE_CLIENTS, PIPELINE_JOBS, PIPELINES, Resource
from task_pipeline.cache.convert import PipelineClientView, PipelineView
from task_pipeline.controller.runtime import Runtime
from task_pipeline.entrypoints import flags
from task_pipeline.entrypoints.stopping import stop_on_signals
from task_pipeline.kube.client import HttpCluster
from task_pipeline.kube.config import Connection, NoCluster, connect
from task_pipeline.kube.errors import KubeError, NotFound
from task_pipeline.observability import logs
from task_pipeline.settings import Settings, WrongSettings, config_path
from task_pipeline.settings_watch import SettingsWatch
from task_pipeline.watch.ghosts import GhostHunter
from task_pipeline.watch.shell import Delivery, KopfThread

log = logging.getLogger(__name__)

KOPF_SECONDS = 2.0  # kopf's share of the time to stop; the process is gone 5 s after SIGTERM
LONGEST_PAUSE = 10.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Run until told to stop; exit code 0 after SIGTERM, 2 for wrong settings, 1 for anything else."""
    load = flags.loader(sys.argv[1:] if arguments is None else arguments)
    try:
        settings = load()
    except WrongSettings as error:
        flags.leave_wrong(error.faults)
    logs.set_up(settings.log_level)
    try:
        uvloop.run(_main(settings, load))
    except NoCluster as error:
        print(f"{flags.PROGRAM}: {error}", file=sys.stderr)
        sys.exit(2)


async def _main(settings: Settings, load: Callable[[], Settings]) -> None:
    stop = stop_on_signals()
    connection = await connect(settings.kubeconfig, dict(os.environ))
    log.info("task-pipeline %s, API server %s", __version__, connection.server)
    async with HttpCluster(connection, connections=settings.workers) as cluster:
        fault = await run(connection, cluster, settings, load, stop)
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
) -> str | None:
    """The operator from start to stop; returns why it had to end by itself, None when it was told to.

    `load` reads the settings again when their file has changed.
    """
    runtime = Runtime(cluster, settings)
    if not await _until_stop(_first_lists(cluster, settings, runtime), stop):
        await runtime.stop()
        return None
    hunters = _hunters(cluster, settings, runtime)
    kopf_thread = KopfThread(
        connection,
        _deliveries(runtime, hunters),
        namespaces=_kopf_namespaces(settings),
        liveness=_liveness(settings),
        healthy=runtime.fault,
    )
    kopf_thread.start()
    runtime.start()
    watch = _settings_watch(settings, load, runtime)
    log.info("working: %d Pipelines, %d jobs known", len(runtime.store.pipelines), len(runtime.store.jobs))
    await _until_stop(runtime.died(), stop)
    fault = runtime.fault()
    log.info("stopping: nothing more is launched; what runs goes on")
    if watch is not None:
        watch.cancel()
    await runtime.stop()
    for hunter in hunters.values():
        hunter.stop()
    await kopf_thread.stop(KOPF_SECONDS)
    return fault


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
    await asyncio.wait({task, waiter}, return_when=asyncio.FIRST_COMPLETED)
    waiter.cancel()
    if not task.done():
        task.cancel()
        return False
    await task
    return True


async def _first_lists(cluster: HttpCluster, settings: Settings, runtime: Runtime) -> None:
    namespaces = settings.namespaces or (None,)
    for resource in (PIPELINES, PIPELINE_JOBS):
        for namespace in namespaces:
            await _available(cluster, resource, namespace)
    await _list_into(cluster, PIPELINE_CLIENTS, settings.operator_namespace, PipelineClientView, runtime.clients.put)
    for namespace in namespaces:
        await _list_into(cluster, PIPELINES, namespace, PipelineView, runtime.pipelines.put)
    await runtime.sync()


async def _available(cluster: HttpCluster, resource: Resource, namespace: str | None) -> None:
    """Wait until the API server answers and knows the resource; say what is waited for, once."""
    pause, told = 0.25, ""
    while True:
        try:
            await cluster.list(resource, namespace, limit=1, metadata_only=True)
            return
        except NotFound:
            text = f"the CRD {resource.plural}.{resource.group} is not installed: kubectl apply -f crds/"
        except KubeError as error:
            text = f"cannot reach the API server: {error}"
        if text != told:
            log.warning("waiting: %s", text)
            told = text
        await asyncio.sleep(pause)
        pause = min(LONGEST_PAUSE, pause * 1.5)


async def _list_into(
    cluster: HttpCluster, resource: Resource, namespace: str | None, view: Any, put: Callable[[Any], None]
) -> None:
    token: str | None = None
    while True:
        if token is None:
            await _available(cluster, resource, namespace)
        try:
            page = msgspec.json.decode(await cluster.list(resource, namespace, continue_token=token))
        except KubeError as error:  # it was there a moment ago; what was listed already may come twice
            log.warning("cannot list %s: %s; starting again", resource.plural, error)
            token = None
            await asyncio.sleep(1)
            continue
        for item in page["items"]:
            try:
                put(msgspec.convert(item, view))
            except msgspec.ValidationError as error:
                log.error(
                    "%s %s cannot be read and is left alone: %s",
                    resource.kind,
                    item["metadata"]["name"],
                    error,
                )
        token = page["metadata"].get("continue")
        if not token:
            return


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


def _liveness(settings: Settings) -> str | None:
    return f"http://{settings.health_address}:{settings.health_port}/healthz" if settings.health_port else None


if __name__ == "__main__":
    main()
