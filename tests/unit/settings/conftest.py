"""Settings from nothing but what a test gives."""

import os
from pathlib import Path

import pytest

from task_pipeline.settings import CONFIG, PREFIX, Settings, variables


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {name for field in Settings.model_fields for name in variables(field)}
    for name in os.environ:
        if name.upper().startswith(PREFIX) or name.upper() in known:
            monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The settings file that the environment names; not there yet."""
    path = tmp_path / "settings.yaml"
    monkeypatch.setenv(CONFIG, str(path))
    return path
