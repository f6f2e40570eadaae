"""`submit`: create Pipelines from manifests, and follow the run if asked to."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from task_pipeline.cli import files, options
from task_pipeline.cli.backend import Backend, InvalidManifest, Object
from task_pipeline.cli.documents import Document
from task_pipeline.cli.failures import Code, Failure, of_api
from task_pipeline.cli.printing import name_of, print_object
from task_pipeline.cli.session import Session, session_of
from task_pipeline.cli.starting import follow_up, goes_on
from task_pipeline.kube.errors import AlreadyExists, Unreachable

HELP = """Create Pipelines from manifests in YAML or JSON.

A manifest that is refused is told with the place of every fault in its file. What has been created goes on, whatever
happens to this program.
"""


@click.command("submit", cls=options.Verb, help=HELP, short_help="Create Pipelines from manifests.")
@click.option("-f", "--filename", "names", metavar="FILE", multiple=True, required=True, help="File, folder, or -.")
@options.afterwards
@click.option(
    "--dry-run",
    type=click.Choice(["client", "server"]),
    help="client: only lint. server: let the server judge and store nothing.",
)
@options.output("text", "json", "yaml", "name", default="text")
@click.pass_context
def command(context: click.Context, /, names: tuple[str, ...], dry_run: str | None, form: str, **more: Any) -> None:
    """Create, then follow."""
    session = session_of(context)
    if files.is_terminal_input(names):
        session.screen.note("reading a manifest from standard input; end it with Ctrl-D")
    found, wrong = files.documents(names)
    wrong += _shape(found)
    if wrong or not found:
        raise _refused(session, wrong or ["there is no manifest in what was given"])
    if more["follow"] and len(found) > 1 and not dry_run:
        raise click.UsageError(f"--{more['follow']} follows one Pipeline, and there are {len(found)}")
    if dry_run == "client":
        faults = _linted(found)
        if faults:
            raise _refused(session, faults)
    submission = Submission(session, found, dry_run, form)
    if dry_run == "client":
        for document in found:
            submission.tell(document.content, "valid (client dry run)")
        return
    code = session.run(
        lambda backend: submission.work(backend, more["follow"], more["timeout"]),
        interrupted=lambda: submission.interrupted,
    )
    context.exit(code)


class Submission:
    """The documents of one call on their way."""

    def __init__(self, session: Session, documents: Sequence[Document], dry_run: str | None, form: str) -> None:
        self._session = session
        self._documents = documents
        self._dry_run = dry_run == "server"
        self._form = form
        self.interrupted = ""

    async def work(self, backend: Backend, follow: str | None, seconds: float | None) -> Code:
        """Create all of them; follow the one if asked to. A refused one does not keep the others back."""
        code, made = Code.SUCCEEDED, None
        for document in self._documents:
            made = await self._create(backend, document)
            if made is None:
                code = Code.FAILED
        if made is None or follow is None or self._dry_run:
            return code
        place = made["metadata"]["namespace"], made["metadata"]["name"]
        self.interrupted = goes_on(*place)
        code, ended = await follow_up(self._session, backend, place, follow, seconds)
        if ended is not None and ended.get("status", {}).get("reason") == "InvalidSpec":
            self._note(_linted(self._documents))
        return code

    async def _create(self, backend: Backend, document: Document) -> Object | None:
        """The new Pipeline, None when it was refused, which has been told then."""
        content: Mapping[str, Any] = document.content
        metadata = content.get("metadata") or {}
        namespace = metadata.get("namespace") or self._session.namespace(backend)
        wished = self._session.target.namespace
        if wished not in (None, namespace):
            line, column = document.place("metadata.namespace")
            raise Failure(f"{document.source}:{line}:{column}: its namespace is {namespace}, not {wished} as -n says")
        try:
            made = await backend.create(str(namespace), dict(content), dry_run=self._dry_run)
        except InvalidManifest as error:
            self._note(_linted([document]) or _placed(document, error))
            return None
        except AlreadyExists as error:
            name = metadata.get("name")
            text = f"a Pipeline {name} exists already in {namespace}: take another name, `rerun {name}`, or delete it"
            raise Failure(text) from error
        except Unreachable as error:
            text = f"{of_api(error, backend.place).message}; it may have been created all the same: see `list`"
            raise Failure(text) from error
        self.tell(made, "valid (server dry run)" if self._dry_run else "created")
        return made

    def tell(self, thing: Mapping[str, Any], what: str) -> None:
        """Print what became of one Pipeline."""
        screen = self._session.screen
        if self._form == "text":
            metadata = thing["metadata"]
            screen.line(f"pipeline/{metadata.get('name') or metadata.get('generateName')} {what}")
        elif self._form == "name":
            screen.line(name_of(dict(thing)))
        else:
            print_object(screen, thing, self._form)

    def _note(self, faults: Sequence[str]) -> None:
        for fault in faults:
            self._session.screen.note(fault)


def _shape(documents: Sequence[Document]) -> list[str]:
    """What of the documents is no Pipeline at all, or was not read well; the rest is judged by the server."""
    wrong = []
    for document in documents:
        line, column = document.at
        where = f"{document.source}:{line}:{column}"
        content = document.content
        kind = content.get("kind") if isinstance(content, Mapping) else None
        for path, message in document.faults:
            at = document.place(path)
            wrong.append(f"{document.source}:{at[0]}:{at[1]}: {path}: {message}")
        if not isinstance(content, Mapping) or "apiVersion" not in content:
            wrong.append(f"{where}: this is no manifest: it has no apiVersion; `convert` makes one of an old file")
        elif kind != "Pipeline":
            wrong.append(f"{where}: submit takes Pipelines, and this is a {kind}: use `kubectl apply` for it")
        elif not isinstance(content.get("metadata"), Mapping):
            wrong.append(f"{where}: metadata: is required, with a name")
    return wrong


def _linted(documents: Sequence[Document]) -> list[str]:
    """The faults as the offline check finds them, with their places."""
    from task_pipeline.cli.commands.lint import defaults_of
    from task_pipeline.cli.lint import findings  # needs pydantic

    return [str(finding) for finding in findings(documents, defaults_of())[0]]


def _placed(document: Document, error: InvalidManifest) -> list[str]:
    """The faults as the server found them, with their places where it gave paths."""
    told = []
    for path, message in error.faults or [("", error.message)]:
        line, column = document.place(path)
        told.append(
            f"{document.source}:{line}:{column}: {path}: {message}" if path else f"{document.source}: {message}"
        )
    return told


def _refused(session: Session, faults: Sequence[str]) -> Failure:
    for fault in faults:
        session.screen.note(fault)
    return Failure("nothing was created", Code.FAILED)
