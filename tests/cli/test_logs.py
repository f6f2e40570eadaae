"""`logs`: whatever a program prints can be read, and a log that is gone is told (field cases B105 and B106)."""

import errno
import itertools
import time
from collections import defaultdict

import pytest

from task_pipeline.api.resources import PODS
from task_pipeline.cli import job_logs
from tests.cli.site import LiveWorld, Site
from tests.scenario.world import shell
from tests.server.test_logs import PRINTED

MIB = 2**20


def ended(site: Site, printed: bytes, name: str = "p", *, exit_code: int = 0) -> None:
    site.submit(name, shell("a", exit_code=exit_code))
    site.until_state(name, "DONE", "ERROR")
    site.wrote(name, "a", printed)


@pytest.mark.parametrize("case", PRINTED)
def test_b106_whatever_a_program_prints_comes_out_as_it_is(site: Site, case: str) -> None:
    printed, expected = PRINTED[case]
    ended(site, printed)
    answer = site.tpctl("logs", "p")
    assert (answer.exit_code, answer.stdout) == (0, expected or "")


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        (b"a\n\n\377\000b\r50%\r100%", "a\n\n100%\n"),
        (b"\x1b[31mred\x1b[0m\n", "red\n"),
        (b"\x1b]0;title\x07x\n", "\\u001b]0;title\\u0007x\n"),
        (b"[bold]no markup[/bold] {braces}\n", "[bold]no markup[/bold] {braces}\n"),
        (b"", ""),
    ],
)
def test_b106_on_a_terminal_it_does_nothing(site: Site, printed: bytes, shown: str) -> None:
    ended(site, printed)
    answer = site.tpctl("logs", "p", terminal=True)
    assert (answer.exit_code, answer.stdout) == (0, shown)


def test_b106_of_a_long_line_the_newest_part_is_kept(site: Site) -> None:
    ended(site, b"x" * 2 * MIB + b"end")
    answer = site.tpctl("logs", "p")
    assert (len(answer.stdout), answer.stdout[-4:]) == (MIB, "xend")


def test_b105_a_log_that_is_gone_says_what_is_still_known(site: Site) -> None:
    ended(site, b"1\n2\n", exit_code=4)

    def remove(world: LiveWorld) -> None:
        for pod in world.cluster.admin.list(PODS):
            world.cluster.admin.delete(PODS, pod["metadata"]["name"], "team-a", grace=0)

    site.do(remove)
    for arguments in (("logs", "p"), ("logs", "p", "--failed")):
        answer = site.tpctl(*arguments)
        assert answer.exit_code == 5
        assert "the log of job a is no longer available: its pod is gone." in answer.output
        assert "exit code 4" in answer.output


def test_a_job_that_has_not_started(site: Site) -> None:
    site.submit("p", shell("a"), shell("b", "t"), suspend=True)
    answer = site.tpctl("logs", "p", "--job", "b")
    assert answer.exit_code == 5
    assert "job b has not been launched" in answer.output


def test_several_jobs_have_prefixes(site: Site) -> None:
    site.submit("p", shell("a"), shell("b", exit_code=3))
    site.until_state("p", "ERROR")
    site.wrote("p", "a", b"one\ntwo")
    site.wrote("p", "b", b"three\n")
    assert site.tpctl("logs", "p").stdout == "[a] one\n[a] two\n[b] three\n"
    assert site.tpctl("logs", "p", "--no-prefix").stdout == "one\ntwothree\n"
    assert site.tpctl("logs", "p", "--job", "a").stdout == "one\ntwo"
    assert site.tpctl("logs", "p", "--job", "a", "--tail", "1").stdout == "two"
    failed = site.tpctl("logs", "p", "--failed")
    assert failed.stdout == "three\n"
    assert "s/b ERROR ExitCode, exit code 3, attempt 1" in failed.stderr
    wrong = site.tpctl("logs", "p", "--job", "c")
    assert wrong.exit_code == 5
    assert "has no job c; it has a, b" in wrong.output


def test_nothing_failed(site: Site) -> None:
    ended(site, b"x")
    answer = site.tpctl("logs", "p", "--failed")
    assert (answer.exit_code, answer.output) == (0, "no job of p has failed\n")


def test_all_attempts_are_followed_to_the_end_of_the_run(site: Site) -> None:
    numbers = itertools.count(1)

    def number_pods(world: LiveWorld) -> None:
        world.cluster.logs.written = defaultdict(lambda: b"pod %d\n" % next(numbers))

    site.do(number_pods)
    site.submit("p", shell("a", seconds=3, exit_code=1, retryAttempt=1), shell("b", "t"))
    answer = site.tpctl("logs", "-f", "p")
    assert answer.exit_code == 0, answer.output
    assert sorted(answer.stdout.splitlines()) == ["[a] pod 1", "[a] pod 2"]


def test_follow_is_of_every_attempt(quiet: Site) -> None:
    assert quiet.tpctl("logs", "-f", "--failed", "p").exit_code == 2


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 1, ""),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "tpctl: [Errno 28] No space left on device\n"),
    ],
)
def test_an_output_that_takes_no_more_ends_the_command(
    site: Site, monkeypatch: pytest.MonkeyPatch, error: OSError, code: int, words: str
) -> None:
    def full(*_: object) -> None:
        raise error

    monkeypatch.setattr(job_logs, "write_bytes", full)
    site.submit("p", shell("a", seconds=60))
    site.until_state("p", "IN PROGRESS")
    site.wrote("p", "a", b"x\n")
    began = time.monotonic()
    answer = site.tpctl("logs", "-f", "p")
    assert time.monotonic() - began < 20
    assert (answer.exit_code, answer.output) == (code, words)


def test_any_other_error_of_a_log_is_not_hidden(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*_: object) -> None:
        raise RuntimeError("wrong")

    monkeypatch.setattr(job_logs, "write_bytes", wrong)
    site.submit("p", shell("a", seconds=60))
    site.until_state("p", "IN PROGRESS")
    site.wrote("p", "a", b"x\n")
    assert isinstance(site.tpctl("logs", "-f", "p").exception, RuntimeError)
