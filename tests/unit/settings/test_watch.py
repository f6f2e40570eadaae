"""The settings file changes while the operator runs."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from task_pipeline.entrypoints.flags import loader
from task_pipeline.entrypoints.operator import _settings_watch
from task_pipeline.settings import Settings, is_live, take_over
from task_pipeline.settings_watch import ABSENT_LOOKS, AGAIN, PAUSE, SettingsWatch

pytestmark = [pytest.mark.looptime]

SOON = 1.0  # seconds within which a change is noticed
LIVE = {
    *("queue_size", "max_running_jobs", "timeout", "start_timeout", "ttl_seconds_after_finished"),
    *("retry_backoff", "retry_backoff_factor", "retry_backoff_limit", "retry_backoff_jitter"),
    *("shell_image", "pod_security", "log_level"),
}


class Recorder:
    """A watch on a file, and what it has handed over."""

    def __init__(self, path: Path, *arguments: str) -> None:
        self.given: list[Settings] = []
        self.failing = False
        load = loader(arguments)
        self.watch = SettingsWatch(path, load(), load, self._changed)

    def _changed(self, settings: Settings) -> None:
        if self.failing:
            raise RuntimeError("cannot take it")
        self.given.append(settings)

    @property
    def limits(self) -> list[int | None]:
        return [settings.max_running_jobs for settings in self.given]


Start = Callable[..., Recorder]


@pytest_asyncio.fixture
async def start(file: Path) -> AsyncIterator[Start]:
    """Starts a watch on the settings file, which says 10 running jobs, with flags."""
    tasks: list[asyncio.Task[None]] = []
    write(file, "max_running_jobs: 10\n")

    def begin(*arguments: str, path: Path = file) -> Recorder:
        recorder = Recorder(path, *arguments)
        tasks.append(asyncio.create_task(recorder.watch.run()))
        return recorder

    yield begin
    for task in tasks:
        assert not task.done()
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def told(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level]


def write(file: Path, text: str) -> None:
    file.write_text(text)


def remove(file: Path) -> None:
    file.unlink()


def replace(file: Path, text: str) -> None:
    fresh = file.with_suffix(".new")
    fresh.write_text(text)
    fresh.rename(file)


def test_these_settings_are_live() -> None:
    assert {name for name, field in Settings.model_fields.items() if is_live(field)} == LIVE


def test_live_settings_are_taken_over_and_the_others_wait() -> None:
    before = Settings.model_construct()
    wanted = before.model_copy(update={"timeout": 5.0, "workers": 3})
    assert take_over(before, wanted) == (before.model_copy(update={"timeout": 5.0}), {"workers": 3})


@pytest.mark.parametrize("put", [write, replace])
async def test_a_change_is_handed_over_within_a_second(
    put: Callable[[Path, str], None], start: Start, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    recorder = start()
    await asyncio.sleep(100.1)
    assert recorder.given == []
    put(file, "max_running_jobs: 20\nshell_image: busybox\n")
    await asyncio.sleep(SOON)
    assert [(one.max_running_jobs, one.shell_image) for one in recorder.given] == [(20, "busybox")]
    assert told(caplog, logging.INFO) == [
        "settings changed: max_running_jobs from 10 to 20, shell_image from None to busybox"
    ]
    put(file, "")
    await asyncio.sleep(SOON)
    assert recorder.limits == [20, 100]
    await asyncio.sleep(100)
    assert len(recorder.given) == 2


async def test_a_comment_changes_nothing(start: Start, file: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    recorder = start()
    await asyncio.sleep(SOON)
    write(file, "# a comment\nmax_running_jobs: 10\n")
    await asyncio.sleep(SOON)
    assert (recorder.given, caplog.records) == ([], [])


async def test_a_change_between_start_and_first_look_is_not_lost(start: Start, file: Path) -> None:
    recorder = start()
    write(file, "max_running_jobs: 3\n")
    await asyncio.sleep(SOON)
    assert recorder.limits == [3]


async def test_the_link_of_a_configmap_is_swapped(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mount = tmp_path / "mount"
    for number, folder in enumerate(("..first", "..second")):
        (mount / folder).mkdir(parents=True)
        (mount / folder / "settings.yaml").write_text(f"max_running_jobs: {number}\n")
    (mount / "..data").symlink_to("..first")
    (mount / "settings.yaml").symlink_to("..data/settings.yaml")
    monkeypatch.setenv("TASK_PIPELINE_CONFIG", str(mount / "settings.yaml"))
    recorder = start(path=mount / "settings.yaml")
    await asyncio.sleep(SOON)
    (mount / "..data_tmp").symlink_to("..second")
    (mount / "..data_tmp").rename(mount / "..data")
    (mount / "..first" / "settings.yaml").unlink()
    (mount / "..first").rmdir()
    await asyncio.sleep(SOON)
    assert recorder.limits == [1]


async def test_a_file_that_is_away_for_a_moment(start: Start, file: Path, caplog: pytest.LogCaptureFixture) -> None:
    recorder = start()
    await asyncio.sleep(SOON)
    remove(file)
    await asyncio.sleep(PAUSE * (ABSENT_LOOKS - 1))
    write(file, "max_running_jobs: 20\n")
    await asyncio.sleep(SOON)
    assert (recorder.limits, caplog.records) == ([20], [])


async def test_a_file_that_stays_away_is_told_once(start: Start, file: Path, caplog: pytest.LogCaptureFixture) -> None:
    recorder = start()
    await asyncio.sleep(SOON)
    remove(file)
    await asyncio.sleep(1000)
    assert told(caplog, logging.ERROR) == [
        f"{file}: no such file or directory; put a readable YAML file there; until then the settings in force stay"
    ]
    write(file, "max_running_jobs: 20\n")
    await asyncio.sleep(SOON)
    assert recorder.limits == [20]


async def test_half_a_file_is_not_taken(start: Start, file: Path, caplog: pytest.LogCaptureFixture) -> None:
    recorder = start()
    for half in ("", "max", "max_running_jobs: 2", "max_running_jobs: 25", "max_running_jobs: 250\n"):
        await asyncio.sleep(AGAIN)
        write(file, half)
    await asyncio.sleep(SOON)
    assert (recorder.limits, told(caplog, logging.ERROR)) == ([250], [])


async def test_a_file_that_changes_while_it_is_loaded_is_judged_again(start: Start, file: Path) -> None:
    recorder = start()
    await asyncio.sleep(SOON)
    load = recorder.watch._load

    def loads_another() -> Settings:
        write(file, "max_running_jobs: 1\n")
        loaded = load()
        write(file, "max_running_jobs: 3\n")
        recorder.watch._load = load
        return loaded

    recorder.watch._load = loads_another
    write(file, "max_running_jobs: 2\n")
    await asyncio.sleep(2 * SOON)
    assert recorder.limits == [3]


async def test_a_wrong_file_changes_nothing_and_is_told_once(
    start: Start, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    recorder = start()
    await asyncio.sleep(SOON)
    write(file, "max_running_jobs: -1\ntimeout: 0\nqueue_size: 5\n")
    await asyncio.sleep(100)
    intro = "wrong settings; until the file is corrected those in force stay: "
    wrong = intro + (
        f"{file}: max_running_jobs: Input should be greater than or equal to 0; "
        f"{file}: timeout: Input should be greater than 0"
    )
    assert (recorder.given, told(caplog, logging.ERROR)) == ([], [wrong])
    write(file, "timeout: 0\n")
    await asyncio.sleep(100)
    assert told(caplog, logging.ERROR)[1:] == [f"{intro}{file}: timeout: Input should be greater than 0"]
    assert (recorder.given, told(caplog, logging.INFO)) == ([], [])
    write(file, "max_running_jobs: 10\nqueue_size: 5\n")
    await asyncio.sleep(SOON)
    assert [one.queue_size for one in recorder.given] == [5]
    assert told(caplog, logging.INFO)[0] == f"{file} is correct again"


async def test_what_needs_a_restart_stays_and_is_told_once(
    start: Start, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = start()
    write(file, "workers: 5\nnamespaces: [a]\nmax_running_jobs: 20\n")
    await asyncio.sleep(SOON)
    write(file, "workers: 5\nnamespaces: [a]\nmax_running_jobs: 30\n")
    await asyncio.sleep(SOON)
    assert recorder.limits == [20, 30]
    assert {(one.workers, one.namespaces) for one in recorder.given} == {(32, ())}
    expected = f"{file}: take effect at the next start of the operator: namespaces, workers"
    assert told(caplog, logging.WARNING) == [expected]
    write(file, "workers: 6\nmax_running_jobs: 30\n")
    await asyncio.sleep(SOON)
    assert told(caplog, logging.WARNING)[1:] == [f"{file}: take effect at the next start of the operator: workers"]
    assert len(recorder.given) == 2


async def test_flags_and_environment_go_on_beating_the_file(
    start: Start, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUEUE_SIZE", "7")
    recorder = start("--max-running-jobs", "5")
    write(file, "max_running_jobs: 20\nqueue_size: 20\n")
    await asyncio.sleep(SOON)
    assert recorder.given == []
    write(file, "max_running_jobs: 20\nqueue_size: 20\ntimeout: 20\n")
    await asyncio.sleep(SOON)
    assert [(one.max_running_jobs, one.queue_size, one.timeout) for one in recorder.given] == [(5, 7, 20)]


async def test_a_fault_of_the_operator_does_not_end_the_watch(
    start: Start, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = start()
    recorder.failing = True
    write(file, "max_running_jobs: 20\n")
    await asyncio.sleep(100)
    assert told(caplog, logging.ERROR) == [f"{file}: a fault in the operator; the settings in force stay"]
    recorder.failing = False
    write(file, "max_running_jobs: 30\n")
    await asyncio.sleep(SOON)
    assert recorder.limits == [30]


class FakeRuntime:
    """What the watch knows of the runtime."""

    def __init__(self) -> None:
        self.given: list[Settings] = []

    def settings_changed(self, settings: Settings) -> None:
        self.given.append(settings)


async def test_the_operator_hands_changes_to_the_runtime_and_logs_accordingly(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "level", root.level)
    write(file, "")
    load, runtime = loader([]), FakeRuntime()
    task = _settings_watch(load(), load, runtime)  # type: ignore[arg-type]
    assert task is not None
    write(file, "log_level: ERROR\n")
    await asyncio.sleep(SOON)
    task.cancel()
    assert ([one.log_level for one in runtime.given], root.level) == (["ERROR"], logging.ERROR)


async def test_without_a_file_there_is_no_watch() -> None:
    assert _settings_watch(Settings(), loader([]), FakeRuntime()) is None  # type: ignore[arg-type]
