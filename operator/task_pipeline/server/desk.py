"""The workers' desk: the board, the ledger and their routes, kept in step with the cluster while the server runs."""

from collections.abc import Mapping

from aiohttp import web

from task_pipeline.api.group import LABEL_MANAGED_BY, MANAGED_BY
from task_pipeline.api.resources import PIPELINE_JOBS
from task_pipeline.core.records import PipelineJobView
from task_pipeline.core.workload import JobKind
from task_pipeline.kinds.registry import KINDS
from task_pipeline.kube.cluster import Cluster
from task_pipeline.kube.informer import Informer
from task_pipeline.server.attempts import Attempts
from task_pipeline.server.auth.tokens import Tokens
from task_pipeline.server.board import Board
from task_pipeline.server.ledger import Ledger
from task_pipeline.server.routes import Route
from task_pipeline.server.watching import Watching
from task_pipeline.server.workers import Workers


class Desk:
    """All that workers need of one server process. `namespaces` are those that are watched; none: all."""

    def __init__(
        self,
        cluster: Cluster,
        tokens: Tokens,
        namespaces: tuple[str, ...] = (),
        kinds: Mapping[str, JobKind] = KINDS,
    ) -> None:
        self.board = Board(kinds)
        ledger = Ledger(cluster, self.board)
        self.routes: tuple[Route, ...] = (*Workers(ledger, tokens).routes(), *Attempts(ledger).routes())
        ours = f"{LABEL_MANAGED_BY}={MANAGED_BY}"
        informers = [
            Informer(cluster, PIPELINE_JOBS, PipelineJobView, self.board, namespace=one, selector=ours)
            for one in namespaces or (None,)
        ]
        self._watching = Watching(informers)

    def serve(self, app: web.Application) -> None:
        """Let the desk live as long as the application; when that stops, waiting polls end at once."""
        app.cleanup_ctx.append(self._watching.alive)
        app.on_shutdown.append(self._close)

    async def synced(self) -> None:
        """Wait until the board knows what there is."""
        await self._watching.synced()

    async def _close(self, app: web.Application) -> None:
        self.board.close()
