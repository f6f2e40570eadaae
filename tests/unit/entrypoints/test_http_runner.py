"""The HTTP runner's command: what it takes, and what it refuses to start with."""

import pytest

from task_pipeline.entrypoints import http_runner


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--http-allow=payments.shop.svc"], '--http-allow: entry "payments.shop.svc" must be scheme://host'),
        (["--http-requests=0"], "--http-requests: "),
        (["--nonsense"], "--help lists all flags"),
    ],
)
def test_wrong_settings_end_the_process(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        http_runner.main(arguments)
    assert left.value.code == 2
    assert told in capsys.readouterr().err


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        http_runner.main(["--help"])
    assert left.value.code == 0
    shown = capsys.readouterr().out
    assert "task-pipeline-http-runner" in shown
    assert "HTTP runner" in shown
