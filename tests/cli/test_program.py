"""The program as such: help, completion, the kubectl plugin, what is loaded, and Ctrl-C."""

import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
import yaml

from task_pipeline.cli.completion import candidates
from task_pipeline.cli.program import COMPLETION_FILE, PLUGIN_FILE, VERBS, program
from task_pipeline.cli.reference import command_line_page
from tests.cli.site import Site
from tests.cli.test_submit import manifest
from tests.scenario.world import shell

ROOT = Path(__file__).parents[2]
NAMED = (
    "submit list get watch wait logs cancel suspend resume rerun delete lint explain queue kinds client convert"
).split()
MODULE = [sys.executable, "-m", "task_pipeline.entrypoints.cli"]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "operator"), **more}


def loaded(code: str) -> set[str]:
    """The modules that are there after `code`."""
    script = f"{code}\nimport sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment(), capture_output=True, text=True, timeout=60, check=True
    )
    return set(done.stdout.split())


def test_every_verb_is_there_and_help_says_the_same_of_it() -> None:
    context = click.Context(program, info_name="tpctl")
    assert set(NAMED) <= set(VERBS)
    for verb, (_, words) in VERBS.items():
        command = program.get_command(context, verb)
        assert command is not None
        assert command.name == verb
        assert (command.short_help or "").rstrip(".") in words or words.startswith(
            (command.short_help or "").rstrip(".")
        )


def test_help_loads_no_command() -> None:
    found = loaded("from task_pipeline.cli.program import program\nprogram(['--help'], standalone_mode=False)")
    assert not {name for name in found if name.startswith("task_pipeline.cli.commands.")}
    assert "asyncio" not in found


HEAVY = {"kopf", "pydantic", "aiohttp", "kubernetes_asyncio", "rich"}


@pytest.mark.parametrize("verb", sorted(set(VERBS) - {"client"}))
def test_a_command_loads_what_it_needs_only_when_it_runs(verb: str) -> None:
    found = loaded(f"import task_pipeline.cli.commands.{VERBS[verb][0]}")
    heavy = HEAVY - {"pydantic"} if verb == "convert" else HEAVY
    assert not found & heavy


def test_listing_never_loads_what_judges_specs(quiet: Site) -> None:
    quiet.submit("p", shell("a"))
    code = "from task_pipeline.cli.program import program\nprogram(%r, standalone_mode=False)"
    for verb in (["list"], ["get", "p"], ["cancel", "p"], ["delete", "p"]):
        found = loaded(code % ([*verb, "--kubeconfig", str(quiet.kubeconfig)],))
        assert "task_pipeline.kube.client" in found
        assert not found & HEAVY, verb


def test_completion_of_verbs_options_and_names(quiet: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(quiet.kubeconfig))
    for name in ("web-1", "web-2", "api"):
        quiet.submit(name, shell("a"))
    assert candidates(program, ["ex"]) == ["explain"]
    assert candidates(program, ["client", ""]) == ["list", "secret"]
    assert "--watch" in candidates(program, ["submit", "--"])
    assert candidates(program, ["get", "web"]) == ["web-1", "web-2"]
    assert candidates(program, ["list", "-o", ""]) == ["table", "wide", "json", "yaml", "name"]
    assert candidates(program, ["get", "@"]) == ["@latest"]
    assert set(candidates(program, [])) == set(VERBS)
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    assert candidates(program, ["get", "web"]) == []


def test_kubectl_asks_for_candidates_line_by_line() -> None:
    code = "import sys; sys.argv[1:] = ['ex']; from task_pipeline.entrypoints.cli import complete; complete()"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == ["explain", ":4"]


def test_the_scripts_have_the_names_that_kubectl_looks_for() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert {"tpctl", PLUGIN_FILE, COMPLETION_FILE} <= set(scripts)
    assert PLUGIN_FILE.startswith("kubectl-")
    assert COMPLETION_FILE == PLUGIN_FILE.replace("kubectl-", "kubectl_complete-")


def test_as_a_plugin_it_says_how_it_was_called() -> None:
    called = "import sys; sys.argv = ['/usr/bin/kubectl-taskpipeline', 'get']"
    code = f"{called}; from task_pipeline.entrypoints.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "Usage: kubectl taskpipeline get" in done.stderr


def test_the_reference_names_every_option_of_every_verb() -> None:
    page = command_line_page()
    context = click.Context(program, info_name="tpctl")
    for verb in VERBS:
        command = program.get_command(context, verb)
        assert command is not None
        for one in command.commands.values() if isinstance(command, click.Group) else [command]:
            for parameter in one.params:
                assert all(f"`{name}`" in page for name in parameter.opts if name.startswith("-")), parameter.opts


def test_ctrl_c_leaves_the_run_going_and_says_how_to_come_back(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(yaml.safe_dump(manifest("p", shell("a", seconds=60))))
    process = subprocess.Popen(
        [*MODULE, "submit", "-f", str(path), "--watch"],
        env=environment(KUBECONFIG=str(site.kubeconfig)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    site.until_state("p", "IN PROGRESS")
    site.until(lambda _: any("GET" in asked and "/pipelines" in asked for asked in site.server.requests))
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=20)
    assert process.returncode == 130, told
    assert "pipeline/p goes on; come back with `" in told
    assert "watch p -n team-a`" in told
    assert "Traceback" not in told
    assert site.until_state("p", "IN PROGRESS")


def test_a_terminal_gets_a_tree_and_no_control_codes_of_users(site: Site) -> None:
    import pty

    site.submit("p", shell("a", seconds=1, exit_code=1), shell("b"))
    site.until_state("p", "IN PROGRESS")
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [*MODULE, "watch", "p"],
        env=environment(KUBECONFIG=str(site.kubeconfig), TERM="xterm", COLUMNS="80", LINES="24", LC_ALL="C.UTF-8"),
        stdin=child,
        stdout=child,
        stderr=child,
    )
    os.close(child)
    shown = b""
    while True:
        try:
            piece = os.read(parent, 4096)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.close(parent)
    assert process.wait(20) == 1
    text = shown.decode()
    assert "\x1b[?25l" in text, "a live display hides the cursor"
    assert "\x1b[?25h" in text, "and shows it again"
    assert "✖ p  " in text
    assert "JobFailed" in text


def test_no_color(site: Site) -> None:
    from task_pipeline.cli.screen import Screen

    assert Screen(terminal=True, colour=False).state("DONE") == "DONE"
    assert Screen(terminal=True, colour=True).state("DONE") == "\x1b[32mDONE\x1b[0m"
