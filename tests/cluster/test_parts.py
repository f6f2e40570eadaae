"""The parts of the local cluster that need no cluster."""

import os
import signal
import socket
import sys
from pathlib import Path

import msgspec
import pytest

from tests.cluster import ClusterError, build, golang, images, kernel, ports, processes
from tests.cluster import state as states
from tests.cluster.config import ClusterRequest
from tests.cluster.paths import ClusterPaths
from tests.cluster.polling import wait_for
from tests.cluster.report import Report
from tests.cluster.state import ClusterState, Process
from tests.cluster.stop import stop, stop_orphans


def sleeper(folder: Path, marker: str) -> Process:
    return processes.start("sleeper", ["sleep", "60"], folder / "sleeper.log", marker)


def recorded(folder: Path, marker: str, *programs: Process) -> tuple[ClusterPaths, ClusterState]:
    paths = ClusterPaths(folder)
    state = ClusterState(
        request=ClusterRequest(),
        marker=marker,
        server="https://127.0.0.1:1",
        tokens={},
        private=str(folder / "private"),
        data=str(folder / "private" / "etcd"),
        real=False,
        simulated=True,
        processes=programs,
    )
    states.save(paths, state)
    return paths, state


def test_a_program_is_stopped_by_its_number(tmp_path: Path) -> None:
    process = sleeper(tmp_path, "number")
    assert processes.alive(process)
    processes.stop([process])
    assert not processes.alive(process)


def test_a_number_that_the_kernel_gave_to_another_program_is_left_alone(tmp_path: Path) -> None:
    process = sleeper(tmp_path, "reuse")
    stranger = msgspec.structs.replace(process, started=process.started - 1)
    assert not processes.alive(stranger)
    processes.stop([stranger])
    assert processes.alive(process)
    processes.stop([process])


def test_a_program_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "deaf.log"
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    process = processes.start("deaf", [sys.executable, "-c", code], log, "deaf")
    wait_for(lambda: "deaf" in log.read_text())
    processes.stop([process], grace=0.1)
    assert not processes.alive(process)


def test_stop_finds_what_was_started_but_not_written_down(tmp_path: Path) -> None:
    unrecorded = sleeper(tmp_path, "lost-1")
    other = sleeper(tmp_path, "lost-2")
    paths, state = recorded(tmp_path, "lost-1")
    stop(paths, state)
    assert not processes.alive(unrecorded)
    assert processes.alive(other)
    assert not paths.state.exists()
    stop(paths, state)
    processes.stop([other])


def test_a_folder_removed_by_hand_can_still_be_stopped(tmp_path: Path) -> None:
    paths = ClusterPaths(tmp_path / "gone")
    process = sleeper(tmp_path, f"{paths.id}-0123")
    assert stop_orphans(paths)
    assert not processes.alive(process)
    assert not stop_orphans(paths)


def test_a_signal_during_a_start_comes_after_its_record() -> None:
    order = []

    def start_and_record() -> None:
        with processes.uninterrupted():
            os.kill(os.getpid(), signal.SIGINT)
            order.append("recorded")

    with pytest.raises(KeyboardInterrupt):
        start_and_record()
    assert order == ["recorded"]


def test_an_ended_program_shows_the_end_of_its_log(tmp_path: Path) -> None:
    log = tmp_path / "short.log"
    process = processes.start("short", ["sh", "-c", "echo first; echo the reason"], log, "short")
    wait_for(lambda: not processes.alive(process))
    assert "the reason" in processes.dead_report(process)
    assert str(log) in processes.dead_report(process)


def test_the_state_survives_a_write_and_a_read(tmp_path: Path) -> None:
    paths, state = recorded(tmp_path, "state", Process("etcd", 1, 2, "log"))
    assert states.load(paths) == state
    assert paths.state.stat().st_mode & 0o077 == 0


def test_a_broken_state_names_the_file(tmp_path: Path) -> None:
    paths = ClusterPaths(tmp_path)
    assert states.load(paths) is None
    paths.state.write_text("{")
    with pytest.raises(ClusterError, match=r"state\.json"):
        states.load(paths)


def test_the_lock_leaves_no_file_and_can_be_taken_again(tmp_path: Path) -> None:
    paths = ClusterPaths(tmp_path / "cluster")
    for _ in range(2):
        with states.locked(paths, Report(quiet=True)):
            assert list(paths.root.iterdir()) == []


def test_a_port_in_use_is_passed_over() -> None:
    first = ports.free(1, seed=4711)[0]
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", first))
        listener.listen()
        assert first not in ports.free(3, seed=4711)


def test_a_changed_source_changes_the_name_of_the_binary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASK_PIPELINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(build, "SOURCES", tmp_path)
    source = tmp_path / "controlplane" / "main.go"
    source.parent.mkdir()
    source.write_text("package main")
    before = build.KUBERNETES.path()
    source.write_text("package main // changed")
    assert build.KUBERNETES.path() != before
    assert before.parent == tmp_path / "cache" / "bin"


@pytest.mark.parametrize(("version", "enough"), [("go1.26.0", True), ("go1.9", False), ("go2.0", True)])
def test_go_must_be_new_enough(tmp_path: Path, version: str, enough: bool) -> None:
    go = tmp_path / "go"
    go.write_text(f"#!/bin/sh\necho go version {version} linux/amd64\n")
    go.chmod(0o755)
    assert golang.new_enough(go) is enough
    assert not golang.new_enough(tmp_path / "missing")


def test_kernel_settings_come_back_with_the_end_of_the_last_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = tmp_path / "panic"
    setting.write_text("1\n")
    monkeypatch.setattr(kernel, "SYSTEM", tmp_path)
    monkeypatch.setattr(kernel, "SETTINGS", ("panic",))
    monkeypatch.setattr(kernel, "KEPT", tmp_path / "kept.json")
    kernel.keep("a")
    setting.write_text("10\n")
    kernel.keep("b")
    kernel.give_back("a")
    assert setting.read_text() == "10\n"
    kernel.give_back("b")
    assert setting.read_text() == "1"
    assert not kernel.KEPT.exists()


def test_an_image_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    for name in ("a.tar", "b.tar"):
        images.write_image(tmp_path / name, "localhost/x:1", b"layer", {"Cmd": ["x"]})
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
