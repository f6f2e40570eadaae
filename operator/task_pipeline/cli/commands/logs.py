"""`logs`: what the jobs of a run print."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches

import click

from task_pipeline.cli import options
from task_pipeline.cli.backend import Backend, LogQuery
from task_pipeline.cli.failures import Code, Failure
from task_pipeline.cli.job_logs import Selection, follow_logs, print_logs
from task_pipeline.cli.session import session_of
from task_pipeline.cli.view import JobView, RunView, run_view

HELP = """Print the logs of the jobs of the Pipeline NAME: of all, or of those that are named.

With several jobs each line begins with its job. A log lives as long as its pod; of one that is gone the last words that
the status keeps are told. Exit code 5 when there is no log at all.
"""


@click.command("logs", cls=options.Verb, help=HELP, short_help="Print the logs of jobs.")
@options.name_argument()
@click.option("-f", "--follow", is_flag=True, help="Go on with what is printed until the run is over.")
@click.option("--job", "jobs", metavar="JOB", multiple=True, help="Only this job; may be repeated.")
@click.option("--failed", is_flag=True, help="Only jobs that failed.")
@click.option("--tail", type=click.IntRange(0, 100_000), metavar="N", help="Only the last N lines of each.")
@click.option("--since", type=options.DURATION, metavar="TIME", help="Only what was printed in the last TIME.")
@click.option("--attempt", type=click.IntRange(min=1), metavar="N", help="Of this attempt; the latest if absent.")
@click.option("-c", "--container", metavar="NAME", help="Of this container; the first of the pod if absent.")
@click.option("--prefix/--no-prefix", default=None, help="Begin each line with its job, or not.")
@click.pass_context
def command(  # noqa: PLR0913 (one for each option)
    context: click.Context,
    name: str,
    follow: bool,
    jobs: tuple[str, ...],
    failed: bool,
    tail: int | None,
    since: int | None,
    attempt: int | None,
    container: str | None,
    prefix: bool | None,
) -> None:
    """Print the logs, now or as they come."""
    session = session_of(context)
    if follow and (failed or attempt):
        raise click.UsageError("--follow prints every attempt from now on: leave --failed and --attempt out")
    query = LogQuery(follow, tail, since, attempt, container)

    async def work(backend: Backend) -> int:
        namespace, plain = await session.named(backend, name)
        pipeline = await backend.pipeline(namespace, plain)
        view = run_view(pipeline, await backend.jobs(pipeline), datetime.now(UTC))
        _check(view, jobs)
        chosen = [job for job in view.jobs if not jobs or job.name in jobs]
        with_prefix = len(chosen) > 1 if prefix is None else prefix
        selection = Selection(lambda job: not jobs or job.name in jobs, query, with_prefix)
        if follow:
            return (await follow_logs(session.screen, backend, namespace, plain, selection))[1]
        chosen = [job for job in chosen if _is_wanted(job, named=bool(jobs), failed=failed)]
        if failed and not chosen:
            session.screen.note(f"no job of {plain} has failed")
            return 1
        if prefix is None and failed:
            selection = selection._replace(prefix=len(chosen) > 1)
        count = await print_logs(session.screen, backend, pipeline, chosen, selection)
        if failed:
            _tell(session.screen.note, chosen)
        return count

    if not session.run(work):
        raise Failure("" if not follow else f"there is no log of {name}", Code.NOT_FOUND)


def _is_wanted(job: JobView, *, named: bool, failed: bool) -> bool:
    """Whether to print it: without a choice only what has been launched."""
    return job.state == "ERROR" if failed else named or bool(job.attempt)


def _check(view: RunView, names: Sequence[str]) -> None:
    known = [job.name for job in view.jobs]
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            guess = f'; did you mean "{near[0]}"?' if near else f"; it has {', '.join(known[:20])}"
            raise Failure(f"the Pipeline {view.name} has no job {name}{guess}", Code.NOT_FOUND)


def _tell(note: Callable[[str], None], jobs: Sequence[JobView]) -> None:
    for job in jobs:
        attempts = (job.thing or {}).get("status", {}).get("attempts") or [{}]
        code = attempts[-1].get("exitCode")
        exit_code = f", exit code {code}" if code is not None else ""
        note(f"{job.stage}/{job.name} {job.state} {job.reason}{exit_code}, attempt {job.attempt or '-'}")
