"""Following a run to its end: one stream of views, whoever shows them, and the exit code that the end has."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress
from datetime import UTC, datetime

from task_pipeline.cli.backend import Backend, Object
from task_pipeline.cli.failures import Code, Failure
from task_pipeline.cli.view import RunView, awaits_rerun, is_over, run_view
from task_pipeline.kube.errors import KubeError

Trouble = Callable[[str], None]
_CODES = {"DONE": Code.SUCCEEDED, "ERROR": Code.FAILED, "CANCELLED": Code.CANCELLED}


class Followed:
    """What is known of one Pipeline while it is followed."""

    def __init__(self) -> None:
        self.pipeline: Object = {}
        self.jobs: dict[str, Object] = {}
        self._planned: object = None

    def put(self, pipeline: Object) -> None:
        """A newer Pipeline. Streams leave out `spec.jobs`, which never change within a run."""
        self._planned = pipeline.get("spec", {}).get("jobs") or self._planned
        spec = {**pipeline.get("spec", {}), **({"jobs": self._planned} if self._planned else {})}
        self.pipeline = {**pipeline, "spec": spec}

    @property
    def over(self) -> bool:
        """Whether the run has ended."""
        return bool(self.pipeline) and is_over(self.pipeline)

    def view(self) -> RunView:
        """How it stands now."""
        return run_view(self.pipeline, self.jobs.values(), datetime.now(UTC))


async def follow(backend: Backend, namespace: str, name: str, trouble: Trouble) -> AsyncIterator[Followed]:
    """The Pipeline after each change, until its run is over: the last one has `over`.

    Raises Failure when it is deleted meanwhile, and KubeError. `trouble` is told when the cluster is not heard.
    """
    known, synced = Followed(), False
    async with aclosing(backend.events(namespace, name)) as events:  # type: ignore[type-var]
        async for event in events:
            match event.what:
                case "pipeline":
                    known.put(event.thing)
                case "job":
                    known.jobs[event.thing["metadata"]["uid"]] = event.thing
                case "gone":
                    raise Failure(f"the Pipeline {name} was deleted meanwhile", Code.NOT_FOUND)
                case "trouble":
                    trouble(f"no news of the cluster, trying again: {event.thing.get('message')}")
                    continue
                case "synced":
                    synced = True
            if not synced or awaits_rerun(known.pipeline):
                continue
            if known.over:  # the last news of its jobs may come after that of the Pipeline
                with suppress(KubeError):  # the run has its outcome, whatever is known of its jobs
                    known.jobs = {job["metadata"]["uid"]: job for job in await backend.jobs(known.pipeline)}
            yield known
            if known.over:
                return


async def to_end(
    backend: Backend, namespace: str, name: str, trouble: Trouble, seconds: float | None = None
) -> Followed:
    """The Pipeline at the end of its run. Raises Failure with code 124 after `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            async with aclosing(follow(backend, namespace, name, trouble)) as stream:  # type: ignore[type-var]
                async for known in stream:
                    if known.over:
                        return known
    except TimeoutError:
        raise too_long(name, seconds) from None
    raise AssertionError("a stream that ends before the run does")


def too_long(name: str, seconds: float | None) -> Failure:
    """The failure after a wait in vain."""
    text = f"the Pipeline {name} has not ended within {seconds:g} s; it goes on, `watch {name}` shows it"
    return Failure(text, Code.TIMED_OUT)


def code_of(pipeline: Object) -> Code:
    """The exit code of the end of a run."""
    return _CODES.get(pipeline.get("status", {}).get("state", ""), Code.FAILED)


def end_of(pipeline: Object) -> str:
    """How a run has ended, in one line."""
    status, name = pipeline.get("status", {}), pipeline["metadata"]["name"]
    message = f": {status['message']}" if status.get("message") else ""
    return f"pipeline/{name} {status.get('state')} {status.get('reason') or ''}".rstrip() + message
