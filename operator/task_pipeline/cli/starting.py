"""What follows a start: show, wait, or print logs, until the run ends; then its exit code."""

import asyncio

from task_pipeline.cli.backend import Backend, LogQuery, Object
from task_pipeline.cli.failures import Code, program_name
from task_pipeline.cli.following import code_of, end_of, to_end, too_long
from task_pipeline.cli.session import Session


async def follow_up(
    session: Session, backend: Backend, place: tuple[str, str], how: str | None, seconds: float | None
) -> tuple[Code, Object | None]:
    """Follow the run of the Pipeline at `place` as `how` says; its code and the Pipeline at its end."""
    namespace, name = place
    screen = session.screen
    match how:
        case "watch":
            from task_pipeline.cli.showing import show

            pipeline = (await show(screen, backend, namespace, name, seconds)).pipeline
        case "wait":
            pipeline = (await to_end(backend, namespace, name, screen.note, seconds)).pipeline
            screen.line(end_of(pipeline))
        case "logs":
            from task_pipeline.cli.job_logs import Selection, follow_logs

            everything = Selection(lambda job: True, LogQuery(follow=True), prefix=True)
            try:
                async with asyncio.timeout(seconds):
                    known, _ = await follow_logs(screen, backend, namespace, name, everything)
            except TimeoutError:
                raise too_long(name, seconds) from None
            pipeline = known.pipeline
            screen.note(end_of(pipeline))
        case _:
            return Code.SUCCEEDED, None
    return code_of(pipeline), pipeline


def goes_on(namespace: str, name: str) -> str:
    """What to say to somebody who stops looking."""
    return f"pipeline/{name} goes on; come back with `{program_name()} watch {name} -n {namespace}`"
