"""checkov on the chart and the Dockerfile: each finding is answered in docs/installation.md, no answer is left over.

checkov is not among the locked packages, since it brings over a hundred of its own; TASK_PIPELINE_CHECKOV names one, or
it is found on the PATH. `python -m tests.install checkov` runs it.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import yaml

from tests.cluster.config import ClusterError
from tests.install.helm import ROOT, Helm
from tests.install.values import SETS

PAGE = ROOT / "docs" / "installation.md"
SECONDS = 600


def answered() -> set[str]:
    """The findings that the page answers, by their ids."""
    return set(re.findall(r"\bCKV2?_[A-Z0-9]+_\d+\b", PAGE.read_text()))


def found(helm: Helm) -> set[str]:
    """What checkov finds in the objects of all sets of values, and in the Dockerfile. Raises ClusterError."""
    program = os.environ.get("TASK_PIPELINE_CHECKOV") or shutil.which("checkov")
    if program is None:
        raise ClusterError("there is no checkov: install it somewhere, and name it in TASK_PIPELINE_CHECKOV")
    with tempfile.TemporaryDirectory(prefix="task-pipeline-checkov-") as folder:
        shutil.copy(ROOT / "Dockerfile", folder)
        for name, values in SETS.items():
            (Path(folder) / f"{name}.yaml").write_text(yaml.safe_dump_all(helm.documents(values)))
        command = [program, "-d", folder, "--framework", "kubernetes", "dockerfile", "--skip-download", "-o", "json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    try:
        reports = json.loads(done.stdout)
        return {one["check_id"] for report in reports for one in report["results"]["failed_checks"]}
    except (ValueError, KeyError, TypeError) as error:
        raise ClusterError(f"checkov: {error}: {done.stderr[-1000:]}") from error
