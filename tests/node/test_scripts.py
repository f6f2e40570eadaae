"""What the author wrote is what runs, byte for byte. Field cases B002 and B089 to B094.

One Pipeline holds every script that can run; the tests read what it has left.
"""

import re
from typing import Any

import pytest

from tests.contract.kubectl import Kubectl
from tests.node.jobs import IMAGE, Left, of_kind, run_all, script
from tests.real.pipelines import create_all, jobs_of, pods_of, wait_for_status

pytestmark = pytest.mark.node

KIB = 1024
ARGUMENT = 131_071  # bytes that Linux takes as one argument
LINE = "echo 'line of a generated script: 0123456789'\n"
DOLLARS = "$$HOME $(HOME) ${HOME}"
BRACES = "{{.Id}} {{ item }} ${{ x }} {% raw %}"
BRANCH = '"; touch /data/pwned; echo "$(id)`id`'
HERE = "cat <<'END'\n\ttab\tand $HOME, `id` \\n \"quoted\"\nEND\ncat <<-END\n\tstripped\n\tEND\n"


def padded(end: str, size: int) -> str:
    """A script of `size` bytes whose last line is `end`."""
    begin = "#"
    return begin + "x" * (size - len(begin) - 1 - len(end)) + "\n" + end


SCRIPTS = [
    script("numbers", "echo $D $M $F $V $BIG $YES", env={
        "D": 20200219, "M": "0755", "F": "yes", "V": "1.10", "BIG": 9007199254740993, "YES": True}),
    script("big", LINE * (300 * KIB // len(LINE) + 1) + "echo OK\n"),
    script("longest-argument", padded("echo OK", ARGUMENT)),
    script("shortest-file", padded("echo OK $0", ARGUMENT + 1)),
    script("longest-value", "echo ${#LIST}", env={"LIST": "x" * (ARGUMENT - len("LIST="))}),
    script("dollar", f"echo $$\necho '{DOLLARS}'\n"),
    of_kind("dollar-arguments", "Shell", image=IMAGE, command=["sh", "-c", 'echo "$1"; echo "$VALUE"'],
            args=["sh", DOLLARS], env={"VALUE": DOLLARS}),
    of_kind("dollar-job", "K8S/Job", image=IMAGE, command=["echo", DOLLARS]),
    script("flux-delivered", 'cd /tmp; touch a.sql b.sql; for f in *.sql; do echo "${f}"; done; echo $REGION',
           env={"REGION": "eu"}),
    script("flux-escaped", 'f=a; echo "$${f}"; echo "$REGION"', env={"REGION": "${REGION}"}),
    script("flux-plain", 'cd /tmp; touch a.sql; for f in *.sql; do echo "[]"; done'),
    script("braces", f"echo '{BRACES}'"),
    script("inject", 'echo "building $BRANCH"; ls /data | wc -l', env={"BRANCH": BRANCH},
           volumes=[{"name": "data", "emptyDir": {}}], volumeMounts=[{"name": "data", "mountPath": "/data"}]),
    script("shebang", "#!/usr/bin/env python3\necho run by $0"),
    script("here", HERE),
    script("windows-data", "cat <<'END' | od -An -c\na\r\nb\nEND\n"),
    script("other-shell", 'BEGIN { print "run by awk" }', shell=["awk"]),
    script("strict-shell", "false; echo not reached", shell=["/bin/sh", "-ec"]),
]  # fmt: skip


@pytest.fixture(scope="module")
def left(shared_kubectl: Kubectl) -> dict[str, Left]:
    """What the Pipeline of all scripts has left."""
    return run_all(shared_kubectl, "scripts", SCRIPTS)


@pytest.mark.parametrize("name", [job["name"] for job in SCRIPTS if job["name"] != "strict-shell"])
def test_it_is_done_at_the_first_attempt(left: dict[str, Left], name: str) -> None:
    assert (left[name].status["state"], left[name].status["attempt"]) == ("DONE", 1), left[name].status


def test_b002_numbers_arrive_digit_by_digit(left: dict[str, Left]) -> None:
    assert left["numbers"].log == "20200219 0755 yes 1.10 9007199254740993 true\n"


def test_b089_a_script_of_300_kib_runs_to_its_last_line(left: dict[str, Left]) -> None:
    lines = left["big"].log.splitlines()
    assert len(lines) == 300 * KIB // len(LINE) + 2
    assert lines[-1] == "OK"


def test_b089_one_argument_is_used_to_its_last_byte_and_then_a_file(left: dict[str, Left]) -> None:
    assert left["longest-argument"].log == "OK\n"
    assert left["shortest-file"].log == "OK /task-pipeline/script\n"
    assert left["longest-value"].log == f"{ARGUMENT - len('LIST=')}\n"


def assert_refused(kubectl: Kubectl, name: str, jobs: list[dict[str, Any]]) -> str:
    """The Pipeline is refused before anything exists; returns the message."""
    create_all(kubectl, {name: {"stages": ["s"], "jobs": jobs}})
    found = wait_for_status(kubectl, f"tpl/{name}", state="ERROR", reason="InvalidSpec")
    assert (jobs_of(kubectl), pods_of(kubectl)) == ([], [])
    message: str = found["status"]["message"]
    return message


def test_b089_a_value_of_130_kib_is_refused_with_the_limit_and_the_way_out(kubectl: Kubectl) -> None:
    message = assert_refused(kubectl, "bigvalue", [script("a", "true", env={"LIST": "x" * (130 * KIB)})])
    for words in ("spec.jobs[0].params.env.LIST (a)", str(130 * KIB + 5), str(ARGUMENT), "ConfigMap"):
        assert words in message
    assert len(message) < 1000


def test_b090_dollars_arrive_as_they_were_written(left: dict[str, Left]) -> None:
    number, literal = left["dollar"].log.splitlines()
    assert number.isdigit()
    assert literal == DOLLARS
    assert left["dollar-arguments"].log == f"{DOLLARS}\n{DOLLARS}\n"
    assert left["dollar-job"].log == f"{DOLLARS}\n"


def test_b091_nothing_is_substituted_a_second_time(left: dict[str, Left]) -> None:
    assert left["flux-delivered"].log == "a.sql\nb.sql\neu\n"
    number, region = left["flux-escaped"].log.splitlines()
    assert re.fullmatch(r"[0-9]+\{f\}", number)  # what the shell makes of $${f}: it came unchanged
    assert region == "${REGION}"
    assert left["flux-plain"].log == "[]\n"  # what was emptied before it came is visible


def test_b092_braces_of_other_tools_stay(left: dict[str, Left]) -> None:
    assert left["braces"].log == f"{BRACES}\n"


def test_b093_a_value_is_never_executed(left: dict[str, Left]) -> None:
    assert left["inject"].log == f"building {BRANCH}\n0\n"


def test_b094_windows_line_ends_and_byte_order_marks_are_refused(kubectl: Kubectl) -> None:
    jobs = [
        script("crlf", "echo one\r\nif true; then\r\n  echo two\r\nfi\r\n"),
        script("bom", "\ufeffecho one\n"),
        script("both", "\ufeffecho one\r\n", shell=["/bin/bash", "-ec"]),
    ]
    message = assert_refused(kubectl, "crlf", jobs)
    assert "spec.jobs[0].params.script (crlf): Shell 1.0.0: has Windows line ends" in message
    assert "save it with LF" in message
    assert "spec.jobs[1].params.script (bom): Shell 1.0.0: begins with a byte order mark" in message
    assert message.count("(both)") == 2


def test_b094_a_shebang_is_a_comment_and_here_documents_stay(left: dict[str, Left]) -> None:
    assert left["shebang"].log == "run by /bin/sh\n"
    assert left["here"].log == '\ttab\tand $HOME, `id` \\n "quoted"\nstripped\n'
    assert left["windows-data"].log.split() == ["a", r"\r", r"\n", "b", r"\n"]


def test_another_shell_may_be_chosen(left: dict[str, Left]) -> None:
    assert left["other-shell"].log == "run by awk\n"
    strict = left["strict-shell"]
    assert (strict.status["state"], strict.last["exitCode"], strict.log) == ("ERROR", 1, "")
