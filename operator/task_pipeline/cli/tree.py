"""A run as lines: its stages and their jobs, each line a list of words with the state whose colour they have. Pure.

Rule: what does not fit is counted, not dropped in silence; failed jobs are shown before running ones, those before the
ones that wait, and done ones last.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from task_pipeline.cli.text import cut, line
from task_pipeline.cli.view import JobView, RunView, StageView

_FIRST = ("ERROR", "IN PROGRESS", "READY", "CANCELLED", "DONE")
_QUIET = ("", "Succeeded", "StageNotReached")


class Word(NamedTuple):
    """Some text, and the state whose colour it has (None: none)."""

    text: str
    state: str | None = None


Line = list[Word]
Mark = Callable[[str], str]


def lines(view: RunView, mark: Mark, width: int, height: int | None = None) -> list[Line]:
    """The whole run; in at most `height` lines, if given, and no line longer than `width`."""
    room = None if height is None else max(0, height - 1 - len(view.stages))
    shares = _shares(view.stages, room)
    made = [_head(view, mark)]
    names = max((len(line(job.name)) for job in view.jobs), default=0)
    for stage, share in zip(view.stages, shares, strict=True):
        made.append(_stage(stage, mark))
        made += _jobs(stage, mark, min(names, 40), share)
    if height is not None:
        made = made[:height]
    return [_fitted(one, width) for one in made]


def _head(view: RunView, mark: Mark) -> Line:
    run = f", run {view.run}" if view.run > 1 else ""
    words = [Word(f"{mark(view.state)} "), Word(f"{line(view.name)}{run}  "), Word(view.state, view.state)]
    rest = "  ".join(part for part in (line(view.reason), view.progress, view.time) if part)
    message = f"  {line(view.message)}" if view.message else ""
    return [*words, Word(f"  {rest}{message}")]


def _stage(stage: StageView, mark: Mark) -> Line:
    return [Word(f"  {mark(stage.state)} ", stage.state), Word(f"{line(stage.name)}  {stage.done}/{stage.total}")]


def _jobs(stage: StageView, mark: Mark, names: int, share: int | None) -> list[Line]:
    ranked = list(stage.jobs)
    if share is None or share >= len(ranked):
        return [_job(job, mark, names) for job in ranked]
    if share < 1:
        return []
    ranked.sort(key=lambda job: _FIRST.index(job.state) if job.state in _FIRST else 0)
    shown, left = ranked[: share - 1], ranked[share - 1 :]
    counts = Counter(job.state for job in left)
    words = ", ".join(f"{counts[state]} {state}" for state in _FIRST if counts[state])
    return [*(_job(job, mark, names) for job in shown), [Word(f"      and {len(left)} more: {words}")]]


def _job(job: JobView, mark: Mark, names: int) -> Line:
    told = [] if job.reason in _QUIET else [line(job.reason)]
    told += [f"attempt {job.attempt}"] if job.attempt > 1 else []
    told += [job.time] if job.time else []
    words = [
        Word(f"    {mark(job.state)} ", job.state),
        Word(f"{line(job.name).ljust(names)}  "),
        Word(job.state.ljust(13), job.state),
        Word("  ".join(told)),
    ]
    return [*words, Word(f"  {line(job.message)}")] if job.message and job.state != "DONE" else words


def _shares(stages: Sequence[StageView], room: int | None) -> list[int | None]:
    """How many lines each stage may have for its jobs: the active ones first."""
    if room is None or room >= sum(len(stage.jobs) for stage in stages):
        return [None] * len(stages)
    shares = [0] * len(stages)
    order = sorted(range(len(stages)), key=lambda index: stages[index].state not in ("IN PROGRESS", "ERROR"))
    for index in order:
        shares[index] = min(len(stages[index].jobs), room)
        room -= shares[index]
    return list(shares)


def _fitted(words: Line, width: int) -> Line:
    fitted: Line = []
    for word in words:
        if width <= 0:
            break
        short = cut(word.text, width)
        fitted.append(Word(short, word.state))
        width -= len(short)
    return fitted
