"""FakeCluster: a Kubernetes cluster in memory, for tests of everything that speaks the `Cluster` protocol.

Rule: in-process, no sockets, no clock but the event loop's (run tests under looptime and hours cost nothing). What
it promises is what a real API server does; one contract suite holds both to it. A request yields to other tasks
before it is carried out and before its answer, so that tasks interleave as they do on a network.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec
import orjson

from task_pipeline.api.objects import ObjectMeta
from task_pipeline.api.resources import NAMESPACES, PODS, Resource
from task_pipeline.kube.cluster import Body, LogQuery, Propagation
from task_pipeline.kube.errors import KubeError, Unreachable
from tests.fakes.admin import Admin
from tests.fakes.batchjobs import BatchJobs
from tests.fakes.deployments import Deployments
from tests.fakes.faults import Fault, Journal, Predicate, Problem, Request, problem
from tests.fakes.garbage import GarbageCollector
from tests.fakes.kubelet import Kubelet
from tests.fakes.logs import Logs
from tests.fakes.paging import Pages, document
from tests.fakes.patches import edit_of
from tests.fakes.quota import Quotas
from tests.fakes.refusals import no_such_path
from tests.fakes.registry import OPERATOR, Registry, Target
from tests.fakes.reviews import Reviews
from tests.fakes.selectors import Choice
from tests.fakes.store import Object, Store, copied
from tests.fakes.timers import Timers
from tests.fakes.watch import Watches, WatchSettings

EPOCH = datetime(2026, 1, 31, 12, tzinfo=UTC)
FIELD_MANAGER = "task-pipeline"
TIMEOUT_SECONDS = 15.0
T = TypeVar("T")


class FakeCluster:
    """The cluster, with its controllers. To be made inside a running event loop.

    `now` gives the time of day (by default a fixed day plus the loop's time); `history` is how many changes of each
    resource a watch can go back. `latency` is the time of every request, in seconds.
    """

    def __init__(
        self,
        *,
        now: Callable[[], datetime] | None = None,
        namespaces: tuple[str, ...] = ("default", "task-pipeline"),
        history: int = 10_000,
        latency: float = 0.0,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.now = now or self._time_of_day
        self.latency = latency
        self.timeout = TIMEOUT_SECONDS
        self.journal = Journal()
        self.faults: list[Fault] = []
        self.watching = WatchSettings()
        self.store = Store(self._loop.time, history)
        self.registry = Registry(self.store, self.now)
        self.registry.admissions.append(Quotas(self.store))
        self.timers = Timers()
        self.watches = Watches(self.store, self.watching)
        self.logs = Logs(lambda pod: self.store.get(PODS, pod["metadata"]["namespace"], pod["metadata"]["name"]))
        self.kubelet = Kubelet(self.registry, self.timers, self.now)
        self.jobs = BatchJobs(self.registry, self.timers, self.now)
        self.deployments = Deployments(self.registry, self.timers, self.now)
        self.garbage = GarbageCollector(self.registry, self.timers)
        self.reviews = Reviews()
        self.admin = Admin(self.registry, self.timers)
        self._pages = Pages(self.store)
        self._count = 0
        for name in namespaces:
            self.registry.create(NAMESPACES, None, {"metadata": {"name": name}})

    async def create(self, resource: Resource, namespace: str | None, body: Body) -> ObjectMeta:
        request = self._request("create", resource, namespace, body.get("metadata", {}).get("name"), body)
        return _meta(await self._carry_out(request, lambda: self.registry.create(resource, namespace, request.body)))

    async def post(self, resource: Resource, namespace: str | None, body: Body) -> bytes:
        request = self._request("post", resource, namespace, None, body)
        return orjson.dumps(await self._carry_out(request, lambda: self.reviews.answer(resource, request.body)))

    async def patch_status(self, resource: Resource, namespace: str | None, name: str, body: Body) -> ObjectMeta:
        request = self._request("patch_status", resource, namespace, name, body)

        def act() -> Object:
            if not self.registry.has_status(resource):
                raise no_such_path()
            target, edit = Target(resource, namespace, name), edit_of(request.body)
            return self.registry.update(target, edit, subresource="status", manager=OPERATOR)

        return _meta(await self._carry_out(request, act))

    async def patch(self, resource: Resource, namespace: str | None, name: str, body: Body | list[Body]) -> bytes:
        request = self._request("patch", resource, namespace, name, body)

        def act() -> Object:
            target = Target(resource, namespace, name)
            return self.registry.update(target, edit_of(request.body), manager=FIELD_MANAGER)

        return orjson.dumps(await self._carry_out(request, act))

    async def apply(
        self, resource: Resource, namespace: str | None, name: str, body: Body, *, force: bool = False
    ) -> bytes:
        request = self._request("apply", resource, namespace, name, body)

        def act() -> Object:
            target = Target(resource, namespace, name)
            return self.registry.apply(target, request.body, manager=FIELD_MANAGER, force=force)

        return orjson.dumps(await self._carry_out(request, act))

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        propagation: Propagation = "Background",
    ) -> None:
        body = {"propagationPolicy": propagation} | ({"preconditions": {"uid": uid}} if uid else {})
        request = self._request("delete", resource, namespace, name, body)
        target = Target(resource, namespace, name)
        await self._carry_out(
            request, lambda: self.registry.delete(target, uid=uid, version=resource_version, propagation=propagation)
        )

    async def get(self, resource: Resource, namespace: str | None, name: str) -> bytes:
        request = self._request("get", resource, namespace, name)
        target = Target(resource, namespace, name)
        return await self._carry_out(request, lambda: orjson.dumps(self.registry.existing(target)))

    async def list(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        selector: str | None = None,
        fields: str | None = None,
        limit: int = 500,
        continue_token: str | None = None,
        metadata_only: bool = False,
    ) -> bytes:
        request = self._request("list", resource, namespace, None)

        def act() -> bytes:
            chosen = Choice(selector, fields)
            metadata, things = self._pages.page(resource, namespace, chosen, limit, continue_token)
            return document(resource, metadata, things, metadata_only)

        return await self._carry_out(request, act)

    async def watch(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        selector: str | None = None,
        fields: str | None = None,
        resource_version: str,
    ) -> AsyncIterator[bytes]:
        request, chosen = self._request("watch", resource, namespace, None), Choice(selector, fields)
        lines = await self._carry_out(
            request, lambda: self.watches.stream(resource, namespace, chosen, resource_version)
        )
        async for line in lines:
            yield line

    async def log(self, namespace: str, pod: str, query: LogQuery) -> AsyncIterator[bytes]:
        request = self._request("log", PODS, namespace, pod)
        found = await self._carry_out(request, lambda: self.registry.existing(Target(PODS, namespace, pod)))
        async for piece in self.logs.stream(found, query):
            yield piece

    def fault(
        self,
        predicate: Predicate,
        *,
        before: Problem | None = None,
        after: Problem | None = None,
        delay: float = 0.0,
        commit_after: float | None = None,
        times: int | None = 1,
        skip: int = 0,
    ) -> Fault:
        """Let something happen to the next `times` requests (None: all) that `predicate` picks, after `skip` of them.

        `before`: that error instead of the request. `after`: the request is carried out, and its answer is lost
        or replaced by that error. `delay`: seconds more until it is carried out; when the timeout is over earlier the
        caller gets Unreachable, and the request is carried out all the same. `commit_after`: the caller gets `before`
        (Unreachable if that is None), and the request is carried out so many seconds later.
        """
        fault = Fault(predicate, before, after, delay, commit_after, times, skip)
        self.faults.append(fault)
        return fault

    def break_watches(self, resource: Resource | None = None, error: KubeError | None = None) -> int:
        """End the open watches (of one resource), cleanly or by `error`; returns how many there were."""
        return self.watches.break_off(resource, error)

    def freeze_watches(self, resource: Resource | None = None, frozen: bool = True) -> int:
        """Make the open watches silent without ending them (`frozen=False`: let them speak); returns how many."""
        return self.watches.freeze(resource, frozen)

    def compact(self) -> None:
        """Forget the history: a watch from an older resourceVersion and an old continue token are Gone."""
        self.store.compact()
        self._pages.expire()

    def close(self) -> None:
        """Stop the controllers and end the watches."""
        self.timers.stop()
        self.watches.break_off()

    def _time_of_day(self) -> datetime:
        return EPOCH + timedelta(seconds=self._loop.time())

    def _request(
        self, verb: str, resource: Resource, namespace: str | None, name: str | None, body: Any = None
    ) -> Request:
        self.timers.check()
        self._count += 1
        request = Request(self._count, verb, resource, namespace, name, copied(body), self._loop.time())
        self.journal.requests.append(request)
        return request

    async def _carry_out(self, request: Request, act: Callable[[], T]) -> T:
        try:
            result = await self._answer(request, act)
        except BaseException as error:
            request.outcome = type(error).__name__
            raise
        request.outcome = "ok"
        return result

    async def _answer(self, request: Request, act: Callable[[], T]) -> T:
        struck = [fault for fault in self.faults if fault.strikes(request)]
        self.faults = [fault for fault in self.faults if not fault.spent]

        def commit() -> T:
            result = act()
            request.committed = True
            return result

        await self._wait(sum(fault.delay for fault in struck), commit)
        for fault in struck:
            if fault.commit_after is not None:
                self.timers.after(fault.commit_after, lambda: _quietly(commit))
                raise problem(fault.before or Unreachable("ServerDisconnectedError: Server disconnected"))
            if fault.before is not None:
                raise problem(fault.before)
        result = commit()
        await asyncio.sleep(self.latency / 2)
        for fault in struck:
            if fault.after is not None:
                raise problem(fault.after)
        return result

    async def _wait(self, delay: float, commit: Callable[[], Any]) -> None:
        """The way to the server; raises Unreachable when the answer would come after the timeout."""
        if delay + self.latency > self.timeout:
            self.timers.after(delay + self.latency / 2, lambda: _quietly(commit))
            await asyncio.sleep(self.timeout)
            raise Unreachable("TimeoutError: ")
        await asyncio.sleep(delay + self.latency / 2)


def _quietly(commit: Callable[[], Any]) -> None:
    """Carry out a request whose caller is not there any more."""
    try:
        commit()
    except KubeError:
        return


def _meta(thing: Object) -> ObjectMeta:
    return msgspec.convert(thing["metadata"], ObjectMeta)
