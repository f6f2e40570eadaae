"""Flags, environment and file: who wins, and how each fault is told."""

import os
from pathlib import Path

import pytest

from task_pipeline import __version__, settings_file
from task_pipeline.entrypoints import operator
from task_pipeline.entrypoints.flags import loader
from task_pipeline.settings import CONFIG, Settings, WrongSettings, variables


def faults(*arguments: str) -> tuple[str, ...]:
    with pytest.raises(WrongSettings) as caught:
        loader(arguments)()
    return caught.value.faults


def test_flags_beat_the_environment_and_that_beats_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("queue_size: 1\nmax_running_jobs: 1\nworkers: 1\n")
    monkeypatch.setenv("QUEUE_SIZE", "2")
    monkeypatch.setenv("TASK_PIPELINE_MAX_RUNNING_JOBS", "2")
    settings = loader(["--queue-size", "3"])()
    assert (settings.queue_size, settings.max_running_jobs, settings.workers) == (3, 2, 1)


def test_the_second_variable_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = variables("queue_size")
    monkeypatch.setenv(first, "1")
    monkeypatch.setenv(second, "2")
    assert loader([])().queue_size == 2


ELECTION = {"leader_election": "false", "leader_lease_duration": "20", "leader_renew_deadline": "5"}
URLS = {name: "https://a.net" for name in ("server_url", "http_callback_url", "http_allow")}


@pytest.mark.parametrize("name", list(Settings.model_fields))
def test_every_setting_is_a_flag_and_stands_in_the_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        operator.main(["--help"])
    flag = f"--{name.replace('_', '-')}"
    shown = capsys.readouterr().out
    assert left.value.code == 0
    assert shown.count(f"  {flag} ") == 1
    given = {"namespaces": "a,b", "pod_security": "restricted", "log_level": "DEBUG", **ELECTION} | URLS
    given |= {"server_secure_cookies": "false"}
    assert getattr(loader([flag, given.get(name, "1")])(), name) != Settings.model_fields[name].default


@pytest.mark.parametrize(
    ("flag", "told"),
    [
        ("--http-allow=https://a.net,b.net", 'entry "b.net" must be scheme://host'),
        ("--http-allow=https://a.net/path", "must be scheme://host"),
        ("--server-url=127.0.0.1:8090", "must be a whole URL"),
        ("--server-url=https://a.net/?x", "must not have a query"),
        ("--http-callback-url=ftp://a.net", "https:// or http://"),
    ],
)
def test_urls_are_checked_at_the_start(flag: str, told: str) -> None:
    assert told in faults(flag)[0]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--leader-lease-duration=10"], "leader_renew_deadline: must be less than leader_lease_duration, which is 10"),
        (["--leader-renew-deadline=15"], "--leader-renew-deadline: must be less than leader_lease_duration"),
        (["--leader-retry-period=10"], "--leader-retry-period: must be less than leader_renew_deadline, which is 10"),
    ],
)
def test_the_times_of_the_election_fit_each_other(arguments: list[str], told: str) -> None:
    assert told in faults(*arguments)[0]


def test_a_url_is_given_without_its_final_slash() -> None:
    assert loader(["--server-url=https://A.net/tasks/"])().server_url == "https://a.net/tasks"


@pytest.mark.parametrize("given", ["a,b", " a , b,", '["a", "b"]'])
def test_a_list_is_given_with_commas_or_as_json(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASK_PIPELINE_NAMESPACES", given)
    assert loader([])().namespaces == ("a", "b")
    assert loader([f"--namespaces={given}"])().namespaces == ("a", "b")
    assert loader(["--namespaces", "x", "--namespaces", "y"])().namespaces == ("x", "y")


def test_zero_is_closed_and_a_word_opens_a_limit(file: Path) -> None:
    file.write_text("queue_size: unlimited\nmax_running_jobs: 0\n")
    assert (loader([])().queue_size, loader([])().max_running_jobs) == (None, 0)


@pytest.mark.parametrize("value", ["", "null", "-1", "true", "many"])
def test_a_limit_is_never_opened_by_mistake(value: str, file: Path) -> None:
    file.write_text(f"max_running_jobs: {value}\n")
    assert [fault.split(": ")[:2] for fault in faults()] == [[str(file), "max_running_jobs"]]


def test_all_faults_are_told_each_with_its_place(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("health_port: -1\nworkerz: 3\nsomething: 1\nnamespaces: [1]\n")
    monkeypatch.setenv("TASK_PIPELINE_TIMEOUT", "0")
    monkeypatch.setenv("QUEUE_SIZE", "-2")
    assert sorted(faults("--workers", "x")) == sorted(
        [
            "--workers: Input should be a valid integer, unable to parse string as an integer",
            "QUEUE_SIZE: Input should be greater than or equal to 0",
            "TASK_PIPELINE_TIMEOUT: Input should be greater than 0",
            f"{file}: health_port: Input should be greater than or equal to 0",
            f"{file}: namespaces.0: Input should be a valid string",
            f"{file}: something: no such setting; docs/settings.md lists all settings",
            f"{file}: workerz: no such setting; is it workers?",
        ]
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- a", "must be lines of"),
        ("1: 2", "must be lines of"),
        ("a: 1\nb: [", "not YAML: line 2, column 5"),
        ("a: 2024-99-99", "not YAML: "),
        ("[" * 5000, "not YAML: "),
        ("#" * (settings_file.LARGEST + 1), "larger than"),
    ],
)
def test_a_file_that_is_no_settings_file(text: str, told: str, file: Path) -> None:
    file.write_text(text)
    assert [fault.startswith(f"{CONFIG}: {file}: {told}") for fault in faults()] == [True]


def test_bytes_that_are_no_text(file: Path) -> None:
    file.write_bytes(b"\xff\xfe\x00")
    assert faults()[0].startswith(f"{CONFIG}: {file}: not YAML: ")


def test_a_file_that_cannot_be_read(file: Path) -> None:
    assert faults() == (f"{CONFIG}: {file}: no such file or directory; put a readable YAML file there",)
    os.mkfifo(file)
    assert faults() == (f"{CONFIG}: {file}: not a regular file; name a YAML file",)


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}\n"])
def test_an_empty_file_leaves_the_defaults(text: str, file: Path) -> None:
    file.write_text(text)
    assert loader([])() == Settings.model_construct()


def test_no_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CONFIG, "")
    assert loader([])() == Settings.model_construct()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--queue-size", "-1"], "--queue-size: Input should be greater than or equal to 0"),
        (["--queue", "1"], "unrecognized arguments: --queue 1; --help lists all flags"),
        (["--task-pipeline-queue-size", "1"], "unrecognized arguments: --task-pipeline-queue-size 1; --help lists"),
        (["run"], "unrecognized arguments: run; --help lists all flags"),
        (["--workers"], "argument --workers: expected one argument; --help lists all flags"),
    ],
)
def test_wrong_settings_end_the_process(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        operator.main(arguments)
    assert left.value.code == 2
    assert capsys.readouterr().err.startswith(f"wrong settings:\n  {told}")


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        operator.main(["--version"])
    assert (left.value.code, capsys.readouterr().out) == (0, f"task-pipeline-operator {__version__}\n")
