"""The operator's time of day jumps by an hour, and back; libfaketime tells it so. Monotonic time goes on as it does.

Certificates of a new cluster are not valid an hour ago, so this operator does not check them.
"""

import os
from collections.abc import Callable
from pathlib import Path

from tests.faults.real import checking
from tests.faults.real.outcomes import outcome, over
from tests.faults.real.place import Place, Site, place
from tests.faults.real.recorder import View
from tests.faults.real.runs import Ended
from tests.faults.rules import Violation
from tests.operators import OperatorProcess
from tests.real.pipelines import shell

LIBRARIES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib64/faketime/libfaketimeMT.so.1")
HOUR = 3600
SECONDS = 120.0


def library() -> Path | None:
    """libfaketime, if this machine has it."""
    found = [path for pattern in LIBRARIES for path in Path("/").glob(pattern.lstrip("/"))]
    return found[0] if found else None


SPEC = {
    "stages": ["s", "t"],
    "jobs": [
        shell("bad", exit_code=1, retryAttempt=2, allowFailure=True),
        shell("long", seconds=4),
        shell("short"),
        shell("then", "t", seconds=1),
    ],
}
MOMENTS: dict[str, Callable[[View], bool]] = {
    "at the first launch": lambda view: bool(view.objects("pods")),
    "between two attempts": lambda view: "RetryBackoff" in _reasons(view),
    "when a retry runs": lambda view: any(
        job.get("status", {}).get("attempt") == 2 for job in view.objects("pipelinejobs")
    ),
    "in the last stage": lambda view: len(view.objects("pipelinejobs")) == 4,
}


def jump(site: Site, faketime: Path, moment: str, seconds: int, patience: float = SECONDS) -> Ended:
    """One run in which the operator's clock jumps by so many seconds at a moment; it then has to end in `patience`."""
    ended = Ended("clock", f"{seconds:+d} s {moment}")
    with place(site, {"TASK_PIPELINE_RETRY_BACKOFF": "2"}, proxied=False) as at:
        offset = site.folder / f"{at.namespace}.offset"
        offset.write_text("+0\n")
        operator = OperatorProcess(
            _unchecked(at), site.folder / f"{at.namespace}.log", _environment(at, faketime, offset)
        )
        try:
            operator.start()
            at.create("run", SPEC)
            site.recorder.wait(moment, lambda: MOMENTS[moment](at.view), SECONDS)
            offset.write_text(f"{seconds:+d}\n")
            try:
                site.recorder.wait("the end", lambda: over(at.view, 1), patience)
            except TimeoutError as error:
                ended.violations.append(Violation("L1", 0, f"{error}: {outcome(at.view)}"))
            ended.outcome = outcome(at.view)
            lines = operator.log.read_text().splitlines()
            ended.violations += [Violation("log", 0, line) for line in lines if "a fault in the" in line]
        finally:
            operator.kill()
            _sweep_up(operator.pid)
        history = site.recorder.forget(at.namespace)
    ended.violations += checking.broken(history, checking.rules(None, None))
    return ended


def _sweep_up(pid: int) -> None:
    """libfaketime shares memory under the name of the process, and leaves it there when that is killed."""
    for left in Path("/dev/shm").glob(f"*faketime_*_{pid}"):
        left.unlink(missing_ok=True)


def _reasons(view: View) -> set[str]:
    return {job.get("status", {}).get("reason", "") for job in view.objects("pipelinejobs")}


def _environment(at: Place, faketime: Path, offset: Path) -> dict[str, str]:
    own = {
        "LD_PRELOAD": str(faketime),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "PATH": os.environ["PATH"],
    }
    return {**at.settings, **own}


def _unchecked(at: Place) -> Path:
    lines = at.site.cluster.kubeconfig.read_text().splitlines()
    kept = [
        f"{line[: line.index('certificate-authority')]}insecure-skip-tls-verify: true"
        if "certificate-authority" in line
        else line
        for line in lines
    ]
    path = at.site.folder / f"{at.namespace}.kubeconfig"
    path.write_text("\n".join(kept) + "\n")
    return path
