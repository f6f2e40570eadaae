"""`client`: who may submit, and their secrets."""

from datetime import UTC, datetime, timedelta

import click

from task_pipeline.cli import options
from task_pipeline.cli.backend import Backend
from task_pipeline.cli.clients import client_table
from task_pipeline.cli.failures import Code, Failure
from task_pipeline.cli.printing import print_object
from task_pipeline.cli.session import session_of

NEW_HELP = """Give the PipelineClient CLIENT a new secret for the REST API, and print it; it cannot be shown again.

The secret goes to standard output, alone on its line. Secrets that the client has go on, unless --old-for ends them.
"""


@click.group("client", short_help="List clients, make secrets for them.")
def command() -> None:
    """List clients, make secrets for them."""


@command.command("list", cls=options.Verb, short_help="List clients with their limits and use.")
@options.output("table", "wide", "json", "yaml", "name")
@click.pass_context
def list_clients(context: click.Context, form: str, no_headers: bool) -> None:
    """List the PipelineClients of the operator's namespace; over REST the own one."""
    session = session_of(context)
    found = session.run(lambda backend: backend.clients())
    if form in ("json", "yaml"):
        from dataclasses import asdict

        print_object(session.screen, {"items": [asdict(one) for one in found]}, form)
    elif form == "name":
        for one in found:
            session.screen.line(f"pipelineclient.taskpipeline.dev/{one.name}")
    elif found:
        client_table(session.screen, found, wide=form == "wide", headers=not no_headers)
    else:
        session.screen.note(f"no clients in {session.target.operator_namespace}")


@command.command("secret", cls=options.Verb, help=NEW_HELP, short_help="Make a secret for a client.")
@click.argument("client", type=options.OBJECT_NAME)
@click.option(
    "--old-for",
    metavar="TIME",
    type=options.DURATION,
    help="Let the secrets that the client has end after so long, such as 24h.",
)
@click.option(
    "--no-reference",
    is_flag=True,
    help="Leave the PipelineClient as it is, and print the entry to be added where it is kept (GitOps).",
)
@click.pass_context
def secret(context: click.Context, client: str, old_for: int | None, no_reference: bool) -> None:
    """Make the secret and print it once."""
    session = session_of(context)
    if session.target.server is not None:
        raise click.UsageError("secrets are made with the rights of a kubeconfig; leave --server out")
    if no_reference and old_for is not None:
        raise click.UsageError("--old-for changes the PipelineClient, --no-reference does not")
    namespace = session.target.operator_namespace

    async def work(backend: Backend) -> None:
        from task_pipeline.cli.kube_backend import KubeBackend
        from task_pipeline.server.auth.registration import NotRegistered, add_secret, store_hash

        assert isinstance(backend, KubeBackend)
        end = None if old_for is None else timedelta(seconds=old_for)
        try:
            if no_reference:
                made = await store_hash(backend.api, namespace, client)
            else:
                made = await add_secret(backend.api, namespace, client, datetime.now(UTC), old_end=end)
        except NotRegistered as error:
            code = Code.NOT_FOUND if "there is no" in str(error) else Code.FAILED
            raise Failure(str(error), code) from error
        if no_reference:
            session.screen.note(f"add to spec.credentials of the PipelineClient: {{secretRef: {{name: {made.name}}}}}")
        session.screen.note(f"the secret of client {client}; only its hash is kept, in Secret {namespace}/{made.name}:")
        session.screen.line(made.secret)

    session.run(work)
