"""A reader who follows docs/tutorial.md: types its commands one after the other, and compares what it shows.

The installation is left out: the cluster has an operator already. So is what never ends (`--watch`). A command whose
shown answer is a refusal has to be refused.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml

from tests.cluster import Cluster
from tests.contract.kubectl import Kubectl
from tests.pages import ROOT, Block, blocks, simulate

PAGE = ROOT / "docs" / "tutorial.md"
FIRST = "## 2. "  # the heading from which on commands are typed
SECONDS = 150


class Step(NamedTuple):
    """A command, and the lines that the page shows as its answer."""

    command: str
    shown: list[str]


def steps(found: list[Block], *, samples: bool) -> Iterator[Step]:
    """The commands of the page; with `samples` also the answers that depend on what scripts have printed."""
    for block, following in zip(found, [*found[1:], None], strict=True):
        if block.language != "console":
            continue
        parts = re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]
        for number, part in enumerate(parts, 1):
            command, *shown = part.rstrip().splitlines()
            if samples and number == len(parts) and following and following.language == "text":
                shown = [] if following.text.startswith("NAME ") else following.text.splitlines()
            yield Step(command, shown)


def words(text: str) -> str:
    """The text with single blanks."""
    return re.sub(r"\s+", " ", text).strip()


class Reader:
    """One reader in a folder, with a kubeconfig of their own: the tutorial changes its namespace."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        config, program = folder / "kubeconfig", folder / "bin" / "kubectl"
        shutil.copy(cluster.kubeconfig, config)
        program.parent.mkdir()
        program.write_text(cluster.paths.kubectl.read_text().replace(str(cluster.kubeconfig), str(config)))
        program.chmod(0o755)
        self._folder = folder
        self._environment = os.environ | {"PATH": f"{program.parent}:{os.environ['PATH']}", "KUBECONFIG": str(config)}
        self._tutorial = Kubectl(cluster.paths.kubectl, "tutorial")

    def follow(self, *, simulated: bool) -> int:
        """Type everything; returns how many commands that were. `simulated`: no script runs on this cluster."""
        found = blocks(PAGE)
        for block in found:
            if block.title:
                copies = [simulate(one, block) for one in yaml.safe_load_all(block.text)]
                text = yaml.safe_dump_all(copies) if simulated and block.simulated else block.text
                (self._folder / block.title).write_text(text)
        page = PAGE.read_text()
        begin = page.count("\n", 0, page.index(FIRST))
        after = [block for block in found if block.line > begin]
        typed = [step for step in steps(after, samples=not simulated) if "--watch" not in step.command]
        for step in typed:
            self._type(step)
            if "--for=condition=Finished" in step.command:
                self._compare_end(step.command, after)
        return len(typed)

    def leave(self) -> None:
        """Remove what is left when the tutorial was not followed to its end."""
        self._tutorial.run("delete", "namespace", "tutorial", "--wait=false", "--ignore-not-found")
        self._tutorial.run("-n", "task-pipeline", "delete", "pclient", "tutorial", "--ignore-not-found")

    def _type(self, step: Step) -> None:
        done = self._run(step.command)
        answer = f"{done.stdout}{done.stderr}"
        print(f"$ {step.command}\n{answer}")
        refused = bool(step.shown) and step.shown[0].startswith("The Pipeline")
        assert (done.returncode != 0) == refused, f"{step.command}: {answer}"
        for line in step.shown:
            assert words(line.split(" ...")[0]) in words(answer), f"{step.command}: {answer}"

    def _run(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", command],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def _compare_end(self, command: str, found: list[Block]) -> None:
        name = command.split("tpl/")[1].split()[0]
        ending = [block for block in found if block.end]
        told = [block.end for block in ending for one in block.manifests() if one["metadata"]["name"] == name]
        status = self._tutorial.get("tpl", name)["status"]
        assert told in ([], [(status["state"], status["reason"])]), status
