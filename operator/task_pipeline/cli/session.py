"""One call of the program: what was asked for globally, the way into the cluster, and how it ends.

Rule: a command gives `run` an async function of a backend; connections are closed and every error of the API is put
into words here, once.
"""

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from task_pipeline.api.resources import ImpossibleName
from task_pipeline.cli.backend import InvalidManifest, NotOffered
from task_pipeline.cli.failures import Code, Failure, of_api
from task_pipeline.cli.screen import Screen
from task_pipeline.kube.errors import KubeError

if TYPE_CHECKING:
    from task_pipeline.cli.backend import Backend

OPERATOR_NAMESPACE = "task-pipeline"
REQUEST_SECONDS = 15
LATEST = "@latest"
KIND_WORDS = ("", "tpl", "pipeline", "pipelines", "pipeline.taskpipeline.dev", "pipelines.taskpipeline.dev")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Target:
    """Which cluster, and how: the options that every command takes. None: not given."""

    namespace: str | None = None
    context: str | None = None
    kubeconfig: Path | None = None
    server: str | None = None
    request_timeout: int = REQUEST_SECONDS
    operator_namespace: str = OPERATOR_NAMESPACE


Opener = Callable[[Target, Mapping[str, str]], Awaitable["Backend"]]


async def open_backend(target: Target, environ: Mapping[str, str]) -> "Backend":
    """The backend that the options mean. Raises NoCluster."""
    if target.server is not None:
        from task_pipeline.cli import rest_http
        from task_pipeline.cli.rest_backend import RestBackend

        namespace = target.namespace or "default"
        login = rest_http.credential(environ)
        return RestBackend(target.server, login, namespace=namespace, timeout=target.request_timeout)
    from task_pipeline.cli.kube_backend import KubeBackend
    from task_pipeline.cli.kubeconfig import access

    found = await access(target.kubeconfig, target.context, environ)
    await found.connection.authorization()  # a login by hand takes longer than a request may wait for its credential
    return KubeBackend(found, timeout=target.request_timeout, clients_in=target.operator_namespace)


@dataclass
class Session:
    """The state of one call. `opener` is replaced by tests."""

    screen: Screen = field(default_factory=Screen.of_process)
    opener: Opener = open_backend
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    given: dict[str, Any] = field(default_factory=dict)

    @property
    def target(self) -> Target:
        """The global options."""
        return Target(**self.given)

    def run(self, work: Callable[["Backend"], Awaitable[T]], *, interrupted: Callable[[], str] = str) -> T:
        """The result of `work`. Raises Failure; `interrupted` gives what is said when the user presses Ctrl-C."""
        import asyncio  # takes its time, and help needs none

        try:
            return asyncio.run(self._run(work))
        except KeyboardInterrupt:
            raise Failure(interrupted(), Code.INTERRUPTED) from None

    async def _run(self, work: Callable[["Backend"], Awaitable[T]]) -> T:
        from task_pipeline.kube.config import NoCluster  # needs ssl

        try:
            backend = await self.opener(self.target, self.environ)
        except NoCluster as error:
            raise Failure(str(error)) from error
        except OSError as error:
            raise Failure(f"no credential: {error}") from error
        try:
            if getattr(getattr(backend, "http", None), "exposed", False):
                self.screen.note(f"warning: {backend.place} is not https; the credential can be read on its way")
            return await work(backend)
        except (NotOffered, ImpossibleName) as error:
            raise Failure(str(error), Code.USAGE) from error
        except NoCluster as error:
            raise Failure(str(error)) from error
        except InvalidManifest:
            raise  # its command knows the file, and says where in it
        except KubeError as error:
            raise of_api(error, backend.place) from error
        except BrokenPipeError:
            raise  # whoever read the output has left: click ends the program without a word
        except OSError as error:
            raise Failure(str(error) or type(error).__name__) from error
        finally:
            await backend.close()

    def namespace(self, backend: "Backend") -> str:
        """The namespace that is meant."""
        return self.target.namespace or backend.namespace

    async def named(self, backend: "Backend", name: str, *, changes: bool = False) -> tuple[str, str]:
        """Namespace and name of the Pipeline that a NAME argument means: `name`, `pipeline/name` or `@latest`.

        For what `changes` it, several of the same newest second are a Failure, and no guess.
        """
        namespace = self.namespace(backend)
        if name == LATEST:
            names = await backend.latest(namespace)
            if changes and len(names) > 1:
                raise Failure(
                    f"{LATEST} may be any of {', '.join(sorted(names))}, made in one second: name the one meant"
                )
            return namespace, names[0]
        kind, _, plain = name.rpartition("/")
        return namespace, plain if kind in KIND_WORDS else name


def session_of(context: click.Context) -> Session:
    """The session of a click context, made at the first call."""
    return context.ensure_object(Session)
