"""The check of files before a commit finds what it is for."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "tools" / "check_files.py"
KEY = "-----BEGIN EC " + "PRIVATE KEY-----\nMHcCAQ\n"


def check(*paths: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, paths)], capture_output=True, text=True, check=False, timeout=30
    )


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("a.yaml", "a: [1, 2", "cannot be read"),
        ("a.yml", "a: 1\n b: 2", "cannot be read"),
        ("a.toml", "a = ", "cannot be read"),
        ("key.txt", KEY, "private key"),
        ("large.bin", "x" * (512 * 1024 + 1), "bytes"),
    ],
)
def test_a_fault_is_told_with_the_file(tmp_path: Path, name: str, content: str, fault: str) -> None:
    (tmp_path / name).write_text(content)
    done = check(tmp_path / name)
    assert done.returncode == 1
    assert f"{name}: " in done.stdout
    assert fault in done.stdout


def test_good_files_pass_in_silence(tmp_path: Path) -> None:
    contents = {"a.yaml": "a: 1\n---\nb: !custom 2\n", "b.toml": "a = 1\n", "c.txt": "no key\n"}
    for name, content in contents.items():
        (tmp_path / name).write_text(content)
    done = check(*(tmp_path / name for name in contents))
    assert (done.returncode, done.stdout) == (0, "")
