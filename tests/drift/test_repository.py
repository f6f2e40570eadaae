"""What must hold for the files of the repository as such: links, targets, paths, names.

Patterns are put together from parts, so that this file is not what it looks for.
"""

import importlib.machinery
import re
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "changelog.d").glob("*.md")})

MACHINE_PATH = re.compile(
    r"(?<![\w.$}~*:-])(?<!\w/)/(" + "|".join(["wo" + "rk", "ro" + "ot", "fa" + "rm"]) + r")(?![\w-])"
)
_REGISTRIES = (
    "py" + "pi",
    "python" + "hosted",
    "go" + "proxy",
    "proxy.go" + "lang",
    "sum.go" + "lang",
    "np" + "mjs",
    "crates" + ".io",
)
REGISTRY_HOST = re.compile("|".join(re.escape(name) for name in _REGISTRIES), re.IGNORECASE)
TARGET = re.compile(r"^([a-z][a-z0-9 -]*):(?!=)", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def committed() -> Iterator[tuple[Path, str]]:
    """Every text file that git tracks, with its text."""
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"]  # the owner may be another user
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True, timeout=30).stdout
    for name in filter(None, listing.split("\0")):
        path = ROOT / name
        try:
            yield path, path.read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue


def targets() -> set[str]:
    """The targets that the Makefile has rules for."""
    text = (ROOT / "Makefile").read_text()
    return {name for names in TARGET.findall(text) for name in names.split()}


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as they are made from the text."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(
    ("pattern", "what"), [(MACHINE_PATH, "a path of one machine"), (REGISTRY_HOST, "a package registry")]
)
def test_no_file_names_what_only_one_place_has(pattern: re.Pattern[str], what: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]} ({what})"
        for path, text in committed()
        for match in pattern.finditer(text)
    ]
    assert found == []


def test_the_patterns_find_what_they_are_for() -> None:
    assert MACHINE_PATH.search("see /" + "wo" + "rk/main/x")
    assert MACHINE_PATH.search("cd /" + "ro" + "ot")
    assert not MACHINE_PATH.search("a/" + "wo" + "rk, and tests/" + "ro" + "ot")
    assert REGISTRY_HOST.search("https://" + "py" + "pi.org/simple")


def test_import_operator_is_the_standard_library() -> None:
    assert not (ROOT / "operator" / "__init__.py").exists()
    library = sysconfig.get_path("stdlib")
    spec = importlib.machinery.PathFinder.find_spec("operator", [str(ROOT), library])
    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin).is_relative_to(library)


def test_every_target_of_make_help_exists() -> None:
    listing = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, check=True, text=True, timeout=30)
    shown = re.findall(r"^ +make (\S+)", listing.stdout, re.MULTILINE)
    assert {"demo", "test", "run", "help"} <= set(shown)
    assert set(shown) <= targets()


def test_every_target_that_a_page_names_exists() -> None:
    wrong = [
        f"{page.relative_to(ROOT)}: make {name}"
        for page in PAGES
        for name in re.findall(r"(?:`|^\$ |^)make ([a-z0-9-]+)", page.read_text(), re.MULTILINE)
        if name not in targets()
    ]
    assert wrong == []


def test_the_readme_names_its_two_commands() -> None:
    text = (ROOT / "README.md").read_text()
    assert "`make demo`" in text
    assert "`make test`" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    broken = []
    for link in LINK.findall(FENCE.sub("", page.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []
