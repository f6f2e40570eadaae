"""Records the scenes as this version leaves them: `python -m tests.upgrade.record`, once for each release.

The files of a version that has been released are never written again: they are what users have in their clusters.
"""

import argparse
import asyncio
from functools import partial
from pathlib import Path

import looptime
import yaml

from task_pipeline import __version__
from tests.upgrade.scenes import SCENES, play

FIXTURES = Path(__file__).parent / "fixtures"
FOLDER = FIXTURES / f"v{__version__}"


def recorded(name: str) -> str:
    """The text of the file for one scene: the seconds of its cut, then one document for each object."""
    with asyncio.Runner(loop_factory=partial(looptime.new_event_loop, start=0)) as runner:
        moment, objects = runner.run(play(name))
    head = {"scene": name, "version": __version__, "seconds": round(moment, 3), "about": SCENES[name].__doc__}
    return yaml.safe_dump_all([head, *objects], sort_keys=False, width=120)


def main() -> None:
    """Write the files of this version."""
    parser = argparse.ArgumentParser(prog="python -m tests.upgrade.record", description="Write the fixtures.")
    parser.add_argument("--force", action="store_true", help="write them again, as long as the version is not released")
    options = parser.parse_args()
    if FOLDER.exists() and not options.force:
        parser.error(f"{FOLDER.relative_to(Path.cwd())} exists; --force writes it again")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in SCENES:
        (FOLDER / f"{name}.yaml").write_text(recorded(name))
        print(f"wrote {(FOLDER / name).relative_to(Path.cwd())}.yaml")


if __name__ == "__main__":
    main()
